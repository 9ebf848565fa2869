"""Neighbours of every particle in space: the k nearest, or all within a distance."""

from typing import cast

import numpy as np
from scipy.spatial import cKDTree

from glassformer.core.arrays import FloatArray, IntArray
from glassformer.core.errors import SettingsError
from glassformer.core.network_settings import CutoffGraph, NearestGraph
from glassformer.graph.inputs import inherent
from glassformer.physics.box import holds, minimum_image
from glassformer.physics.configuration import Configuration

Edges = tuple[IntArray, IntArray, FloatArray]


def edges_of(configuration: Configuration, graph: NearestGraph | CutoffGraph) -> Edges:
    """Return the edges of `configuration` that `graph` names. Raises `SettingsError` if it has too few particles.

    Also if the edges are those of an inherent structure and it has none.
    """
    if isinstance(graph, CutoffGraph):
        if graph.structure == "inherent":
            configuration = inherent(configuration)
        return neighbors_within(configuration, graph.cutoff)
    return nearest_neighbors(configuration, graph.neighbors, graph.periodic)


def nearest_neighbors(configuration: Configuration, number: int, periodic: bool = True) -> Edges:
    """Return the edges from every particle to its `number` = k nearest neighbours.

    Centers i (N k,) in order, neighbours j (N k,) nearest first, never the particle itself, and vectors r_j - r_i
    (N k, 3), by minimum image. With `periodic` False distances do not know of the box's periods: a particle at a face
    has no neighbours beyond it. Raises `SettingsError` if k >= N.
    """
    refuse_too_few(configuration, number)
    particles = configuration.particles
    tree = cKDTree(configuration.positions, boxsize=configuration.box if periodic else None)
    _, found = tree.query(configuration.positions, k=number + 1)
    found = cast(IntArray, found).astype(np.int64)
    drop = found == np.arange(particles)[:, None]
    # More than k particles on one spot can push a particle out of its own list; then the farthest goes.
    drop[~drop.any(1), -1] = True
    neighbors = found[~drop]
    centers = np.repeat(np.arange(particles), number)
    vectors = configuration.positions[neighbors] - configuration.positions[centers]
    return centers, neighbors, minimum_image(vectors, configuration.box) if periodic else vectors


def neighbors_within(configuration: Configuration, cutoff: float) -> Edges:
    """Return the edges between all particles no farther apart than `cutoff`, both ways, as `nearest_neighbors` does.

    A particle without neighbours has no edge. Raises `SettingsError` if the box is shorter than two cutoffs: then a
    particle could meet two images of another.
    """
    refuse_short_box(configuration, cutoff)
    tree = cKDTree(configuration.positions, boxsize=configuration.box)
    pairs = tree.query_pairs(cutoff, output_type="ndarray").astype(np.int64)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    centers, neighbors = both[np.lexsort((both[:, 1], both[:, 0]))].T
    vectors = minimum_image(configuration.positions[neighbors] - configuration.positions[centers], configuration.box)
    return np.ascontiguousarray(centers), np.ascontiguousarray(neighbors), vectors


def refuse_too_few(configuration: Configuration, number: int) -> None:
    """Raise `SettingsError` unless `number` = k < N."""
    if number >= configuration.particles:
        raise SettingsError(
            f"got k = {number} neighbours for a configuration of {configuration.particles} particles; expected k < N",
            "Lower network.neighbors.",
        )


def refuse_short_box(configuration: Configuration, cutoff: float) -> None:
    """Raise `SettingsError` if the box is shorter than two cutoffs."""
    if not holds(float(configuration.edges.min()), 2 * cutoff):
        raise SettingsError(
            f"got box edges {configuration.edges.round(3).tolist()}; expected at least two cutoffs, {2 * cutoff:g}",
            "Lower network.cutoff, or use larger configurations.",
        )
