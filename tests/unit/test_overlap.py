"""Overlap, chi_4 and the moments of the displacements, on exact cases and against loops."""

import numpy as np
import pytest

from glassformer.observables.displacements import mean_squared_displacement, non_gaussian, quartic_displacement
from glassformer.observables.overlap import dynamic_susceptibility, overlap
from glassformer.observables.species import mean_by_species

SPECIES = np.array([0, 0, 1, 0, 1], np.uint8)


def test_mean_by_species() -> None:
    np.testing.assert_array_equal(mean_by_species(np.array([1.0, 2.0, 3.0, 6.0, 5.0]), SPECIES), [3, 4])
    np.testing.assert_array_equal(mean_by_species(np.array([7.0]), np.zeros(1, np.uint8)), [7, np.nan])


def test_overlap_counts_who_stayed_within_the_length() -> None:
    displacements = np.array([[0.29, 0, 0], [0.2, 0.2, 0.2], [0, 0, -0.1], [0, -0.31, 0], [0.1, 0.1, 0.1]])
    np.testing.assert_allclose(overlap(displacements, SPECIES), [1 / 3, 1])
    np.testing.assert_allclose(overlap(displacements, SPECIES, 0.4), [1, 1])


def test_overlap_against_a_loop() -> None:
    displacements = np.random.default_rng(0).normal(0, 0.2, (5, 3))
    expected = [
        np.mean([float(np.linalg.norm(d) < 0.3) for d, s in zip(displacements, SPECIES, strict=True) if s == kind])
        for kind in (0, 1)
    ]
    assert 0 < sum(expected) < 2
    np.testing.assert_allclose(overlap(displacements, SPECIES), expected)


def test_overlap_of_an_absent_species_is_nan() -> None:
    found = overlap(np.zeros((4, 3)), np.ones(4, np.uint8))
    assert np.isnan(found[0])
    assert found[1] == 1


def test_susceptibility_of_two_runs() -> None:
    # Unbiased variance of {a, b} is (a - b)^2 / 2.
    found = dynamic_susceptibility(np.array([[1.0, 0.5], [1.0, 0.3]]), 100)
    np.testing.assert_allclose(found, [0, 100 * 0.2**2 / 2], atol=1e-12)


def test_susceptibility_of_independent_particles() -> None:
    # Q = n / N with n binomial: N var(Q) = p (1 - p); a variance from R runs has relative error sqrt(2 / R).
    runs, particles, share = 20_000, 50, 0.3
    stayed = np.random.default_rng(2).binomial(particles, share, (runs, 1))
    found = dynamic_susceptibility(stayed / particles, particles)
    assert found[0] == pytest.approx(share * (1 - share), rel=4 * np.sqrt(2 / runs))


def test_susceptibility_of_one_run_is_unknown() -> None:
    assert np.isnan(dynamic_susceptibility(np.ones((1, 3)), 10)).all()


def test_quartic_displacement_against_a_loop() -> None:
    displacements = np.random.default_rng(0).normal(size=(5, 3))
    expected = [
        np.mean([np.linalg.norm(d) ** 4 for d, s in zip(displacements, SPECIES, strict=True) if s == kind])
        for kind in (0, 1)
    ]
    np.testing.assert_allclose(quartic_displacement(displacements, SPECIES), expected)


def test_gaussian_displacements_have_no_non_gaussian_parameter() -> None:
    displacements = np.random.default_rng(1).normal(0, 0.2, (200_000, 3))
    species = np.zeros(200_000, np.uint8)
    msd = mean_squared_displacement(displacements, species)
    found = non_gaussian(msd, quartic_displacement(displacements, species))
    # <r^4> and <r^2>^2 of a Gaussian: 15 and 9 s^4; the standard error is below 3 / sqrt(N).
    assert found[0] == pytest.approx(0, abs=4 * 3 / np.sqrt(200_000))
    assert np.isnan(found[1])


def test_equal_steps_have_the_smallest_non_gaussian_parameter() -> None:
    # All |r| equal: <r^4> = <r^2>^2.
    np.testing.assert_allclose(non_gaussian(np.array([0.3]), np.array([0.09])), [-0.4])


def test_nothing_moved() -> None:
    assert np.isnan(non_gaussian(np.zeros(2), np.zeros(2))).all()
