"""Displacement observables and the relaxation time, on exact cases."""

import numpy as np
import pytest

from glassformer.observables.displacements import mean_squared_displacement, self_scattering
from glassformer.observables.relaxation import relaxation_time

SPECIES = np.array([0, 0, 1, 0, 1], np.uint8)
WAVE_NUMBERS = (7.25, 5.5)


def test_msd_by_species_against_a_loop() -> None:
    displacements = np.random.default_rng(0).normal(size=(5, 3))
    expected = [np.mean([d @ d for d, s in zip(displacements, SPECIES, strict=True) if s == kind]) for kind in (0, 1)]
    np.testing.assert_allclose(mean_squared_displacement(displacements, SPECIES), expected)


def test_an_absent_species_gives_nan() -> None:
    found = mean_squared_displacement(np.ones((4, 3)), np.zeros(4, np.uint8))
    assert found[0] == 3
    assert np.isnan(found[1])


def test_scattering_of_a_common_shift() -> None:
    # Everything moved by (a, 0, 0): F_s = (cos(k a) + 2) / 3.
    displacements = np.tile([0.2, 0.0, 0.0], (5, 1))
    expected = [(np.cos(k * 0.2) + 2) / 3 for k in WAVE_NUMBERS]
    np.testing.assert_allclose(self_scattering(displacements, SPECIES, WAVE_NUMBERS), expected)


def test_scattering_of_gaussian_displacements() -> None:
    # F_s = exp(-k^2 <x^2> / 2); standard error of the mean below 1 / sqrt(2 x 300000).
    random = np.random.default_rng(1)
    found = self_scattering(random.normal(0, 0.15, (100_000, 3)), np.zeros(100_000, np.uint8), WAVE_NUMBERS)
    assert found[0] == pytest.approx(np.exp(-(7.25**2) * 0.15**2 / 2), abs=4 / np.sqrt(600_000))


def test_relaxation_time_of_an_exponential() -> None:
    times = np.geomspace(0.01, 100, 200)
    assert relaxation_time(times, np.exp(-times / 7.0)) == pytest.approx(7.0, rel=1e-3)


def test_no_relaxation_within_the_observation_gives_nan() -> None:
    times = np.geomspace(0.01, 1, 20)
    assert np.isnan(relaxation_time(times, np.exp(-times / 7.0)))
