"""What a network learns from: the graphs of samples and the labels that belong to them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.core.network_settings import NetworkSettings
from glassformer.dataset.sample import Sample
from glassformer.graph.batch import CPU, GraphBatch, build_graph
from glassformer.graph.inputs import node_vectors
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture
from glassformer.physics.velocities import maxwell_boltzmann
from glassformer.train.target import Target


@dataclass(frozen=True, eq=False)
class Example:
    """A graph and its labels (R, K) as `Target.labels` returns them, of which the rows `learned` (R,) count."""

    graph: GraphBatch
    label: FloatArray
    learned: NDArray[np.bool_]


def build_graphs(
    samples: Sequence[Sample], settings: NetworkSettings, device: torch.device = CPU
) -> list[list[GraphBatch]]:
    """Return the graphs of every sample, on `device`: one, or one per draw if the network reads velocities.

    Raises `SettingsError` or `DatasetError`.
    """
    velocities = [draw_velocities(sample) for sample in samples] if "velocity" in settings.inputs else None
    configurations = [sample.configuration for sample in samples]
    return configuration_graphs(configurations, [sample.mixture for sample in samples], settings, velocities, device)


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
    known: dict[str, GraphBatch] = {}
    graphs = []
    for number, (configuration, mixture) in enumerate(zip(configurations, mixtures, strict=True)):
        draws = None if velocities is None else velocities[number]
        key = configuration.fingerprint
        if key not in known:
            known[key] = build_graph(configuration, settings, mixture, None if draws is None else draws[0], device)
        graphs.append([known[key]] if draws is None else _with_velocities(known[key], configuration, settings, draws))
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
    """Return the examples of every sample: one, or one per draw. Raises `DatasetError`."""
    return [
        [
            Example(of_sample[draw % len(of_sample)], label, target.learned(sample.configuration.species))
            for draw, label in enumerate(target.labels(sample))
        ]
        for sample, of_sample in zip(samples, graphs, strict=True)
    ]
