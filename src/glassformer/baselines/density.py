"""Baseline: labels from the number density alone.

Along a line in the (T, P) plane, and between configurations whose boxes were kept as they fell, the density explains
much of the dynamics: a network must do better to have read structure.
"""

from dataclasses import dataclass

import numpy as np

from glassformer.core.arrays import FloatArray


@dataclass(frozen=True)
class DensityFit:
    """A straight line in rho for each target: labels = slope (rho - center) + level."""

    center: float
    slope: tuple[float, ...]
    level: tuple[float, ...]

    @classmethod
    def fit(cls, density: FloatArray, labels: FloatArray) -> "DensityFit":
        """Fit `labels` (C, K) against `density` (C,) by least squares; one density for all gives slope zero."""
        center = float(density.mean())
        offset = density - center
        spread = float(offset @ offset)
        level = labels.mean(0)
        slope = offset @ (labels - level) / spread if spread > 0 else np.zeros_like(level)
        return cls(center, tuple(slope.tolist()), tuple(level.tolist()))

    def predict(self, density: FloatArray) -> FloatArray:
        """Return predictions (C, K)."""
        predicted: FloatArray = np.outer(density - self.center, self.slope) + np.array(self.level)
        return predicted
