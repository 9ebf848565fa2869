"""Moments of the displacements and self part of the intermediate scattering function, by species."""

from collections.abc import Sequence

import numpy as np

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.observables.species import mean_by_species, number_of_species
from glassformer.physics.checks import check_dimension, check_vectors


def mean_squared_displacement(displacements: FloatArray, species: ByteArray, kinds: int | None = None) -> FloatArray:
    """Return <|r(t) - r(0)|^2> of each species, (S,), from unwrapped `displacements` (N, 3).

    `kinds`: S, as in `number_of_species`. NaN for a species that is absent.
    """
    check_vectors("displacements", displacements, species)
    return mean_by_species((displacements**2).sum(1), species, kinds)


def quartic_displacement(displacements: FloatArray, species: ByteArray, kinds: int | None = None) -> FloatArray:
    """Return <|r(t) - r(0)|^4> of each species, (S,), from unwrapped `displacements` (N, 3).

    `kinds`: S, as in `number_of_species`. NaN for a species that is absent.
    """
    check_vectors("displacements", displacements, species)
    return mean_by_species((displacements**2).sum(1) ** 2, species, kinds)


def non_gaussian(msd: FloatArray, quartic: FloatArray, dimension: int = 3) -> FloatArray:
    """Return the non-Gaussian parameter alpha_2 = d <r^4> / [(d + 2) <r^2>^2] - 1 from two moments of one shape.

    d = `dimension`; Gaussian displacements have 0. Average the moments over runs first: alpha_2 is no mean. NaN where
    nothing has moved. A. Rahman, Phys. Rev. 136, A405 (1964), for d = 3.
    """
    ratio: FloatArray = np.divide(quartic, msd**2, out=np.full(np.shape(msd), np.nan), where=msd != 0)
    return dimension * ratio / (dimension + 2) - 1


def self_scattering(
    displacements: FloatArray, species: ByteArray, wave_numbers: Sequence[float] | FloatArray, dimension: int = 3
) -> FloatArray:
    """Return F_s(k, t) = <cos(k . (r(t) - r(0)))> of each species, (S,), from unwrapped `displacements` (N, 3).

    `wave_numbers` (S,) are |k|, one for each species of the mixture. The wave vectors lie along the first `dimension`
    axes of the box. Averaged over all directions, as in an isotropic liquid, this is <sin(k r) / (k r)> in three
    dimensions and <J_0(k r)> in two, r = |r(t) - r(0)|. NaN for a species that is absent.
    J.-P. Hansen and I. R. McDonald, Theory of Simple Liquids, chapter 7.

    Raises `ConfigurationError` for fewer wave numbers than species, or displacements along z in two dimensions.
    """
    check_vectors("displacements", displacements, species)
    check_dimension("displacements", displacements, dimension)
    kinds = number_of_species(species, len(wave_numbers))
    wave_number = np.asarray(wave_numbers, np.float64)[species]
    return mean_by_species(np.cos(wave_number[:, None] * displacements[:, :dimension]).mean(1), species, kinds)
