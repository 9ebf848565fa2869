"""Scores of predictions against labels."""

from collections.abc import Callable

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.seeds import generator, named_seed

BOOTSTRAP_SAMPLES = 1000


def mean_absolute_error(prediction: FloatArray, label: FloatArray) -> float:
    """Return <|p - y|>."""
    return float(np.abs(prediction - label).mean())


def bias(prediction: FloatArray, label: FloatArray) -> float:
    """Return <p - y>."""
    return float((prediction - label).mean())


def r_squared(prediction: FloatArray, label: FloatArray, means: FloatArray | float | None = None) -> float:
    """Return R^2 = 1 - sum (p - y)^2 / sum (y - m)^2, m being `means`, one or (n,), or the mean of these very labels.

    1 is perfect; 0 is what one gets by knowing m, so a baseline that had to learn the labels' mean elsewhere scores
    below 0 with it. NaN if the labels do not differ from m.
    """
    spread = float(((label - (label.mean() if means is None else means)) ** 2).sum())
    return 1 - float(((prediction - label) ** 2).sum()) / spread if spread > 0 else float("nan")


def pearson(prediction: FloatArray, label: FloatArray) -> float:
    """Return Pearson's correlation of `prediction` with `label`; NaN if one of them does not vary."""
    p, y = (values.astype(np.float64) - values.mean(dtype=np.float64) for values in (prediction, label))
    spread = float(np.sqrt((p @ p) * (y @ y)))
    return float(p @ y) / spread if spread > 0 else float("nan")


def bootstrap_error(
    score: Callable[[FloatArray, FloatArray], float], prediction: FloatArray, label: FloatArray
) -> float:
    """Return the standard error of `score` by resampling configurations, which are the independent units.

    Times sqrt(n / (n - 1)): what is drawn again scatters about the mean of n configurations, not about the truth.
    """
    number = len(label)
    if number < 2 or np.isnan(prediction).any():
        return float("nan")
    random = generator(named_seed(0, "bootstrap"))
    chosen = random.integers(number, size=(BOOTSTRAP_SAMPLES, number))
    scatter = np.std([score(prediction[rows], label[rows]) for rows in chosen])
    return float(scatter * np.sqrt(number / (number - 1)))


def label_noise(msd_draws: FloatArray) -> FloatArray:
    """Return the variance (C,) of ln <MSD>_draws that comes from having few draws, from `msd_draws` (C, D).

    To first order var(MSD over draws) / (D <MSD>^2). NaN pads missing draws; a single draw gives NaN.
    """
    present = np.isfinite(msd_draws)
    number = present.sum(1)
    mean = np.nanmean(msd_draws, 1)
    squares = np.where(present, (msd_draws - mean[:, None]) ** 2, 0.0).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = squares / (number - 1)
    noise: FloatArray = variance / (number * mean**2)
    return noise


def r_squared_ceiling(label: FloatArray, noise: FloatArray) -> float:
    """Return the R^2 that perfect knowledge of the structure would reach: 1 - <noise variance> / var(label).

    What the draws scatter, no structure can predict. Itself an estimate: from few configurations it may exceed what is
    reachable, or fall below zero, which says that the labels' spread is all noise. var divides by the number of
    labels, as `r_squared` does.
    """
    spread = float(label.var())
    return 1 - float(noise.mean()) / spread if spread > 0 else float("nan")
