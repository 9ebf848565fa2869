"""The symmetries of the periodic cube: what may be done to a structure without changing its dynamics."""

import itertools

import numpy as np

from glassformer.core.arrays import FloatArray


def cubic_symmetries() -> FloatArray:
    """Return the 48 matrices (48, 3, 3) of the cube's point group O_h: signed permutations of the axes."""
    matrices = [
        np.diag(signs)[list(order)]
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1.0, -1.0), repeat=3)
    ]
    return np.stack(matrices)
