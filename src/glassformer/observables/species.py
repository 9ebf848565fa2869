"""Means over the particles of each species."""

import numpy as np

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.physics.checks import check_species


def mean_by_species(values: FloatArray, species: ByteArray) -> FloatArray:
    """Return the means of `values` (N,) over A and over B, (2,); NaN for a species that is absent.

    Raises `ConfigurationError` unless `species` (N,) are 0 and 1.
    """
    check_species(species, len(values))
    members = np.bincount(species, minlength=2)
    sums = np.bincount(species, values, minlength=2)
    means: FloatArray = np.divide(sums, members, out=np.full(2, np.nan), where=members > 0)
    return means
