"""The correlation length of mobilities against fields of known correlation."""

import numpy as np
import pytest

from glassformer.core.errors import ConfigurationError
from glassformer.observables.mobility_correlation import correlation_length, mobility_correlation

EDGE = 15.0
BOX = np.full(3, EDGE)


def field(positions: np.ndarray, length: float, random: np.random.Generator) -> np.ndarray:
    """A periodic Gaussian field with the correlation exp(-r / xi): modes of variance 1 / (1 + q^2 xi^2)^2."""
    numbers = np.stack(np.meshgrid(*[np.arange(-7, 8)] * 3, indexing="ij"), -1).reshape(-1, 3)
    vectors = numbers[len(numbers) // 2 + 1 :] * 2 * np.pi / EDGE
    spread = 1 / (1 + (vectors**2).sum(1) * length**2)
    phases = positions @ vectors.T
    return np.cos(phases) @ (spread * random.normal(size=len(spread))) + np.sin(phases) @ (
        spread * random.normal(size=len(spread))
    )


def averaged(mobilities_of: object, seeds: int, particles: int = 1200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    found = []
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        positions = random.random((particles, 3)) * EDGE
        found.append(mobility_correlation(positions, mobilities_of(positions, random), BOX, EDGE / 3))  # type: ignore[operator]
    return found[0][0], np.mean([one[1] for one in found], 0), np.sum([one[2] for one in found], 0)


def test_the_correlation_of_five_particles_by_hand() -> None:
    positions = np.array([[0.1, 5, 5], [14.6, 5, 5], [1.2, 5, 5], [8.0, 8, 8], [8.0, 8, 11.1]])
    mobility = np.array([3.0, 1.0, 2.0, 0.0, -1.0])
    distances, correlation, pairs = mobility_correlation(positions, mobility[:, None], BOX, 5.0)
    assert len(distances) == 20
    assert pairs.sum() == 4
    fluctuation = mobility - 1
    # 0 and 1 through the boundary at 0.5, 0 and 2 at 1.1, 1 and 2 at 1.6, 3 and 4 at 3.1; <dmu^2> = 2.
    for place, product in ((2, 2 * 0), (4, 2 * 1), (6, 0 * 1), (12, (-1) * (-2))):
        assert correlation[0, place] == pytest.approx(product / (fluctuation**2).mean())
        assert pairs[place] == 1
    assert np.isnan(correlation[0, 0])


@pytest.mark.long
@pytest.mark.parametrize("length", [1.0, 1.5, 2.5])
def test_the_length_of_a_field_with_an_exponential_correlation(length: float) -> None:
    distances, correlation, pairs = averaged(lambda r, random: field(r, length, random)[:, None], 12)
    # Sets of 12 such fields scatter by 4 % for xi = 1 and 1.5.
    assert correlation_length(distances, correlation[0], pairs, BOX) == pytest.approx(length, rel=0.2)


def test_noise_that_particles_do_not_share_changes_the_amplitude_and_not_the_length() -> None:
    def clean_and_noisy(positions: np.ndarray, random: np.random.Generator) -> np.ndarray:
        clean = field(positions, 1.5, random)
        return np.stack([clean, clean + clean.std() * random.normal(size=len(clean))], 1)

    distances, correlation, pairs = averaged(clean_and_noisy, 12)
    clean, noisy = (correlation_length(distances, one, pairs, BOX) for one in correlation)
    assert noisy == pytest.approx(clean, rel=0.1)
    assert correlation[1, 4:8].mean() == pytest.approx(correlation[0, 4:8].mean() / 2, rel=0.1)


def test_shifts_scales_and_periods_change_nothing() -> None:
    random = np.random.default_rng(3)
    positions = random.random((500, 3)) * EDGE
    mobility = field(positions, 2.0, random)[:, None]
    expected = mobility_correlation(positions, mobility, BOX, 5.0)[1]
    moved = positions + np.array([3.3, -20.1, 40.0])
    np.testing.assert_allclose(mobility_correlation(moved, 3 - 7 * mobility, BOX, 5.0)[1], expected, atol=1e-10)


def test_independent_mobilities_have_no_length() -> None:
    distances, correlation, pairs = averaged(lambda r, random: random.normal(size=(len(r), 1)), 4)
    assert abs(correlation[0, 4:]).max() < 4 / np.sqrt(pairs[4:].min())
    assert np.isnan(correlation_length(distances, correlation[0], pairs, BOX))


def test_a_correlation_within_its_noise_has_no_length() -> None:
    distances = np.arange(0.125, 5, 0.25)
    weak = 0.02 * np.exp(-distances / 2)
    few, many = np.full(20, 100), np.full(20, 100_000)
    assert np.isnan(correlation_length(distances, weak, few, BOX))
    assert np.isfinite(correlation_length(distances, weak, many, BOX))


def test_mobilities_in_a_plane() -> None:
    random = np.random.default_rng(4)
    box = np.array([20.0, 20.0, 1.0])
    positions = np.concatenate([random.random((400, 2)) * 20, np.zeros((400, 1))], 1)
    distances, _, pairs = mobility_correlation(positions, random.random((400, 1)), box, 20 / 3, dimension=2)
    assert pairs.sum() == pytest.approx(400 * 399 / 2 * np.pi * 6.5**2 / 400, rel=0.05)
    # An infinite plane's exp(-r / 2), less its mean over the box: 2 pi xi^2 / L^2, cut at L / 2.
    mean = 2 * np.pi * 4 / 400 * (1 - np.exp(-5) * 6)
    exact = 0.7 * (np.exp(-distances / 2) - mean)
    assert correlation_length(distances, exact, pairs, box, dimension=2) == pytest.approx(2.0, rel=1e-4)


def test_small_boxes_have_no_length_and_wrong_arrays_are_refused() -> None:
    distances, correlation, pairs = mobility_correlation(np.eye(3), np.arange(3.0)[:, None], np.full(3, 5.0), 5 / 3)
    assert np.isnan(correlation_length(distances, correlation[0], pairs, np.full(3, 5.0)))
    with pytest.raises(ConfigurationError, match=r"mobilities of shape \(2,\); expected \(N, 3\) and"):
        mobility_correlation(np.ones((2, 3)), np.ones(2), BOX, 5.0)
    with pytest.raises(ConfigurationError, match="got distances up to 8; expected at most half"):
        mobility_correlation(np.ones((2, 3)), np.ones((2, 1)), BOX, 8.0)
