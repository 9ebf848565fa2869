"""Structural relaxation time."""

import numpy as np

from glassformer.core.arrays import FloatArray


def relaxation_time(times: FloatArray, scattering: FloatArray) -> float:
    """Return tau_alpha, where F_s(k, tau_alpha) = 1/e, or NaN if F_s (T,) stays above it.

    Interpolates F_s linearly in ln t between the two observation times around the first crossing.
    """
    below = np.flatnonzero(scattering < np.exp(-1))
    if not len(below) or below[0] == 0:
        return float("nan")
    after = below[0]
    pair = slice(after - 1, after + 1)
    return float(np.exp(np.interp(-np.exp(-1), -scattering[pair], np.log(times[pair]))))
