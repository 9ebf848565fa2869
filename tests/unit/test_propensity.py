"""Propensity and the ceiling of its correlation, on draws whose noise is known."""

import numpy as np
import pytest

from glassformer.observables.propensity import moment_ceiling, propensity, split_half_ceiling

DRAWS, PARTICLES, SPREAD, NOISE = 16, 40_000, 0.1, 0.3


def draws(number: int = DRAWS, particles: int = PARTICLES, spread: float = SPREAD, noise: float = NOISE) -> np.ndarray:
    """Displacements along random directions whose length is 3 + spread g_i + noise g_di."""
    random = np.random.default_rng(5)
    lengths = 3 + spread * random.normal(size=particles) + noise * random.normal(size=(number, particles))
    directions = random.normal(size=(number, particles, 3))
    return directions / np.linalg.norm(directions, axis=2, keepdims=True) * lengths[..., None]


def moments(displacements: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.linalg.norm(displacements, axis=2)
    return lengths.mean(0), (lengths**2).mean(0)


def test_propensity_against_a_loop() -> None:
    displacements = np.random.default_rng(0).normal(size=(3, 5, 3))
    expected = [np.mean([np.linalg.norm(displacements[d, i]) for d in range(3)]) for i in range(5)]
    np.testing.assert_allclose(propensity(displacements), expected)


@pytest.mark.parametrize("number", [2, 3, 15, 16])
def test_both_ceilings_are_the_known_one(number: int) -> None:
    # sqrt(spread^2 / (spread^2 + noise^2 / D)); a correlation of N particles is known to 1 / sqrt(N) = 0.005.
    exact = np.sqrt(SPREAD**2 / (SPREAD**2 + NOISE**2 / number))
    displacements = draws(number)
    assert split_half_ceiling(displacements, np.zeros(PARTICLES, np.uint8)) == pytest.approx(exact, abs=0.02)
    assert moment_ceiling(*moments(displacements), number) == pytest.approx(exact, abs=0.02)


def test_the_truth_reaches_the_ceiling() -> None:
    truth = SPREAD * np.random.default_rng(5).normal(size=PARTICLES)
    reached = np.corrcoef(truth, propensity(draws()))[0, 1]
    assert moment_ceiling(*moments(draws()), DRAWS) == pytest.approx(reached, abs=0.01)


def test_two_draws_have_one_halving() -> None:
    displacements = draws(2, 200, 0.3)
    first, second = np.linalg.norm(displacements, axis=2)
    correlation = np.corrcoef(first, second)[0, 1]
    expected = np.sqrt(2 * correlation / (1 + correlation))
    assert split_half_ceiling(displacements, np.zeros(200, np.uint8)) == pytest.approx(expected)


def test_only_a_particles_count() -> None:
    displacements = draws(4, 300, 0.3)
    species = np.repeat(np.array([0, 1], np.uint8), [200, 100])
    expected = split_half_ceiling(displacements[:, :200], species[:200])
    displacements[:, 200:] *= 5
    assert split_half_ceiling(displacements, species) == expected


def test_the_halvings_are_those_of_the_seed() -> None:
    displacements, species = draws(8, 100), np.zeros(100, np.uint8)
    assert split_half_ceiling(displacements, species, 1) == split_half_ceiling(displacements, species, 1)
    assert split_half_ceiling(displacements, species, 1) != split_half_ceiling(displacements, species, 2)


def test_draws_without_noise_have_no_ceiling_below_one() -> None:
    displacements = draws(4, 100, 0.3, 0.0)
    assert split_half_ceiling(displacements, np.zeros(100, np.uint8)) == pytest.approx(1)
    assert moment_ceiling(*moments(displacements), 4) == pytest.approx(1)


def test_nothing_to_predict() -> None:
    # Two draws whose deviations are opposite: r = -1, and the noise exceeds the variance of the means.
    lengths = np.array([[1.0, 2, 3.01], [3, 2, 1]])
    displacements = lengths[..., None] * np.array([1.0, 0, 0])
    assert split_half_ceiling(displacements, np.zeros(3, np.uint8)) == 0
    assert moment_ceiling(*moments(displacements), 2) == 0


def test_too_few_draws_or_particles_or_no_variance() -> None:
    species = np.zeros(10, np.uint8)
    assert np.isnan(split_half_ceiling(draws(1, 10), species))
    assert np.isnan(split_half_ceiling(draws(4, 10), np.ones(10, np.uint8)))
    assert np.isnan(split_half_ceiling(np.ones((4, 10, 3)), species))
    assert np.isnan(moment_ceiling(*moments(draws(1, 10)), 1))
    assert np.isnan(moment_ceiling(np.ones(1), np.ones(1), 4))
    assert np.isnan(moment_ceiling(np.ones(10), np.ones(10), 4))
