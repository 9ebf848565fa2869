"""How fast a GPU reads: the bound of what lockstep can reach on it."""

import time

import numpy as np
from numba import cuda, float32


@cuda.jit
def _read(values, sums, repeats):
    total, size = float32(0), values.shape[0]
    for again in range(repeats):
        # Another block's share each time, so that nothing stays in the first level of cache.
        first = (cuda.grid(1) + again * 7919 * cuda.blockDim.x) % cuda.gridsize(1)
        for n in range(first, size, cuda.gridsize(1)):
            total += values[n]
    sums[cuda.grid(1)] = total


def read_bandwidths() -> tuple[float, float]:
    """Return the bytes per second at which 16 MiB, and 2 GiB, are read again and again: of L2, and of the memory."""
    found, blocks, threads = [], 2048, 256
    sums = cuda.to_device(np.zeros(blocks * threads, np.float32))
    for size, repeats in ((16 * 2**20, 200), (2 * 2**30, 4)):
        values = cuda.to_device(np.ones(size // 4, np.float32))
        _read[blocks, threads](values, sums, 1)
        cuda.synchronize()
        began = time.perf_counter()
        _read[blocks, threads](values, sums, repeats)
        cuda.synchronize()
        found.append(size * repeats / (time.perf_counter() - began))
    return found[0], found[1]
