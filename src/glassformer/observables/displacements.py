"""Mean squared displacement and self part of the intermediate scattering function, by species."""

import numpy as np

from glassformer.core.arrays import ByteArray, FloatArray

# First peak of the structure factor of each species, where F_s is measured. A: W. Kob and H. C. Andersen, Phys. Rev. E
# 52, 4134 (1995); B: gamdpy's science tests.
WAVE_NUMBERS = (7.25, 5.5)


def mean_squared_displacement(displacements: FloatArray, species: ByteArray) -> FloatArray:
    """Return <|r(t) - r(0)|^2> of A and of B, (2,), from unwrapped `displacements` (N, 3).

    NaN for a species that is absent.
    """
    squared = (displacements**2).sum(1)
    return _by_species(squared, species)


def self_scattering(
    displacements: FloatArray, species: ByteArray, wave_numbers: tuple[float, float] = WAVE_NUMBERS
) -> FloatArray:
    """Return F_s(k, t) = <cos(k . (r(t) - r(0)))> of A and of B, (2,).

    The wave vectors lie along the three axes of the box; `wave_numbers` are |k| for A and for B.
    J.-P. Hansen and I. R. McDonald, Theory of Simple Liquids, chapter 7.
    """
    wave_number = np.asarray(wave_numbers)[species]
    return _by_species(np.cos(wave_number[:, None] * displacements).mean(1), species)


def _by_species(values: FloatArray, species: ByteArray) -> FloatArray:
    members = np.bincount(species, minlength=2)
    sums = np.bincount(species, values, minlength=2)
    means: FloatArray = np.divide(sums, members, out=np.full(2, np.nan), where=members > 0)
    return means
