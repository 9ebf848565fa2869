"""Histogram of the distances between two sets of points in a periodic box: a compiled loop over all pairs."""

import numpy as np

from glassformer.core.arrays import FloatArray, IntArray
from glassformer.core.compiled import cached_njit


@cached_njit(nogil=True)
def count_pairs(first: FloatArray, second: FloatArray, box: FloatArray, edges: FloatArray, same: bool) -> IntArray:
    """Return how many pairs of a point of `first` (N, 3) and one of `second` (M, 3) have which distance, (bins,).

    All points lie in [0, L). Bin i holds edges[i] < r <= edges[i + 1] of `edges` (bins + 1,), at most half the shortest
    box edge along which points differ; r = 0 belongs to a first bin that starts at 0. `same`: points of one number are
    one particle, and no pair.
    """
    counts = np.zeros(len(edges) - 1, np.int64)
    # Bins are mostly equal: the first guess is then right, but for rounding.
    scale = (len(edges) - 1) / (edges[-1] - edges[0])
    least, most = edges[0], edges[-1]
    # Rounding of the square must not lose the last edge.
    limit = most * most * (1 + 1e-12)
    for i in range(len(first)):
        for j in range(len(second)):
            square = 0.0
            for axis in range(3):
                apart = abs(first[i, axis] - second[j, axis])
                apart = min(apart, box[axis] - apart)
                square += apart * apart
            if square > limit or (same and i == j):
                continue
            distance = np.sqrt(square)
            if distance > most or distance < least or (distance == least and least > 0):
                continue
            place = min(int((distance - least) * scale), len(counts) - 1)
            while distance > edges[place + 1]:
                place += 1
            while place > 0 and distance <= edges[place]:
                place -= 1
            counts[place] += 1
    return counts
