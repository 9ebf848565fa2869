"""Graphs of two-dimensional structures: neighbours, inputs, and an augmentation that keeps them in their plane."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from glassformer.core.errors import SettingsError
from glassformer.core.network_kinds import MessagePassingSettings
from glassformer.core.run import Training
from glassformer.graph.batch import GraphBatch, build_graph, flat_graphs, join, transform
from glassformer.graph.inputs import node_scalars, node_vectors
from glassformer.graph.neighbors import nearest_neighbors, neighbors_within
from glassformer.graph.symmetries import (
    augmentations,
    cubic_rotations,
    cubic_symmetries,
    plane_rotations,
    plane_symmetries,
    random_plane_rotations,
)
from glassformer.network.registry import build_network
from glassformer.physics.box import minimum_image
from glassformer.physics.configuration import Configuration
from glassformer.train.data import Batch
from glassformer.train.learner import Learner
from tests.conftest import random_mixture

KINDS = ("symmetries", "cubic-rotations", "rotations")
NETWORK = MessagePassingSettings(name="message-passing", cutoff=1.3, inputs=("species", "position"), species=3)


def flat(particles: int = 100, seed: int = 0) -> Configuration:
    random, edge = np.random.default_rng(seed), (particles / 1.2) ** 0.5
    positions = np.zeros((particles, 3))
    positions[:, :2] = random.uniform(0, edge, (particles, 2))
    return Configuration(positions, random.integers(0, 3, particles).astype(np.uint8), np.array([edge, edge, 1.0]))


def in_plane(structure: Configuration) -> np.ndarray:
    """Distances (N, N) of all pairs, computed in the plane alone; infinite for a particle and itself."""
    vectors = structure.positions[None, :, :2] - structure.positions[:, None, :2]
    distances: np.ndarray = np.linalg.norm(minimum_image(vectors, structure.box[:2]), axis=-1)
    np.fill_diagonal(distances, np.inf)
    return distances


def test_neighbours_in_a_plane_are_those_by_brute_force() -> None:
    """The box edge of 1 along z is no limit to the cutoff."""
    structure = flat()
    distances = in_plane(structure)
    centers, neighbors, vectors = neighbors_within(structure, 2.0)
    np.testing.assert_array_equal(np.stack([centers, neighbors], 1), np.argwhere(distances <= 2.0))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), distances[centers, neighbors])
    assert not vectors[:, 2].any()
    _, nearest, _ = nearest_neighbors(structure, 7)
    np.testing.assert_array_equal(nearest.reshape(-1, 7), np.argsort(distances, 1)[:, :7])
    with pytest.raises(SettingsError, match=r"got box edges \[9.129, 9.129\]; expected at least two cutoffs, 10"):
        neighbors_within(structure, 5.0)


def test_positions_are_from_the_middle_of_the_square() -> None:
    structure = flat()
    found = node_vectors(structure, ("position",), None)[:, 0]
    np.testing.assert_array_equal(found[:, :2], structure.positions[:, :2] - structure.box[:2] / 2)
    assert not found[:, 2].any()


def test_species_are_one_hot_of_as_many_as_the_network_reads() -> None:
    structure = flat()
    np.testing.assert_array_equal(node_scalars(structure, ("species",), 3), np.eye(3)[structure.species])
    assert node_scalars(structure, ("species",), 4).shape == (100, 4)
    with pytest.raises(SettingsError, match="got species number 2; the network reads 2 species, from 0"):
        node_scalars(structure, ("species",), 2)


def test_the_square_has_8_symmetries_and_4_rotations() -> None:
    assert len(plane_symmetries()) == len(np.unique(plane_symmetries()[:, :2, :2], axis=0)) == 8
    assert len(plane_rotations()) == 4
    for matrices in (plane_symmetries(), plane_rotations(), random_plane_rotations(np.random.default_rng(0), 50)):
        np.testing.assert_allclose(
            matrices @ matrices.transpose(0, 2, 1), np.broadcast_to(np.eye(3), matrices.shape), atol=1e-12
        )
        np.testing.assert_array_equal(matrices[:, 2], np.broadcast_to([0, 0, 1], (len(matrices), 3)))
    turns = random_plane_rotations(np.random.default_rng(0), 40_000)
    np.testing.assert_allclose(np.linalg.det(turns), 1)
    # Uniform angles: the mean of exp(i n phi) is 0 within its error.
    angles = np.arctan2(turns[:, 1, 0], turns[:, 0, 0])
    assert max(abs(np.exp(1j * n * angles).mean()) for n in (1, 2, 3, 4)) < 0.02


def batch_of(structures: list[Configuration]) -> GraphBatch:
    return join([build_graph(structure, NETWORK) for structure in structures])


def test_flat_graphs_are_told_from_others() -> None:
    batch = batch_of([flat(), random_mixture(100), flat(80, 1)])
    assert flat_graphs(batch).tolist() == [True, False, True]
    alone = replace(batch, node_vectors=torch.zeros(280, 0, 3))
    assert flat_graphs(alone).tolist() == [True, False, True]


@pytest.mark.parametrize("kind", KINDS)
def test_augmentation_keeps_structures_in_their_plane(kind: str) -> None:
    structures = [flat(), random_mixture(100), flat(80, 1)]
    graph = batch_of(structures)
    settings = Training(augmentation=kind)  # type: ignore[arg-type]
    learner = Learner(build_network(NETWORK, 1), settings, seed=4, label_std=np.ones(1))
    batch = Batch(graph, torch.zeros(3, 1), torch.ones(3, dtype=torch.bool), (0, 1, 2), 3, 1.0)
    seen = []
    for number in range(20):
        matrices = learner._augmentation(batch, 0, number)
        assert matrices is not None
        turned = transform(graph, matrices)
        edges = torch.repeat_interleave(torch.arange(3), torch.tensor(graph.counts))[graph.centers]
        assert not turned.vectors[edges != 1, 2].any()
        np.testing.assert_allclose(turned.vectors.norm(dim=1), graph.vectors.norm(dim=1), rtol=1e-5)
        seen.append(matrices)
    of_first = torch.stack([matrices[0] for matrices in seen])
    assert len(torch.unique(of_first, dim=0)) > (2 if kind == "cubic-rotations" else 4)
    # A structure in space is turned out of any plane.
    assert any(matrices[1, 2, 2] not in (1, -1) for matrices in seen)


def test_augmentations_are_those_asked_for() -> None:
    random = np.random.default_rng
    for kind, known in (("symmetries", cubic_symmetries()), ("cubic-rotations", cubic_rotations())):
        np.testing.assert_array_equal(
            augmentations(kind, False, random(3), 9), known[random(3).integers(len(known), size=9)]
        )
    assert (np.linalg.det(augmentations("cubic-rotations", True, random(3), 30)) > 0).all()
    assert len(np.unique(augmentations("symmetries", True, random(3), 200), axis=0)) == 8
