"""Observables in two dimensions: known functions, lattices, ideal gases, loops."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.special import j0

from glassformer.core.errors import ConfigurationError
from glassformer.observables.displacements import (
    mean_squared_displacement,
    non_gaussian,
    quartic_displacement,
    self_scattering,
)
from glassformer.observables.scattering import collective_scattering
from glassformer.observables.species import species_pairs
from glassformer.observables.structure import radial_distribution, structure_factor, total_structure_factor
from glassformer.observables.van_hove import distinct_van_hove, self_van_hove
from glassformer.observables.wave_vectors import wave_vectors
from glassformer.physics.box import minimum_image

BOX = np.array([5.0, 6.0, 1.0])
PLANE = np.array([1.0, 1.0, 0.0])
RANDOM = np.random.default_rng(12)
START = RANDOM.uniform(0, BOX, (40, 3)) * PLANE
SPECIES = RANDOM.permutation(np.arange(40) % 3).astype(np.uint8)
MOVED = RANDOM.normal(0, 0.8, (40, 3)) * PLANE
EDGES = np.array([0.0, 0.9, 1.3, 1.9, 2.5])


def square(side: int, spacing: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    sites = np.stack(np.meshgrid(*[np.arange(side)] * 2, [0], indexing="ij"), -1).reshape(-1, 3)
    return sites * spacing, np.array([side * spacing, side * spacing, 1.0])


def triangular(cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours at distance 1."""
    corners = np.stack(np.meshgrid(*[np.arange(cells)] * 2, [0], indexing="ij"), -1).reshape(-1, 1, 3)
    edges = np.array([1.0, np.sqrt(3), 1.0])
    sites = (corners + np.array([[0, 0, 0], [0.5, 0.5, 0]])) * edges
    return sites.reshape(-1, 3), edges * [cells, cells, 1]


@pytest.mark.parametrize("distance", [0.1, 0.37, 1.1])
def test_scattering_of_equal_steps_in_all_directions_is_the_bessel_function(distance: float) -> None:
    angles = 2 * np.pi * np.arange(64) / 64
    displacements = distance * np.stack([np.cos(angles), np.sin(angles), np.zeros(64)], 1)
    found = self_scattering(displacements, np.zeros(64, np.uint8), [7.25], 2)
    np.testing.assert_allclose(found, [j0(7.25 * distance)], atol=1e-12)


@pytest.mark.parametrize("distance", [0.1, 0.37, 1.1])
def test_scattering_of_equal_steps_in_three_dimensions(distance: float) -> None:
    # Midpoints of 400 slices of equal area: the mean over directions is right to about (k r)^2 / (24 x 400^2).
    height, angle = np.meshgrid((np.arange(400) + 0.5) / 200 - 1, 2 * np.pi * np.arange(64) / 64)
    across = np.sqrt(1 - height**2)
    displacements = distance * np.stack([across * np.cos(angle), across * np.sin(angle), height], -1).reshape(-1, 3)
    found = self_scattering(displacements, np.zeros(len(displacements), np.uint8), [7.25])
    np.testing.assert_allclose(found, [np.sin(7.25 * distance) / (7.25 * distance)], atol=1e-4)


def test_gaussian_displacements() -> None:
    displacements = np.random.default_rng(1).normal(0, 0.2, (200_000, 3)) * PLANE
    species = np.zeros(200_000, np.uint8)
    msd, quartic = (one(displacements, species, 1) for one in (mean_squared_displacement, quartic_displacement))
    assert msd[0] == pytest.approx(2 * 0.04, rel=4 / np.sqrt(200_000))
    # <r^4> = 8 s^4; the standard error of the ratio is below 3 / sqrt(N).
    assert non_gaussian(msd, quartic, 2)[0] == pytest.approx(0, abs=4 * 3 / np.sqrt(200_000))
    found = self_scattering(displacements, species, (5.5,), 2)
    assert found[0] == pytest.approx(np.exp(-(5.5**2) * 0.04 / 2), abs=4 / np.sqrt(400_000))
    edges = np.linspace(0, 1, 51)
    r = (edges[1:] + edges[:-1]) / 2
    expected = 2 * np.pi * r * np.exp(-(r**2) / 0.08) / (2 * np.pi * 0.04)
    error = np.sqrt(expected / (200_000 * 0.02))
    assert (np.abs(self_van_hove(displacements, species, edges, 1)[0] - expected) < 4 * error + 0.01).all()


def test_equal_steps_have_the_smallest_non_gaussian_parameter() -> None:
    np.testing.assert_allclose(non_gaussian(np.array([0.3]), np.array([0.09]), 2), [-0.5])


def test_pairs_against_a_loop() -> None:
    expected, still = np.zeros((2, 6, 4))
    for rows, end in ((expected, START + MOVED), (still, START)):
        for row, kinds in zip(rows, species_pairs(3), strict=True):
            distances = np.array([
                np.linalg.norm(minimum_image(end[j] - START[i], BOX)[:2])
                for i in range(40)
                for j in range(40)
                if i != j and tuple(sorted([SPECIES[i], SPECIES[j]])) == kinds
            ])  # fmt: skip
            for column, (low, high) in enumerate(pairwise(EDGES)):
                found = ((distances > low) & (distances <= high)).sum()
                row[column] = found / (len(distances) * np.pi * (high**2 - low**2) / 30)
    assert (expected > 0).all()
    np.testing.assert_allclose(distinct_van_hove(START, MOVED, SPECIES, BOX, EDGES, dimension=2), expected)
    np.testing.assert_allclose(radial_distribution(START, SPECIES, BOX, EDGES, dimension=2), still)


def test_an_ideal_gas_has_g_of_one() -> None:
    edges, species = np.array([0.0, 1.0, 1.5, 2.5]), np.repeat(np.arange(3), [30, 20, 10]).astype(np.uint8)
    gases = np.random.default_rng(3).uniform(0, BOX, (400, 60, 3)) * PLANE
    found = np.mean([radial_distribution(gas, species, BOX, edges, dimension=2) for gas in gases], 0)
    pairs = 400 * np.array([30 * 29 / 2, 30 * 20, 30 * 10, 20 * 19 / 2, 20 * 10, 10 * 9 / 2])
    # Counts are near Poisson.
    error = 1 / np.sqrt(pairs[:, None] * np.pi * np.diff(edges**2) / 30)
    assert (error < 0.03).all()
    assert (np.abs(found - 1) < 4 * error).all()


def test_an_ideal_gas_has_no_structure() -> None:
    # S_ab = delta_ab N_a / N: |rho_a|^2 / N_a is exponentially distributed, of mean and spread 1.
    species, gases = np.repeat(np.arange(3), [30, 20, 10]).astype(np.uint8), 300
    points = np.random.default_rng(4).uniform(0, BOX, (gases, 60, 3)) * PLANE
    found = np.stack([structure_factor(gas, species, BOX, 8.0, dimension=2)[1] for gas in points])
    expected = [1 / 2, 0, 0, 1 / 3, 0, 1 / 6]
    assert (found.std(0) > 0).all()
    assert (np.abs(found.mean(0) - expected) < 4.5 * found.std(0) / np.sqrt(gases)).all()
    total = total_structure_factor(found)
    assert (np.abs(total.mean(0) - 1) < 4.5 * total.std(0) / np.sqrt(gases)).all()


def test_shells_of_lattices() -> None:
    for (sites, box), distances, expected in (
        (square(8), [1, np.sqrt(2), 2, np.sqrt(5)], [4, 4, 4, 8]),
        (triangular(6), [1, np.sqrt(3), 2, np.sqrt(7)], [6, 6, 6, 12]),
    ):
        edges = np.array([0.1, *np.repeat(distances, 2)])
        edges[1::2] -= 0.05
        edges[2::2] += 0.05
        found = radial_distribution(sites, np.zeros(len(sites), np.uint8), box, edges, 1, 2)
        assert found.shape == (1, 8)
        others = (len(sites) - 1) / np.prod(box)
        neighbors = found[0] * np.pi * np.diff(edges**2) * others
        np.testing.assert_allclose(neighbors[1::2], expected)
        np.testing.assert_array_equal(neighbors[::2], 0)


def test_peaks_of_a_square_lattice() -> None:
    # S = N at the reciprocal vectors 2 pi n, four in the last shell, and 0 between.
    sites, box = square(5)
    wave_numbers, partials = structure_factor(sites, np.zeros(25, np.uint8), box, 6.4, 1, 2)
    units = np.linalg.norm(np.stack(np.meshgrid(*[np.arange(-6, 7)] * 2), -1), axis=-1)
    in_shell = ((units > 4.5) & (units <= 6.4 * 5 / (2 * np.pi))).sum()
    np.testing.assert_allclose(partials[:-1, 0], 0, atol=1e-9)
    assert partials[-1, 0] == pytest.approx(25 * 4 / in_shell)
    assert (np.diff(wave_numbers) > 0).all()


def test_structure_factor_against_a_loop() -> None:
    shells: dict[int, list[list[float]]] = {}
    for numbers in np.ndindex(17, 17):
        k = 2 * np.pi * (np.array(numbers) - 8) / BOX[:2]
        if 0 < np.linalg.norm(k) <= 7:
            rho = [np.exp(1j * START[kind == SPECIES, :2] @ k).sum() for kind in range(3)]
            values = [(rho[a] * rho[b].conj()).real / 40 for a, b in species_pairs(3)]
            length = float(np.linalg.norm(k))
            shells.setdefault(round(length * 6 / (2 * np.pi)), []).append([length, *values])
    expected = np.array([np.mean(shells[number], 0) for number in sorted(shells)])
    wave_numbers, partials = structure_factor(START, SPECIES, BOX, 7.0, dimension=2)
    np.testing.assert_allclose(wave_numbers, expected[:, 0])
    np.testing.assert_allclose(partials, expected[:, 1:], atol=1e-12)


def test_wave_vectors_lie_in_the_plane() -> None:
    found = wave_vectors(np.array([2 * np.pi, 2 * np.pi, 1.0]), 1.2, 0.3, 2)
    # Lengths 0.9 to 1.5: <10> and <11>, one of each pair, 2 + 2.
    assert sorted(np.round((found**2).sum(1)).tolist()) == [1, 1, 2, 2]
    assert len({tuple(np.rint(sign * k)) for k in found for sign in (1, -1)}) == 8
    # The reciprocal vector along z is no wave vector.
    far = wave_vectors(BOX, 2 * np.pi, 0.6, 2)
    assert not far[:, 2].any()
    with pytest.raises(ConfigurationError, match=r"along an edge are 1\.0472 apart"):
        wave_vectors(BOX, 0.5, 0.2, 2)


def test_coherent_scattering_against_a_loop() -> None:
    # The reciprocal vector along z would have this length, too.
    vectors, end = wave_vectors(BOX, 2 * np.pi, 0.5, 2), START + MOVED
    expected = []
    for kind in range(3):
        members = np.flatnonzero(kind == SPECIES)
        values = [np.cos(vectors @ (end[i] - START[j])).mean() for i in members for j in members]
        expected.append(sum(values) / len(members))
    found = collective_scattering(START, MOVED, SPECIES, BOX, 2 * np.pi, 0.5, dimension=2)
    np.testing.assert_allclose(found, expected)


def test_coherent_scattering_at_time_zero_is_the_structure_factor() -> None:
    box, unit = np.array([6.0, 6.0, 1.0]), 2 * np.pi / 6
    found = collective_scattering(START, 0 * MOVED, SPECIES, box, 2 * unit, 0.49 * unit, dimension=2)
    _, partials = structure_factor(START, SPECIES, box, 2.499 * unit, dimension=2)
    np.testing.assert_allclose(found, partials[1, [0, 3, 5]] * 40 / np.bincount(SPECIES))


def test_only_the_edges_of_the_plane_count() -> None:
    radial_distribution(START, SPECIES, BOX, np.array([0, 2.5]), dimension=2)
    with pytest.raises(ConfigurationError, match=r"half the shortest box edge, 2\.5"):
        radial_distribution(START, SPECIES, BOX, np.array([0, 2.6]), dimension=2)
    with pytest.raises(ConfigurationError, match=r"shortest wave vector of the box is 1\.0472"):
        structure_factor(START, SPECIES, BOX, 1.0, dimension=2)


OBSERVABLES: dict[str, Callable[[Any, Any, Any, int], Any]] = {
    "g(r)": lambda x, moves, box, d: radial_distribution(x, SPECIES, box, EDGES, dimension=d),
    "S(k)": lambda x, moves, box, d: structure_factor(x, SPECIES, box, 7.0, dimension=d),
    "distinct": lambda x, moves, box, d: distinct_van_hove(x, moves, SPECIES, box, EDGES, dimension=d),
    "coherent": lambda x, moves, box, d: collective_scattering(x, moves, SPECIES, box, 4, 0.5, dimension=d),
}


@pytest.mark.parametrize("name", OBSERVABLES)
def test_another_dimension_is_refused(name: str) -> None:
    observable = OBSERVABLES[name]
    observable(START, MOVED, BOX, 2)
    with pytest.raises(ConfigurationError, match="two-dimensional; expected three dimensions"):
        observable(START, MOVED, BOX, 3)
    with pytest.raises(ConfigurationError, match="got dimension = 4; expected 2 or 3"):
        observable(START, MOVED, BOX, 4)
    deep = RANDOM.uniform(0, 6, (40, 3))
    with pytest.raises(ConfigurationError, match=r"in a box of edge 6 along z; expected z = 0 and a box edge of 1"):
        observable(deep, MOVED, np.full(3, 6.0), 2)
    if name in ("distinct", "coherent"):
        with pytest.raises(ConfigurationError, match=r"with z from .*; expected z = 0"):
            observable(START, deep, BOX, 2)


def test_scattering_of_steps_out_of_the_plane_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"got displacements with z from 0\.3 to 0\.3; expected z = 0"):
        self_scattering(np.full((4, 3), 0.3), np.zeros(4, np.uint8), (7.25,), 2)
