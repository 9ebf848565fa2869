"""How far particles, and a configuration as a whole, are from those that a model was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glassformer.core.arrays import FloatArray

# Share of the training particles beyond the distance that counts as far.
FAR = 1e-3
# So many times that share of a configuration's particles may be far before it is told.
TOLERATED = 10.0
# By how much the mean of a configuration may exceed the largest deviation of any in training.
MARGIN = 2.0


@dataclass(frozen=True, eq=False)
class Novelty:
    """Distances in the space of f standardised columns of one species.

    `precision` (f, f): inverse covariance of the training particles, and `threshold`: the Mahalanobis distance that
    `FAR` of them exceed. `means` (f,): standard deviation between training configurations, of `particles` each, of a
    column's mean; `drift`: the largest deviation of any of them in these units.
    """

    precision: FloatArray
    threshold: float
    means: FloatArray
    drift: float
    particles: float

    @classmethod
    def of(cls, training: Sequence[FloatArray]) -> "Novelty":
        """Return that of `training`, standardised columns (N, f) of each configuration."""
        together = np.concatenate(training)
        covariance = np.atleast_2d(np.cov(together.T)) + 1e-6 * np.eye(together.shape[1])
        precision: FloatArray = np.asarray(np.linalg.inv(covariance), np.float64)
        means = np.array([one.mean(0) for one in training])
        # A few configurations tell a deviation badly: it is that of independent particles at least.
        least = np.sqrt(np.diag(covariance) / len(training[0]))
        deviation = np.maximum(means.std(0, ddof=1) if len(means) > 1 else 0.0, least)
        drift = float(np.abs(means / deviation).max())
        threshold = float(np.quantile(_distances(together, precision), 1 - FAR))
        return cls(precision, threshold, deviation, max(drift, 3.0), float(np.mean([len(one) for one in training])))

    def distances(self, columns: FloatArray) -> FloatArray:
        """Return the distance of each particle, (N,), in units of the threshold: far above 1."""
        return _distances(columns, self.precision) / self.threshold

    def deviations(self, columns: FloatArray) -> FloatArray:
        """Return the deviation of each column's mean, (f,), in units of what is tolerated: outside above 1.

        Means over fewer particles than in training may deviate further.
        """
        tolerated = MARGIN * self.drift * self.means * np.sqrt(max(1.0, self.particles / len(columns)))
        deviations: FloatArray = np.abs(columns.mean(0)) / tolerated
        return deviations


def _distances(columns: FloatArray, precision: FloatArray) -> FloatArray:
    square = np.einsum("pa,ab,pb->p", columns, precision, columns)
    return np.asarray(np.sqrt(np.maximum(square, 0)), np.float64)
