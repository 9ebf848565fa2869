"""Periodic neighbours, symmetries and batches."""

import numpy as np
import pytest
import torch

from glassformer.core.errors import SettingsError
from glassformer.graph.batch import build_graph, join, transform
from glassformer.graph.neighbors import periodic_neighbors
from glassformer.graph.symmetries import cubic_symmetries
from glassformer.physics.box import minimum_image
from glassformer.physics.configuration import Configuration
from tests.conftest import random_mixture


@pytest.mark.parametrize("number", [1, 20, 99])
def test_neighbors_equal_a_search_over_all_pairs(number: int) -> None:
    structure = random_mixture(100, seed=number)
    indices, vectors = periodic_neighbors(structure, number)
    separation = minimum_image(structure.positions[None] - structure.positions[:, None], structure.box)
    distance = np.linalg.norm(separation, axis=-1)
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_array_equal(indices, np.argsort(distance, 1)[:, :number])
    np.testing.assert_allclose(vectors, separation[np.arange(100)[:, None], indices], atol=1e-14)


def test_k_must_be_less_than_n() -> None:
    with pytest.raises(
        SettingsError, match="got k = 100 neighbours for a configuration of 100 particles; expected k < N"
    ):
        periodic_neighbors(random_mixture(100), 100)


@pytest.mark.parametrize("coincident", [2, 5, 30])
def test_a_particle_is_never_its_own_neighbor(coincident: int) -> None:
    structure = random_mixture(100)
    positions = structure.positions.copy()
    positions[:coincident] = positions[0]
    indices, _ = periodic_neighbors(Configuration(positions, structure.species, structure.box), 6)
    assert (indices != np.arange(100)[:, None]).all()
    assert all(len(set(row)) == 6 for row in indices.tolist())


def test_the_48_symmetries_form_the_group_of_the_cube() -> None:
    matrices = cubic_symmetries()
    assert matrices.shape == (48, 3, 3)
    keys = {matrix.tobytes() for matrix in matrices + 0.0}
    assert len(keys) == 48
    products = np.einsum("aij,bjk->abik", matrices, matrices).reshape(-1, 3, 3)
    assert {matrix.tobytes() for matrix in products + 0.0} == keys
    assert np.isclose(np.linalg.det(matrices), 1).sum() == 24


def test_joined_graphs_keep_their_neighbors_apart() -> None:
    graphs = [build_graph(random_mixture(number, seed=number), 5) for number in (100, 200, 150)]
    batch = join(graphs)
    assert batch.counts == (100, 200, 150)
    offset = 0
    for graph in graphs:
        part = slice(offset, offset + graph.counts[0])
        assert torch.equal(batch.neighbors[part] - offset, graph.neighbors)
        assert torch.equal(batch.vectors[part], graph.vectors)
        offset += graph.counts[0]


def test_transform_turns_each_graph_by_its_own_matrix() -> None:
    structures = [random_mixture(100, seed=seed) for seed in (0, 1)]
    matrices = cubic_symmetries()[[7, 30]]
    batch = transform(join([build_graph(s, 5) for s in structures]), torch.from_numpy(matrices).float())
    for structure, matrix, part in zip(structures, matrices, batch.vectors.split([100, 100]), strict=True):
        turned = (structure.positions - structure.box / 2) @ matrix.T + structure.box / 2
        expected = build_graph(Configuration(turned % structure.box, structure.species, structure.box), 5)
        torch.testing.assert_close(part, expected.vectors)
