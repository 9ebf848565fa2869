"""What a network is asked to predict: ln MSD_A of a configuration at given times."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.dataset.sample import Sample

# Two times count as the same if they differ by less than this.
TIME_TOLERANCE = 1e-6


def target_times(samples: Sequence[Sample], wanted: Sequence[float | Literal["last"]]) -> FloatArray:
    """Return the times (K,) that `wanted` stands for. Raises `DatasetError` if a sample was not observed there."""
    last = float(samples[0].ensemble.times[-1])
    times = np.array([last if time == "last" else time for time in wanted], dtype=np.float64)
    if len(np.unique(times)) < len(times):
        raise DatasetError(
            f"the target times {times.tolist()} hold a time twice", "'last' is the last time of the data."
        )
    for sample in samples:
        for time in times:
            _time_index(sample, float(time))
    return times


def msd_a_draws(sample: Sample, times: FloatArray) -> FloatArray:
    """Return MSD_A of every draw at `times`, (D, K)."""
    indices = [_time_index(sample, float(time)) for time in times]
    chosen: FloatArray = sample.ensemble.msd[:, indices, 0]
    return chosen


def log_msd_a(sample: Sample, times: FloatArray) -> FloatArray:
    """Return the label (K,): ln of the mean over draws of MSD_A at `times`."""
    label: FloatArray = np.log(msd_a_draws(sample, times).mean(0))
    return label


def _time_index(sample: Sample, time: float) -> int:
    times = sample.ensemble.times
    index = int(np.argmin(np.abs(times - time)))
    if abs(times[index] - time) > TIME_TOLERANCE * max(1.0, time):
        raise DatasetError(
            f"{sample.identifier} was not observed at t = {time:g}; its nearest time is {times[index]:g}",
            "Choose target times that every sample has.",
        )
    return index
