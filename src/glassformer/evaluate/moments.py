"""How a set of values is distributed, and where its spread comes from."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from glassformer.core.arrays import FloatArray

# More bins than this are no longer told apart in a figure.
MOST_BINS = 100
# Values that differ by no more than this fraction are equal: rounding, not spread.
SAME = 1e-9


@dataclass(frozen=True)
class Moments:
    """Mean, standard deviation (of the population that the values are a sample of), their ratio, and two shapes.

    `kurtosis` is the excess, 0 for a Gaussian. NaN where there are too few values, or they do not vary.
    """

    mean: float
    std: float
    coefficient_of_variation: float
    skewness: float
    kurtosis: float


def moments(values: FloatArray) -> Moments:
    """Return the moments of `values` (n,)."""
    mean, nan = float(values.mean()), float("nan")
    if len(values) < 2:
        return Moments(mean, nan, nan, nan, nan)
    std = float(values.std(ddof=1))
    # Two values are symmetric about their mean, and equal ones differ by the rounding of that.
    shaped = len(values) > 2 and std > 1e-12 * abs(mean)
    skewness, kurtosis = (float(shape(values)) if shaped else nan for shape in (stats.skew, stats.kurtosis))
    return Moments(mean, std, std / mean if mean else nan, skewness, kurtosis)


def bin_edges(values: FloatArray) -> FloatArray:
    """Return the edges of equal bins from the smallest of `values` (n,), finite and at least one, to the largest.

    There are as many bins as the finer of two rules asks for: a width of 2 IQR n^(-1/3) (D. Freedman and P. Diaconis,
    Z. Wahrscheinlichkeitstheor. 57, 453 (1981)), or 1 + log2(n) bins (H. A. Sturges, J. Am. Stat. Assoc. 21, 65
    (1926)). There are never more than `MOST_BINS`: where the middle half of the values is very narrow beside their
    range, the bins are wider than Freedman and Diaconis ask for. Equal values lie in the middle of a single bin.
    """
    least, most = float(values.min()), float(values.max())
    if most - least <= SAME * max(abs(least), abs(most)):
        middle = (least + most) / 2
        half = abs(middle) / 2 or 0.5
        return np.array([middle - half, middle + half])
    sturges = np.ceil(1 + np.log2(len(values)))
    quarter, three_quarters = np.percentile(values, [25, 75])
    width = 2 * (three_quarters - quarter) / np.cbrt(len(values))
    # More than half of the values may be equal: the first rule then has nothing to say.
    freedman_diaconis = np.ceil((most - least) / width) if width > SAME * (most - least) else 0
    return np.linspace(least, most, int(min(max(freedman_diaconis, sturges), MOST_BINS)) + 1)


def largest_share(predictions: FloatArray, labels: FloatArray) -> float:
    """Return the share of `predictions` that falls into one bin, the fullest, of bins made for the `labels`.

    The bins continue, equally wide, beyond the labels. Near 1: the network says the same of every configuration.
    """
    edges = bin_edges(labels)
    places = np.floor((predictions - edges[0]) / (edges[1] - edges[0]))
    # A value on the last edge belongs to the last bin, as in a histogram.
    places[predictions == edges[-1]] -= 1
    return float(np.unique(places, return_counts=True)[1].max() / len(predictions))


def variance_split(draws: FloatArray) -> tuple[float, float]:
    """Return the variance of `draws` (C, D) between configurations and between draws of one: a one-way layout.

    The configurations' means vary by the first and, in addition, by the second over D; that is taken off, and what is
    left may come out below zero by chance: then 0 is given. NaN pads missing draws. Configurations with one draw are
    left out; with fewer than two others both variances are NaN.
    S. R. Searle, G. Casella and C. E. McCulloch, Variance Components (1992), chapter 3.
    """
    number = np.isfinite(draws).sum(1)
    draws, number = draws[number > 1], number[number > 1]
    if len(draws) < 2:
        return float("nan"), float("nan")
    means = np.nanmean(draws, 1)
    squares = np.nansum((draws - means[:, None]) ** 2, 1)
    within = float(squares.sum() / (number - 1).sum())
    between = float(means.var(ddof=1)) - within * float((1 / number).mean())
    return max(between, 0.0), within
