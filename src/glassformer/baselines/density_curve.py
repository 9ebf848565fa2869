"""Baseline: between state points, labels interpolated in the number density.

This is what knowing rho, and no structure, is worth at a state point that was not trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glassformer.baselines.density import DensityFit
from glassformer.core.arrays import FloatArray

# State points of an isochore differ by rounding.
SAME_DENSITY = 1e-9


@dataclass(frozen=True, eq=False)
class DensityCurve:
    """Straight pieces through the state points (S,), from mean density to mean label (S, K); the end pieces continue.

    One state point alone has no piece, nor have several of one density: the configurations' own line in the density
    takes its place.
    """

    densities: FloatArray
    labels: FloatArray
    line: DensityFit

    @classmethod
    def fit(cls, state_points: Sequence[str], density: FloatArray, labels: FloatArray) -> "DensityCurve":
        """Average `density` (C,) and `labels` (C, K) over the configurations of each state point."""
        names = np.array(state_points)
        groups = [names == name for name in np.unique(names)]
        means = np.array([density[rows].mean() for rows in groups])
        order = np.argsort(means)
        levels = np.stack([labels[rows].mean(0) for rows in groups])
        return cls(means[order], levels[order], DensityFit.fit(density, labels))

    def predict(self, density: FloatArray) -> FloatArray:
        """Return predictions (C, K) at `density` (C,)."""
        if np.diff(self.densities, prepend=-np.inf).min() < SAME_DENSITY or len(self.densities) == 1:
            return self.line.predict(density)
        piece = np.clip(np.searchsorted(self.densities, density) - 1, 0, len(self.densities) - 2)
        left, right = self.densities[piece], self.densities[piece + 1]
        part = ((density - left) / (right - left))[:, None]
        predicted: FloatArray = (1 - part) * self.labels[piece] + part * self.labels[piece + 1]
        return predicted
