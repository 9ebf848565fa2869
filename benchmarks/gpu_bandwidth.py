"""How fast a GPU reads: the bound of what lockstep can reach on it."""

import time

import numpy as np
from numba import cuda, float32

# Numbers that a thread has on their way at a time: one would leave the memory idle.
UNROLLED = 8


@cuda.jit
def _read(values, sums, repeats):
    thread, threads = cuda.grid(1), cuda.gridsize(1)
    blocks = values.shape[0] // (UNROLLED * threads)
    a = b = c = d = float32(0)
    for again in range(repeats):
        # Another block's share each time, so that nothing stays in the first level of cache.
        own = (thread + again * 7919 * cuda.blockDim.x) % threads
        for block in range(blocks):
            n = block * UNROLLED * threads + own
            a += values[n] + values[n + threads]
            b += values[n + 2 * threads] + values[n + 3 * threads]
            c += values[n + 4 * threads] + values[n + 5 * threads]
            d += values[n + 6 * threads] + values[n + 7 * threads]
    sums[thread] = a + b + c + d


def read_bandwidths() -> tuple[float, float]:
    """Return the bytes per second at which 16 MiB, and 2 GiB, are read again and again: of L2, and of the memory."""
    found, blocks, threads = [], 1024, 256
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
