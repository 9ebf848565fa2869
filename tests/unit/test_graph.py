"""Neighbours, inputs, symmetries and batches."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from glassformer.core.errors import SettingsError
from glassformer.core.network_kinds import MessagePassingSettings, ParticleNetSettings
from glassformer.core.network_settings import CutoffGraph, NetworkSettings
from glassformer.graph.batch import GraphBatch, build_graph, join, transform
from glassformer.graph.inputs import node_scalars, node_vectors
from glassformer.graph.neighbors import edges_of, nearest_neighbors, neighbors_within
from glassformer.graph.symmetries import cubic_rotations, cubic_symmetries, random_rotations
from glassformer.physics.box import minimum_image, wrap
from glassformer.physics.configuration import Configuration
from glassformer.physics.pair import interactions
from tests.conftest import random_mixture, rattled_lattice
from tests.liquids import kob_andersen

VECTORS = ("species", "inherent-displacement", "velocity")
NEAREST = ParticleNetSettings(neighbors=5, inputs=VECTORS)
WITHIN = MessagePassingSettings(name="message-passing", cutoff=1.3, inputs=VECTORS)
WITHIN_ONLY = MessagePassingSettings(name="message-passing", cutoff=1.3)


def separations(structure: Configuration, periodic: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """r_j - r_i (N, N, 3) of all pairs, and their lengths with infinity for a particle and itself."""
    vectors = structure.positions[None] - structure.positions[:, None]
    vectors = minimum_image(vectors, structure.box) if periodic else vectors
    distance = np.linalg.norm(vectors, axis=-1)
    np.fill_diagonal(distance, np.inf)
    return vectors, distance


def graph(settings: NetworkSettings, seed: int = 0, particles: int = 100) -> GraphBatch:
    structure, random = random_mixture(particles, seed), np.random.default_rng(seed)
    inherent = wrap(structure.positions + random.normal(0, 0.1, (particles, 3)), structure.box)
    velocities = random.normal(size=(particles, 3))
    return build_graph(replace(structure, inherent_positions=inherent), settings, velocities=velocities)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("number", [1, 20, 99])
def test_nearest_neighbors_equal_a_search_over_all_pairs(number: int, periodic: bool) -> None:
    structure = random_mixture(100, seed=number)
    centers, neighbors, vectors = nearest_neighbors(structure, number, periodic)
    every, distance = separations(structure, periodic)
    np.testing.assert_array_equal(centers, np.repeat(np.arange(100), number))
    np.testing.assert_array_equal(neighbors.reshape(100, number), np.argsort(distance, 1)[:, :number])
    np.testing.assert_allclose(vectors, every[centers, neighbors], atol=1e-14)


def test_open_distances_do_not_know_of_periods() -> None:
    structure = random_mixture(300)
    moved = replace(structure, positions=wrap(structure.positions + 1.0, structure.box))
    for periodic in (True, False):
        one, other = (nearest_neighbors(each, 6, periodic)[1] for each in (structure, moved))
        assert np.array_equal(one, other) == periodic


def test_k_must_be_less_than_n() -> None:
    with pytest.raises(
        SettingsError, match="got k = 100 neighbours for a configuration of 100 particles; expected k < N"
    ):
        nearest_neighbors(random_mixture(100), 100)


@pytest.mark.parametrize("coincident", [2, 5, 30])
def test_a_particle_is_never_its_own_neighbor(coincident: int) -> None:
    structure = random_mixture(100)
    positions = structure.positions.copy()
    positions[:coincident] = positions[0]
    crowded = replace(structure, positions=positions)
    centers, neighbors, _ = nearest_neighbors(crowded, 6)
    assert (centers != neighbors).all()
    centers, neighbors, vectors = neighbors_within(crowded, 1.0)
    assert (centers != neighbors).all()
    assert (vectors == 0).all(1).sum() == coincident * (coincident - 1)


@pytest.mark.parametrize("cutoff", [0.4, 1.0, 2.1])
def test_neighbors_within_a_cutoff_equal_a_search_over_all_pairs(cutoff: float) -> None:
    structure = random_mixture(100)
    centers, neighbors, vectors = neighbors_within(structure, cutoff)
    every, distance = separations(structure)
    # In this order, too: by center, then by neighbour; and so both ways.
    np.testing.assert_array_equal(np.stack([centers, neighbors], 1), np.argwhere(distance <= cutoff))
    np.testing.assert_allclose(vectors, every[centers, neighbors], atol=1e-14)


def test_a_particle_far_from_all_others_has_no_edge() -> None:
    positions = np.array([[1.0, 1, 1], [8.0, 8, 8], [1.5, 1, 1], [9.5, 1, 1]])
    structure = Configuration(positions, np.zeros(4, np.uint8), np.full(3, 10.0))
    centers, neighbors, vectors = neighbors_within(structure, 1.6)
    assert centers.tolist() == [0, 0, 2, 3]
    assert neighbors.tolist() == [2, 3, 0, 0]
    np.testing.assert_allclose(vectors[:, 0], [0.5, -1.5, -0.5, 1.5])
    empty = neighbors_within(structure, 0.1)
    assert [part.shape for part in empty] == [(0,), (0,), (0, 3)]


def test_a_box_of_two_cutoffs_is_needed() -> None:
    structure = random_mixture(100)
    neighbors_within(structure, structure.box[0] / 2)
    with pytest.raises(SettingsError, match="expected at least two cutoffs"):
        neighbors_within(structure, structure.box[0] / 2 + 1e-6)


def test_scalar_inputs_stand_in_the_order_asked_for() -> None:
    structure, uniform, scaled = rattled_lattice(5), kob_andersen("uniform"), kob_andersen("scaled")
    energy = interactions(structure, uniform).energy
    species = structure.species
    expected = np.stack([energy + 7, species == 0, species == 1, species], 1)
    np.testing.assert_array_equal(node_scalars(structure, ("local-energy", "species", "type"), 2, uniform), expected)
    assert abs(node_scalars(structure, ("local-energy",), 2, scaled)[:, 0] - expected[:, 0]).max() > 1e-3
    assert node_scalars(structure, (), 2, uniform).shape == (125, 0)


def quenched_lattice() -> Configuration:
    structure = rattled_lattice(5)
    shift = np.random.default_rng(4).normal(0, 0.05, (125, 3))
    return replace(structure, inherent_positions=wrap(structure.positions + shift, structure.box))


def test_inherent_inputs_and_edges_are_those_of_the_inherent_structure() -> None:
    structure, mixture = quenched_lattice(), kob_andersen("uniform")
    alone = Configuration(structure.inherent_positions, structure.species, structure.box)
    found = node_scalars(structure, ("inherent-energy", "local-energy"), 2, mixture)
    expected = [interactions(one, mixture).energy + 7 for one in (alone, structure)]
    np.testing.assert_array_equal(found.T, expected)
    for one, other in zip(edges_of(structure, CutoffGraph(1.5, "inherent")), neighbors_within(alone, 1.5), strict=True):
        np.testing.assert_array_equal(one, other)
    thermal = edges_of(structure, CutoffGraph(1.5))
    assert len(thermal[0]) != len(neighbors_within(alone, 1.5)[0])
    for missing in (
        lambda: edges_of(rattled_lattice(5), CutoffGraph(1.5, "inherent")),
        lambda: node_scalars(rattled_lattice(5), ("inherent-energy",), 2, mixture),
    ):
        with pytest.raises(SettingsError, match="no inherent structure"):
            missing()


def test_vector_inputs_stand_in_the_order_asked_for() -> None:
    structure, random = random_mixture(50), np.random.default_rng(0)
    shift, velocities = random.normal(0, 0.2, (50, 3)), random.normal(size=(50, 3))
    quenched = replace(structure, inherent_positions=wrap(structure.positions + shift, structure.box))
    found = node_vectors(quenched, ("velocity", "inherent-displacement", "position"), velocities)
    expected = np.stack([velocities, shift, structure.positions - structure.box / 2], 1)
    np.testing.assert_allclose(found, expected, atol=1e-14)
    assert node_vectors(structure, (), None).shape == (50, 0, 3)


def test_what_a_network_reads_must_be_there() -> None:
    with pytest.raises(SettingsError, match="reads velocities"):
        node_vectors(random_mixture(50), ("velocity",), None)
    with pytest.raises(SettingsError, match="no inherent structure"):
        node_vectors(random_mixture(50), ("inherent-displacement",), None)


def test_symmetries_keep_their_numbers() -> None:
    """Trainings draw them by number: permutations of the axes, then signs, as written out here."""
    expected = [
        np.diag(signs)[list(order)]
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1.0, -1.0), repeat=3)
    ]
    # Bytes: a minus zero counts.
    assert cubic_symmetries().tobytes() == np.stack(expected).tobytes()
    assert cubic_rotations().tobytes() == np.stack([m for m in expected if np.linalg.det(m) > 0]).tobytes()


def test_there_are_48_different_symmetries_of_the_cube_and_half_are_rotations() -> None:
    matrices, turns = cubic_symmetries(), cubic_rotations()
    assert len({matrix.tobytes() for matrix in matrices + 0.0}) == 48
    np.testing.assert_allclose(matrices @ matrices.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (48, 3, 3)))
    assert len({matrix.tobytes() for matrix in turns + 0.0}) == 24
    np.testing.assert_allclose(np.linalg.det(turns), 1)
    # Two in a row are a third.
    products = {tuple(np.rint(product).astype(int).ravel()) for product in (turns[:, None] @ turns).reshape(-1, 9)}
    assert products == {tuple(np.rint(matrix).astype(int).ravel()) for matrix in turns}


def test_random_rotations_are_uniform_rotations() -> None:
    """Uniform on SO(3): <R_ab> = 0, <R_ab R_cd> = delta_ac delta_bd / 3, and the trace is 1 + 2 cos of an angle with
    density (1 - cos angle) / pi, so its mean square is 1. Means of 20,000 draws, to five standard errors.
    """
    number = 20_000
    matrices = random_rotations(np.random.default_rng(5), number)
    np.testing.assert_allclose(matrices @ matrices.transpose(0, 2, 1), np.tile(np.eye(3), (number, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(matrices), 1, atol=1e-12)
    entries = matrices.reshape(number, 9)
    # An entry has variance 1/3; the product of two has at most 2/15, in different rows and columns.
    assert abs(entries.mean(0)).max() < 5 * np.sqrt(1 / 3 / number)
    products = np.einsum("na,nb->ab", entries, entries) / number
    assert abs(products - np.eye(9) / 3).max() < 5 * np.sqrt(2 / 15 / number)
    trace = np.trace(matrices, axis1=1, axis2=2)
    assert abs((trace**2).mean() - 1) < 5 * (trace**2).std() / np.sqrt(number)


def test_a_graph_holds_what_the_settings_name() -> None:
    one = graph(NEAREST)
    assert one.vectors.shape == (500, 3)
    assert one.scalars.shape == (100, 2)
    assert one.node_vectors.shape == (100, 2, 3)
    assert one.counts == (100,)
    assert {one.vectors.dtype, one.scalars.dtype, one.node_vectors.dtype} == {torch.float32}
    assert {one.species.dtype, one.centers.dtype, one.neighbors.dtype} == {torch.int64}
    structure = random_mixture(100)
    expected = nearest_neighbors(structure, 5, periodic=False)
    opened = build_graph(structure, ParticleNetSettings(neighbors=5, first_graph="open"))
    assert opened.neighbors.tolist() == expected[1].tolist()
    centers, neighbors, _ = neighbors_within(structure, WITHIN.cutoff)
    within = graph(WITHIN)
    assert within.centers.tolist() == centers.tolist()
    assert within.neighbors.tolist() == neighbors.tolist()


def test_a_graph_changes_its_precision_and_nothing_else() -> None:
    one = graph(WITHIN)
    double = one.to(torch.float64)
    assert {double.vectors.dtype, double.scalars.dtype, double.node_vectors.dtype} == {torch.float64}
    assert {double.species.dtype, double.centers.dtype, double.neighbors.dtype} == {torch.int64}
    assert torch.equal(double.vectors.float(), one.vectors)
    assert double.counts == one.counts


@pytest.mark.parametrize("settings", [NEAREST, WITHIN], ids=["nearest", "within a cutoff"])
def test_joined_graphs_keep_to_themselves(settings: NetworkSettings) -> None:
    parts = [graph(settings, 0), graph(settings, 1, particles=60), graph(settings, 2)]
    batch = join([parts[0], join(parts[1:])])
    assert batch.counts == (100, 60, 100)
    edge = 0
    for part, first in zip(parts, (0, 100, 160), strict=True):
        edges, particles = slice(edge, edge + len(part.centers)), slice(first, first + len(part.species))
        assert torch.equal(batch.centers[edges], part.centers + first)
        assert torch.equal(batch.neighbors[edges], part.neighbors + first)
        assert torch.equal(batch.vectors[edges], part.vectors)
        for name in ("species", "scalars", "node_vectors"):
            assert torch.equal(getattr(batch, name)[particles], getattr(part, name))
        edge = edges.stop
    assert edge == len(batch.centers)


@pytest.mark.parametrize("settings", [NEAREST, WITHIN], ids=["nearest", "within a cutoff"])
def test_a_transformation_turns_the_vectors_of_its_own_graph(settings: NetworkSettings) -> None:
    parts = [graph(settings, 0), graph(settings, 1, particles=60), graph(settings, 2)]
    matrices = random_rotations(np.random.default_rng(0), 3)
    batch = join(parts)
    turned = transform(batch, torch.from_numpy(matrices).float())
    expected = [part.vectors.numpy() @ matrix.T for part, matrix in zip(parts, matrices, strict=True)]
    np.testing.assert_allclose(turned.vectors.numpy(), np.concatenate(expected), atol=1e-6)
    expected = [part.node_vectors.numpy() @ matrix.T for part, matrix in zip(parts, matrices, strict=True)]
    np.testing.assert_allclose(turned.node_vectors.numpy(), np.concatenate(expected), atol=1e-6)
    for name in ("species", "scalars", "centers", "neighbors"):
        assert torch.equal(getattr(turned, name), getattr(batch, name))
    assert turned.counts == batch.counts


def test_to_turn_the_structure_is_to_turn_its_graph() -> None:
    structure = random_mixture(100)
    for matrix in cubic_symmetries():
        moved = replace(structure, positions=wrap(structure.positions @ matrix.T, structure.box))
        one, other = build_graph(moved, WITHIN_ONLY), build_graph(structure, WITHIN_ONLY)
        expected = transform(other, torch.from_numpy(matrix).float()[None])
        assert torch.equal(one.neighbors, expected.neighbors)
        torch.testing.assert_close(one.vectors, expected.vectors)
