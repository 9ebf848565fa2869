"""What the data say of each state point, whatever was tested: the reference that scores of all experiments share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.dataset.labels import msd_a_draws
from glassformer.dataset.predictions import pad
from glassformer.dataset.sample import Sample
from glassformer.dataset.summary import by_state_point
from glassformer.evaluate.moments import variance_split
from glassformer.evaluate.scores import label_noise, r_squared_ceiling


@dataclass(frozen=True, eq=False)
class Liquid:
    """MSD_A of every draw, (C, D, K), of each state point; NaN pads missing draws."""

    draws: dict[str, FloatArray]

    @classmethod
    def of(cls, samples: Sequence[Sample], times: FloatArray) -> "Liquid":
        """Return it for `samples` at `times` (K,). Raises `DatasetError` if one was not observed there."""
        groups = by_state_point(samples).items()
        return cls({name: np.stack(pad([msd_a_draws(one, times) for one in members])) for name, members in groups})

    def mean_log(self, state_point: str, target: int) -> float:
        """Return the mean of ln MSD_A over all draws of all configurations."""
        return float(np.nanmean(np.log(self.draws[state_point][:, :, target])))

    def mean_label(self, state_point: str, target: int) -> float:
        """Return the mean over configurations of ln MSD_A, MSD_A being the mean over a configuration's draws."""
        return float(np.log(np.nanmean(self.draws[state_point][:, :, target], 1)).mean())

    def variances(self, state_point: str, target: int) -> tuple[float, float]:
        """Return the variance of ln MSD_A between configurations and between draws of one: `variance_split`."""
        return variance_split(np.log(self.draws[state_point][:, :, target]))

    def ceiling(self, state_point: str, target: int) -> float:
        """Return the R^2 that perfect knowledge of the structure would reach: `scores.r_squared_ceiling`."""
        draws = self.draws[state_point][:, :, target]
        return r_squared_ceiling(np.log(np.nanmean(draws, 1)), label_noise(draws))
