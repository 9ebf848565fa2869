"""Baseline: predict the mean label of the state point, blind to structure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glassformer.core.arrays import FloatArray


@dataclass(frozen=True)
class StatePointMean:
    """The mean training label (K,) of each state point; NaN for a state point that was not in training."""

    means: dict[str, tuple[float, ...]]

    @classmethod
    def fit(cls, state_points: Sequence[str], labels: FloatArray) -> "StatePointMean":
        """Average `labels` (C, K) over the configurations of each state point."""
        names = np.array(state_points)
        return cls({str(name): tuple(labels[names == name].mean(0).tolist()) for name in np.unique(names)})

    def predict(self, state_points: Sequence[str]) -> FloatArray:
        """Return predictions (C, K)."""
        targets = len(next(iter(self.means.values())))
        return np.array([self.means.get(name, (np.nan,) * targets) for name in state_points])
