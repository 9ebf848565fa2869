"""Standard errors of means over a correlated series, from blocks."""

import numpy as np

from glassformer.core.arrays import FloatArray, IntArray

# Most and fewest blocks that a series is cut into.
MOST_BLOCKS, LEAST_BLOCKS = 16, 6


def block_error(values: FloatArray, block: IntArray) -> FloatArray:
    """Return the standard error of the mean of `values` (P, ...), correlated in time: (...).

    `block` (P,) is the number of the block of time that each value belongs to. With n blocks of weights w_b (their
    shares of the values) and means x_b, error^2 = n / (n - 1) sum_b w_b^2 (x_b - x)^2, which for equal blocks is the
    variance of their means over n. It is computed for the blocks and for pairs of them, and the larger one is returned:
    pairs tell whether neighbouring blocks are correlated. NaN for values in fewer than `LEAST_BLOCKS` blocks.
    H. Flyvbjerg and H. G. Petersen, J. Chem. Phys. 91, 461 (1989).
    """
    if len(np.unique(block)) < LEAST_BLOCKS:
        return np.full(values.shape[1:], np.nan)
    return np.sqrt(np.maximum(_variance(values, block), _variance(values, block // 2)))


def blocks_of_time(times: FloatArray, span: float, longest: float) -> IntArray:
    """Return the number of the block that each of `times` (P,), from 0 to `span`, belongs to, (P,).

    There are as many equal blocks as fit, each at least `longest` long, an even number, and at most `MOST_BLOCKS`.
    """
    fit = MOST_BLOCKS if longest * MOST_BLOCKS <= span else int(span / longest * (1 + 1e-9))
    number = max(fit - fit % 2, 1)
    if span <= 0:
        return np.zeros(len(times), np.int64)
    return np.minimum((times / span * number).astype(np.int64), number - 1)


def _variance(values: FloatArray, block: IntArray) -> FloatArray:
    """Return the variance of the mean of `values` (P, ...) from blocks as they are."""
    present, number = np.unique(block, return_inverse=True)
    counts = np.bincount(number)
    sums = np.zeros((len(present), *values.shape[1:]))
    np.add.at(sums, number, values)
    shape = (-1, *[1] * (values.ndim - 1))
    deviations = counts.reshape(shape) / len(values) * (sums / counts.reshape(shape) - values.mean(0))
    n = len(present)
    variance: FloatArray = n / (n - 1) * (deviations**2).sum(0)
    return variance
