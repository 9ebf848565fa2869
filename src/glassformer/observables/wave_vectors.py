"""Wave vectors that fit a periodic box."""

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError


def wave_vectors(box: FloatArray, wave_number: float, width: float, dimension: int = 3) -> FloatArray:
    """Return the wave vectors k = 2 pi n / L with ||k| - `wave_number`| <= `width`, (K, 3), in units of 1 / sigma_AA.

    Of k and -k only one is returned. In two dimensions n_z = 0. Raises `ConfigurationError` if there is none.
    """
    unit = 2 * np.pi / box
    limits = np.floor((wave_number + width) / unit).astype(np.int64)
    limits[dimension:] = 0
    ranges = [np.arange(-limit, limit + 1) for limit in limits]
    numbers = np.stack(np.meshgrid(*ranges, indexing="ij"), -1).reshape(-1, 3)
    # The grid is symmetric about its middle, n = 0: its second half has one of every pair n, -n.
    vectors = numbers[len(numbers) // 2 + 1 :] * unit
    fitting: FloatArray = vectors[np.abs(np.sqrt((vectors**2).sum(1)) - wave_number) <= width]
    if not len(fitting):
        raise ConfigurationError(
            f"no wave vector of the box {box.round(3).tolist()} has a length of {wave_number:g} +- {width:g}",
            f"Ask for a larger width; the wave vectors along an edge are {unit[:dimension].min():g} apart.",
        )
    return fitting
