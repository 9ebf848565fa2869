"""What a network learns from: the graphs of samples and the labels that belong to them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.errors import DatasetError
from glassformer.core.network_settings import NetworkSettings
from glassformer.core.sequences import OnDemand
from glassformer.dataset.sample import Sample
from glassformer.graph.batch import CPU, GraphBatch, build_graph
from glassformer.graph.inputs import node_vectors
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture
from glassformer.physics.velocities import maxwell_boltzmann
from glassformer.train.target import Target


@dataclass(frozen=True, eq=False)
class Example:
    """A graph and its labels (R, K) as `Target.labels` returns them, of which the rows `learned` (R,) count.

    `graphs[sample][number]` is the graph, which need not be in memory; examples that have it in common have one `key`.
    `species` (N,): those of its particles.
    """

    graphs: Sequence[list[GraphBatch]]
    sample: int
    number: int
    key: tuple[str, int, int]
    species: ByteArray
    label: FloatArray
    learned: NDArray[np.bool_]

    @property
    def graph(self) -> GraphBatch:
        """The graph, built again if it was not kept."""
        return self.graphs[self.sample][self.number]


def build_graphs(
    samples: Sequence[Sample], settings: NetworkSettings, device: torch.device = CPU, memory: float = math.inf
) -> Sequence[list[GraphBatch]]:
    """Return the graphs of every sample, on `device`: one, or one per draw if the network reads velocities.

    Those that do not fit into `memory` bytes are built each time that they are asked for.
    Raises `SettingsError` or `DatasetError`, here and not later.
    """
    graphs = Graphs(samples, settings, device, memory)
    for _ in graphs:
        # What cannot be built is refused before anything begins.
        pass
    return graphs


class Graphs(OnDemand[list[GraphBatch]]):
    """The graphs of samples; `of_draws`: every draw has one of its own, since the network reads velocities."""

    def __init__(
        self, samples: Sequence[Sample], settings: NetworkSettings, device: torch.device, memory: float
    ) -> None:
        super().__init__(len(samples), _Builder(samples, settings, device).build, memory)
        self.of_draws = "velocity" in settings.inputs


class _Builder:
    """Builds the graphs of samples; those of a structure that several samples share are built once."""

    def __init__(self, samples: Sequence[Sample], settings: NetworkSettings, device: torch.device) -> None:
        self._samples, self._settings, self._device = samples, settings, device
        self._last: tuple[str, GraphBatch] | None = None

    def build(self, number: int) -> list[GraphBatch]:
        """Return the graphs of sample `number`."""
        sample, settings = self._samples[number], self._settings
        configuration = sample.configuration
        velocities = draw_velocities(sample) if "velocity" in settings.inputs else None
        # Single draws of a structure follow each other.
        key = configuration.fingerprint
        if self._last is None or self._last[0] != key:
            first = None if velocities is None else velocities[0]
            self._last = key, build_graph(configuration, settings, sample.mixture, first, self._device)
        graph = self._last[1]
        return [graph] if velocities is None else _with_velocities(graph, configuration, settings, velocities)


def configuration_graphs(
    configurations: Sequence[Configuration],
    mixtures: Sequence[Mixture],
    settings: NetworkSettings,
    velocities: Sequence[list[FloatArray]] | None = None,
    device: torch.device = CPU,
) -> list[list[GraphBatch]]:
    """Return the graphs of every configuration: one, or one for each of its `velocities` (N, 3), where given.

    `mixtures`: the liquid of each. Raises `SettingsError` if a configuration has too few particles or lacks an input
    that the network reads.
    """
    graphs = []
    for number, (configuration, mixture) in enumerate(zip(configurations, mixtures, strict=True)):
        draws = None if velocities is None else velocities[number]
        graph = build_graph(configuration, settings, mixture, None if draws is None else draws[0], device)
        graphs.append([graph] if draws is None else _with_velocities(graph, configuration, settings, draws))
    return graphs


def _with_velocities(
    graph: GraphBatch, configuration: Configuration, settings: NetworkSettings, draws: list[FloatArray]
) -> list[GraphBatch]:
    # Only the vectors of the particles differ; the edges are held once.
    vectors = (node_vectors(configuration, settings.vector_inputs, velocities) for velocities in draws)
    tensors = (torch.from_numpy(np.ascontiguousarray(v, np.float32)) for v in vectors)
    return [replace(graph, node_vectors=one.to(graph.species.device)) for one in tensors]


def draw_velocities(sample: Sample) -> list[FloatArray]:
    """Return the velocities (N, 3) that each draw of `sample` began with, from their seeds.

    Raises `DatasetError` if there are no draws, or another program made them: then nobody knows their velocities.
    """
    if sample.ensemble is None:
        raise DatasetError(
            f"{sample.identifier} is a bare structure: the network reads the velocities of draws, and it has none",
            "Take a network that reads no velocities, or simulate draws of it.",
        )
    seeds, engine = sample.ensemble.seeds, sample.facts.engine or ""
    if not engine.startswith(("LAMMPS", "lockstep")) or seeds is None or (seeds < 0).any():
        raise DatasetError(
            f"{sample.identifier}: the velocities of its draws are not known; they were made by '{engine}'",
            "A network that reads velocities needs draws that glassformer simulated. Take another network.",
        )
    mixture = sample.mixture
    masses = mixture.masses_of(sample.configuration.species)
    return [maxwell_boltzmann(int(seed), masses, sample.facts.temperature, mixture.dimension) for seed in seeds]


def build_examples(
    target: Target, samples: Sequence[Sample], graphs: Sequence[list[GraphBatch]]
) -> list[list[Example]]:
    """Return the examples of every sample: one, or one per draw; `graphs` are those of all. Raises `DatasetError`."""
    return [_examples(target, sample, graphs, number) for number, sample in enumerate(samples)]


def _examples(target: Target, sample: Sample, graphs: Sequence[list[GraphBatch]], number: int) -> list[Example]:
    species, structure = sample.configuration.species, sample.configuration.fingerprint
    learned = target.learned(species)
    of_draws = isinstance(graphs, Graphs) and graphs.of_draws
    found = []
    for draw, label in enumerate(target.labels(sample)):
        # Single draws of a structure may be samples, too.
        key = (structure, number, draw) if of_draws else (structure, 0, 0)
        found.append(Example(graphs, number, draw if of_draws else 0, key, species, label, learned))
    return found
