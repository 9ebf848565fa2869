"""What a network learns from: the graphs of samples and the labels that belong to them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.core.network_settings import NetworkSettings
from glassformer.core.run import Run
from glassformer.dataset.labels import msd_a_draws, particle_labels
from glassformer.dataset.sample import Sample
from glassformer.graph.batch import GraphBatch, build_graph
from glassformer.graph.inputs import node_vectors
from glassformer.physics.velocities import maxwell_boltzmann

LEARNED_SPECIES = {"A": (0,), "B": (1,), "both": (0, 1)}


@dataclass(frozen=True, eq=False)
class Example:
    """A graph and its labels (R, K), logarithms if the run says so: R = 1, or one per particle; (R,) are `learned`."""

    graph: GraphBatch
    label: FloatArray
    learned: NDArray[np.bool_]


def build_graphs(samples: Sequence[Sample], settings: NetworkSettings) -> list[list[GraphBatch]]:
    """Return the graphs of every sample: one, or one a draw if the network reads velocities.

    Raises `SettingsError` or `DatasetError`.
    """
    known: dict[str, GraphBatch] = {}
    graphs = []
    for sample in samples:
        draws = draw_velocities(sample) if "velocity" in settings.inputs else None
        key = sample.configuration.fingerprint
        if key not in known:
            first = None if draws is None else draws[0]
            known[key] = build_graph(sample.configuration, settings, sample.facts.cutoff, first)
        graphs.append([known[key]] if draws is None else _with_velocities(known[key], sample, settings, draws))
    return graphs


def _with_velocities(
    graph: GraphBatch, sample: Sample, settings: NetworkSettings, draws: list[FloatArray]
) -> list[GraphBatch]:
    # Only the vectors of the particles differ; the edges are held once.
    vectors = (node_vectors(sample.configuration, settings.vector_inputs, velocities) for velocities in draws)
    return [replace(graph, node_vectors=torch.from_numpy(np.ascontiguousarray(v, np.float32))) for v in vectors]


def draw_velocities(sample: Sample) -> list[FloatArray]:
    """Return the velocities (N, 3) that each draw of `sample` began with, from their seeds.

    Raises `DatasetError` if another program made the draws: then nobody knows them.
    """
    ensemble, facts = sample.ensemble, sample.facts
    if not facts.engine.startswith(("LAMMPS", "lockstep")) or (ensemble.seeds < 0).any():
        raise DatasetError(
            f"{sample.identifier}: the velocities of its draws are not known; they were made by '{facts.engine}'",
            "A network that reads velocities needs draws that glassformer simulated. Take another network.",
        )
    particles = sample.configuration.particles
    return [maxwell_boltzmann(int(seed), particles, facts.temperature) for seed in ensemble.seeds]


def learned_rows(run: Run, sample: Sample) -> NDArray[np.bool_]:
    """Return which rows of a sample's labels are learned: a system head's one row, or the particles of the species.

    Raises `DatasetError` if there is no such particle.
    """
    if run.network.head == "system":
        return np.full(1, True)
    chosen: NDArray[np.bool_] = np.isin(sample.configuration.species, LEARNED_SPECIES[run.targets.species])
    if not chosen.any():
        raise DatasetError(
            f"{sample.identifier} has no particle of species {run.targets.species}", "Choose another targets.species."
        )
    return chosen


def sample_labels(run: Run, sample: Sample, times: FloatArray) -> list[FloatArray]:
    """Return the labels (R, K) of `sample` at `times`: one array, or one a draw.

    Raises `DatasetError` if a logarithm is asked for of a particle that has not moved, or a time is missing.
    """
    if run.network.head == "particle":
        values = [particle_labels(sample, times, run.targets.quantity)]
    else:
        draws = msd_a_draws(sample, times)
        values = [draw[None] for draw in draws] if run.targets.draws == "each" else [draws.mean(0, keepdims=True)]
    if run.targets.scale == "linear":
        return values
    learned = learned_rows(run, sample)
    if any((value[learned] <= 0).any() for value in values):
        raise DatasetError(
            f"{sample.identifier}: a particle has not moved at all, and 0 has no logarithm",
            'Learn displacements as they are: targets.scale = "linear".',
        )
    return [np.log(np.where(learned[:, None], value, 1.0)) for value in values]


def build_examples(
    run: Run, samples: Sequence[Sample], graphs: Sequence[list[GraphBatch]], times: FloatArray
) -> list[list[Example]]:
    """Return the examples of every sample: one, or one a draw. Raises `DatasetError`."""
    return [
        [
            Example(of_sample[draw % len(of_sample)], label, learned_rows(run, sample))
            for draw, label in enumerate(sample_labels(run, sample, times))
        ]
        for sample, of_sample in zip(samples, graphs, strict=True)
    ]
