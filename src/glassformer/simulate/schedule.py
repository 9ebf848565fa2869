"""Observation times."""

import math

import numpy as np

from glassformer.core.arrays import IntArray
from glassformer.core.campaign import Campaign
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


def particle_steps(campaign: Campaign) -> IntArray:
    """Return the steps of the campaign's particle times. Raises `SettingsError` if one lies between two steps."""
    times = np.array(campaign.particle_times, np.float64)
    steps = np.rint(times / campaign.time_step).astype(np.int64)
    between = np.flatnonzero((np.abs(steps * campaign.time_step - times) > 1e-9 * times) | (steps == 0))
    if len(between):
        time, step = times[between[0]], max(1, int(steps[between[0]]))
        raise SettingsError(
            f"particle_times: t = {time:g} is not a multiple of time_step = {campaign.time_step:g}; the nearest is"
            f" {step * campaign.time_step:g}",
            "Choose particle times that are whole steps.",
        )
    return steps


def observation_steps(campaign: Campaign) -> IntArray:
    """Return the steps at which draws are observed: those of the schedule, as far as `until`, and the particle times.

    Raises `SettingsError` if there is none, or for a particle time between two steps.
    """
    schedule = campaign.schedule
    steps = logfreq3(schedule.first, schedule.count, schedule.last)
    if schedule.until is not None:
        steps = steps[steps * campaign.time_step <= schedule.until * (1 + 1e-12)]
    steps = np.union1d(steps, particle_steps(campaign))
    if not len(steps):
        raise SettingsError(
            f"schedule.until = {schedule.until} comes before the first observation", "Ask for a later time."
        )
    return steps
