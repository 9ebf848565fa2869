"""Observation times."""

import math

import numpy as np

from glassformer.core.arrays import IntArray
from glassformer.core.campaign import Schedule
from glassformer.core.errors import SettingsError


def logfreq3(first: int, count: int, last: int) -> IntArray:
    """Return the `count` log-spaced steps of LAMMPS's variable function `logfreq3(first, count, last)`.

    Steps grow by the factor (last / first)^(1 / (count - 1)), rounded up, and by at least one: where that factor is
    less than a step, the count runs linearly and the rounding catches up later.
    """
    factor = (last / first) ** (1 / (count - 1))
    steps = [first]
    linear, logarithmic = first, float(first)
    while len(steps) < count:
        logarithmic *= factor
        linear += 1
        # The last product lies a rounding error above `last` itself.
        steps.append(min(linear if linear > logarithmic else math.ceil(logarithmic), last))
    return np.array(steps)


def observation_steps(schedule: Schedule, time_step: float) -> IntArray:
    """Return the steps of `schedule` that lie within its time `until`."""
    steps = logfreq3(schedule.first, schedule.count, schedule.last)
    if schedule.until is not None:
        steps = steps[steps * time_step <= schedule.until * (1 + 1e-12)]
    if not len(steps):
        raise SettingsError(
            f"schedule.until = {schedule.until} comes before the first observation", "Ask for a later time."
        )
    return steps
