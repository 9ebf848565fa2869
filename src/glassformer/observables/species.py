"""Species and pairs of species: how many there are, their order, and means over their particles."""

import itertools

import numpy as np

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.errors import ConfigurationError
from glassformer.physics.checks import check_species
from glassformer.physics.configuration import MOST_SPECIES


def number_of_species(species: ByteArray, kinds: int | None = None) -> int:
    """Return the number of species S: `kinds`, or without it the greatest of `species` (N,) plus 1, but at least 2.

    Raises `ConfigurationError` unless `kinds` is 1 to 8 and greater than every one of `species`.
    """
    present = int(species.max(initial=0)) + 1
    if kinds is None:
        return max(present, 2)
    if not present <= kinds <= MOST_SPECIES:
        raise ConfigurationError(
            f"got species 0 to {present - 1} for a mixture of {kinds}; expected kinds from {present} to {MOST_SPECIES}",
            "Give the number of species of the mixture.",
        )
    return kinds


def species_pairs(kinds: int) -> tuple[tuple[int, int], ...]:
    """Return the S (S + 1) / 2 pairs of species (a, b), a <= b, in the order 00, 01, ..., 11, ...; S = `kinds`."""
    return tuple(itertools.combinations_with_replacement(range(kinds), 2))


def mean_by_species(values: FloatArray, species: ByteArray, kinds: int | None = None) -> FloatArray:
    """Return the mean of `values` (N,) over the particles of each species, (S,); NaN for a species that is absent.

    `species` (N,); `kinds`: S, as in `number_of_species`. Raises `ConfigurationError` for species of another form.
    """
    check_species(species, len(values))
    number = number_of_species(species, kinds)
    members = np.bincount(species, minlength=number)
    sums = np.bincount(species, values, minlength=number)
    means: FloatArray = np.divide(sums, members, out=np.full(number, np.nan), where=members > 0)
    return means
