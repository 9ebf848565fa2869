"""Moments of the displacements and self part of the intermediate scattering function, by species."""

import numpy as np

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.observables.species import mean_by_species
from glassformer.physics.checks import check_vectors

# First peak of the structure factor of each species, where F_s is measured. A: W. Kob and H. C. Andersen, Phys. Rev. E
# 52, 4134 (1995); B: gamdpy's science tests.
WAVE_NUMBERS = (7.25, 5.5)


def mean_squared_displacement(displacements: FloatArray, species: ByteArray) -> FloatArray:
    """Return <|r(t) - r(0)|^2> of A and of B, (2,), from unwrapped `displacements` (N, 3).

    NaN for a species that is absent.
    """
    check_vectors("displacements", displacements, species)
    return mean_by_species((displacements**2).sum(1), species)


def quartic_displacement(displacements: FloatArray, species: ByteArray) -> FloatArray:
    """Return <|r(t) - r(0)|^4> of A and of B, (2,), from unwrapped `displacements` (N, 3).

    NaN for a species that is absent.
    """
    check_vectors("displacements", displacements, species)
    return mean_by_species((displacements**2).sum(1) ** 2, species)


def non_gaussian(msd: FloatArray, quartic: FloatArray) -> FloatArray:
    """Return the non-Gaussian parameter alpha_2 = 3 <r^4> / (5 <r^2>^2) - 1 from the two moments, of any one shape.

    Average the moments over runs first: alpha_2 is no mean. NaN where nothing has moved.
    A. Rahman, Phys. Rev. 136, A405 (1964).
    """
    ratio: FloatArray = np.divide(quartic, msd**2, out=np.full(np.shape(msd), np.nan), where=msd != 0)
    return 3 * ratio / 5 - 1


def self_scattering(
    displacements: FloatArray, species: ByteArray, wave_numbers: tuple[float, float] = WAVE_NUMBERS
) -> FloatArray:
    """Return F_s(k, t) = <cos(k . (r(t) - r(0)))> of A and of B, (2,).

    The wave vectors lie along the three axes of the box; `wave_numbers` are |k| for A and for B.
    J.-P. Hansen and I. R. McDonald, Theory of Simple Liquids, chapter 7.
    """
    check_vectors("displacements", displacements, species)
    wave_number = np.asarray(wave_numbers)[species]
    return mean_by_species(np.cos(wave_number[:, None] * displacements).mean(1), species)
