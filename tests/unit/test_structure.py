"""Radial distribution functions and structure factors: lattices, random points, loops."""

from itertools import pairwise

import numpy as np
import pytest

from glassformer.core.errors import ConfigurationError
from glassformer.observables.structure import radial_distribution, structure_factor, total_structure_factor
from glassformer.physics.box import minimum_image
from tests.conftest import random_mixture

BOX = np.array([4.0, 5.0, 6.0])


def small(particles: int = 30) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    return random.uniform(0, BOX, (particles, 3)), (random.random(particles) < 0.5).astype(np.uint8)


def test_radial_distribution_against_a_loop() -> None:
    positions, species = small()
    edges = np.array([0.0, 0.9, 1.3, 1.6, 2.0])
    expected = np.zeros((3, 4))
    for column, (low, high) in enumerate(pairwise(edges)):
        for row, kinds in enumerate(([0, 0], [0, 1], [1, 1])):
            pairs = found = 0
            for i in range(len(positions)):
                for j in range(i):
                    if sorted([species[i], species[j]]) == kinds:
                        pairs += 1
                        found += low < np.linalg.norm(minimum_image(positions[i] - positions[j], BOX)) <= high
            expected[row, column] = found / (pairs * 4 / 3 * np.pi * (high**3 - low**3) / np.prod(BOX))
    assert (expected > 0).all()
    np.testing.assert_allclose(radial_distribution(positions, species, BOX, edges), expected)


def test_an_ideal_gas_has_g_of_one() -> None:
    # Few particles, so that N^2 in place of N (N - 1) would be 10 % low for B. Counts are near Poisson.
    edges = np.array([0.0, 1.0, 1.5, 2.0])
    gases = [random_mixture(50, seed, 50 / 64) for seed in range(400)]
    found = np.mean([radial_distribution(gas.positions, gas.species, gas.box, edges) for gas in gases], 0)
    pairs = 400 * np.array([40 * 39 / 2, 40 * 10, 10 * 9 / 2])
    error = 1 / np.sqrt(pairs[:, None] * 4 / 3 * np.pi * np.diff(edges**3) / 64)
    assert (error < 0.04).all()
    assert (np.abs(found - 1) < 4 * error).all()


def test_shells_of_a_cubic_lattice() -> None:
    # 6 neighbours at 1, 12 at sqrt 2, counted by g rho V_shell (N - 1) / N.
    sites = np.stack(np.meshgrid(*[np.arange(6.0)] * 3, indexing="ij"), -1).reshape(-1, 3)
    edges = np.array([0.5, 1.2, 1.5, 1.6])
    found = radial_distribution(sites, np.zeros(216, np.uint8), np.full(3, 6.0), edges)
    neighbors = found[0] * 4 / 3 * np.pi * np.diff(edges**3) * 215 / 216
    np.testing.assert_allclose(neighbors, [6, 12, 0], atol=1e-9)
    assert np.isnan(found[1:]).all()


@pytest.mark.parametrize(
    ("edges", "match"),
    [
        ([0, 1, 2.1], "half the shortest"),
        ([0, 1, 1], "not increasing"),
        ([-1, 1], "not increasing"),
        ([1], "not increasing"),
    ],
)
def test_edges_that_cannot_be(edges: list[float], match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        radial_distribution(*small(), BOX, np.array(edges, np.float64))


def naive_structure_factor(
    positions: np.ndarray, species: np.ndarray, box: np.ndarray, largest: float
) -> tuple[list[float], list[list[float]]]:
    shells: dict[int, list[tuple[float, list[float]]]] = {}
    limit = int(largest * box.max() / (2 * np.pi)) + 1
    for numbers in np.ndindex(*[2 * limit + 1] * 3):
        k = 2 * np.pi * (np.array(numbers) - limit) / box
        length = float(np.linalg.norm(k))
        if 0 < length <= largest:
            a, b = (sum(np.exp(1j * (k @ r)) for r in positions[species == kind]) for kind in (0, 1))
            values = [float((x * np.conj(y)).real) / len(positions) for x, y in ((a, a), (a, b), (b, b))]
            shells.setdefault(round(length * box.max() / (2 * np.pi)), []).append((length, values))
    ordered = [shells[number] for number in sorted(shells)]
    wave_numbers = [float(np.mean([length for length, _ in shell])) for shell in ordered]
    return wave_numbers, [np.mean([values for _, values in shell], 0).tolist() for shell in ordered]


@pytest.mark.parametrize("box", [BOX, np.full(3, 4.0)])
def test_structure_factor_against_a_loop(box: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassformer.observables.structure._BLOCK", 7)
    positions, species = small()
    wave_numbers, partials = structure_factor(positions, species, box, 5.9)
    expected = naive_structure_factor(positions, species, box, 5.9)
    np.testing.assert_allclose(wave_numbers, expected[0])
    np.testing.assert_allclose(partials, expected[1], atol=1e-12)


def test_peaks_of_a_cubic_lattice() -> None:
    # S = N at the reciprocal vectors 2 pi n, and 0 between.
    sites = np.stack(np.meshgrid(*[np.arange(4.0)] * 3, indexing="ij"), -1).reshape(-1, 3)
    wave_numbers, partials = structure_factor(sites, np.zeros(64, np.uint8), np.full(3, 4.0), 6.4)
    np.testing.assert_allclose(partials[:-1, 0], 0, atol=1e-9)
    # 258 vectors have a length of 3.5 to 4 units (|k| <= 6.4 is 4.07), six of them reciprocal vectors.
    units = np.linalg.norm(np.stack(np.meshgrid(*[np.arange(-5, 6)] * 3), -1), axis=-1)
    in_shell = ((units > 3.5) & (units <= 6.4 * 4 / (2 * np.pi))).sum()
    assert partials[-1, 0] == pytest.approx(64 * 6 / in_shell)
    assert (np.diff(wave_numbers) > 0).all()
    np.testing.assert_array_equal(partials[:, 1:], 0)


def test_total_structure_factor_is_that_of_one_species() -> None:
    positions, species = small()
    _, partials = structure_factor(positions, species, BOX, 6.0)
    _, alike = structure_factor(positions, np.zeros_like(species), BOX, 6.0)
    np.testing.assert_allclose(total_structure_factor(partials), alike[:, 0])


def test_no_wave_vector_is_so_short() -> None:
    with pytest.raises(ConfigurationError, match="shortest wave vector"):
        structure_factor(*small(), BOX, 1.0)
