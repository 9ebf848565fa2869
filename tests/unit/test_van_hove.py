"""Van Hove functions, on exact cases and against loops."""

from itertools import pairwise

import numpy as np
import pytest

from glassformer.core.errors import ConfigurationError
from glassformer.observables.structure import radial_distribution
from glassformer.observables.van_hove import distinct_van_hove, self_van_hove
from glassformer.physics.box import minimum_image

BOX = np.array([4.0, 5.0, 6.0])
RANDOM = np.random.default_rng(9)
START = RANDOM.uniform(0, BOX, (30, 3))
SPECIES = (RANDOM.random(30) < 0.5).astype(np.uint8)
MOVED = RANDOM.normal(0, 1.5, (30, 3))
EDGES = np.array([0.0, 0.9, 1.3, 1.6, 2.0])


def test_self_part_against_a_loop() -> None:
    expected = np.zeros((2, 4))
    for displacement, kind in zip(MOVED, SPECIES, strict=True):
        for bin_ in range(4):
            if EDGES[bin_] <= np.linalg.norm(displacement) < EDGES[bin_ + 1]:
                expected[kind, bin_] += 1 / np.bincount(SPECIES)[kind] / (EDGES[bin_ + 1] - EDGES[bin_])
    np.testing.assert_allclose(self_van_hove(MOVED, SPECIES, EDGES), expected)


def test_self_part_is_a_probability_density() -> None:
    edges = np.linspace(0, 20, 50)
    np.testing.assert_allclose((self_van_hove(MOVED, SPECIES, edges) * np.diff(edges)).sum(1), 1)


def test_self_part_of_gaussian_displacements() -> None:
    # 4 pi r^2 exp(-r^2 / 2 s^2) / (2 pi s^2)^(3/2), the bins of 0.02 being narrow.
    edges = np.linspace(0, 1, 51)
    found = self_van_hove(np.random.default_rng(1).normal(0, 0.2, (200_000, 3)), np.zeros(200_000, np.uint8), edges)
    r = (edges[1:] + edges[:-1]) / 2
    expected = 4 * np.pi * r**2 * np.exp(-(r**2) / 0.08) / (2 * np.pi * 0.04) ** 1.5
    error = np.sqrt(expected / (200_000 * 0.02))
    assert (np.abs(found[0] - expected) < 4 * error + 0.01).all()
    assert np.isnan(found[1]).all()


def test_distinct_part_against_a_loop() -> None:
    expected = np.zeros((3, 4))
    for row, kinds in enumerate(([0, 0], [0, 1], [1, 1])):
        distances = [
            np.linalg.norm(minimum_image(START[j] + MOVED[j] - START[i], BOX))
            for i in range(30)
            for j in range(30)
            if i != j and sorted([SPECIES[i], SPECIES[j]]) == kinds
        ]
        for bin_, (low, high) in enumerate(pairwise(EDGES)):
            found = sum(low < distance <= high for distance in distances)
            expected[row, bin_] = found / (len(distances) * 4 / 3 * np.pi * (high**3 - low**3) / np.prod(BOX))
    assert (expected > 0).all()
    np.testing.assert_allclose(distinct_van_hove(START, MOVED, SPECIES, BOX, EDGES), expected)


def test_distinct_part_at_time_zero_is_the_radial_distribution() -> None:
    found = distinct_van_hove(START, np.zeros((30, 3)), SPECIES, BOX, EDGES)
    np.testing.assert_array_equal(found, radial_distribution(START, SPECIES, BOX, EDGES))


def test_two_particles_that_change_places() -> None:
    start = np.array([[1.0, 1, 1], [2, 1, 1]])
    swap = np.array([[1.0, 0, 0], [-1, 0, 0]])
    found = distinct_van_hove(start, swap, np.zeros(2, np.uint8), np.full(3, 6.0), np.array([0.0, 0.1, 0.9, 1.1]))
    # Each stands where the other was, at r = 0, which the first bin holds, and no other pair is left.
    np.testing.assert_allclose(found[0], [216 / (4 / 3 * np.pi * 0.1**3), 0, 0])
    found = distinct_van_hove(start, 0.95 * swap, np.zeros(2, np.uint8), np.full(3, 6.0), np.array([0.0, 0.1, 0.9]))
    assert found[0, 0] == pytest.approx(216 / (4 / 3 * np.pi * 0.1**3))
    assert found[0, 1] == 0


def test_edges_beyond_half_the_box_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="half the shortest"):
        distinct_van_hove(START, MOVED, SPECIES, BOX, np.array([0, 2.5]))


@pytest.mark.parametrize("hop", [3, 20, 23, 40, 70])
def test_a_crystal_whose_particles_have_hopped_by_lattice_vectors(hop: int) -> None:
    # A hop along the diagonal: each start finds one particle at its place, another one unless the hop is a period.
    sites, spacings = 10, np.round(np.arange(0.8, 1.3, 0.01), 3)
    grid = np.stack(np.meshgrid(*[np.arange(sites)] * 3, indexing="ij"), -1).reshape(-1, 3)
    for spacing in spacings:
        box = np.full(3, sites * spacing)
        start, moved = grid * spacing, np.full((sites**3, 3), hop * spacing)
        edges = np.array([0.0, 0.5 * spacing, 1.2 * spacing])
        found = distinct_van_hove(start, moved, np.zeros(sites**3, np.uint8), box, edges)[0]
        shells = 4 / 3 * np.pi * np.diff(edges**3) / np.prod(box) * (sites**3 - 1)
        np.testing.assert_allclose(found * shells, [hop % sites > 0, 6], rtol=1e-12)
