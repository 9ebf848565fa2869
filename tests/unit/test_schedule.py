"""Observation times."""

from typing import Any

import numpy as np
import pytest

from glassformer.core.campaign import Campaign
from glassformer.core.errors import SettingsError
from glassformer.core.settings import check_settings
from glassformer.simulate.schedule import logfreq3, observation_steps, particle_steps
from tests.conftest import TINY_CAMPAIGN


def test_the_thesis_schedule() -> None:
    # From the published MSD files: the first steps grow by one, t = 1.63 is entry 100 counted from 0, t = 500 the last.
    steps = logfreq3(1, 200, 100_000)
    assert len(steps) == 200
    assert steps[:58].tolist() == list(range(1, 59))
    assert steps[100] * 0.005 == pytest.approx(1.63)
    assert steps[[150, 175, 198, 199]].tolist() == [5873, 24946, 94379, 100000]


@pytest.mark.parametrize(("first", "count", "last"), [(1, 2, 2), (1, 10, 10), (5, 30, 1000), (1, 100, 101)])
def test_steps_grow_from_first_to_last(first: int, count: int, last: int) -> None:
    steps = logfreq3(first, count, last)
    assert (len(steps), steps[0], steps[-1]) == (count, first, last)
    assert (np.diff(steps) > 0).all()


def campaign(**changes: Any) -> Campaign:
    return check_settings(TINY_CAMPAIGN | {"particle_times": [], "schedule": {}} | changes, Campaign, "tiny")


def test_until_cuts_the_schedule_at_a_time() -> None:
    steps = observation_steps(campaign(schedule={"until": 20.0}))
    assert steps[-1] * 0.005 == pytest.approx(19.59)
    with pytest.raises(SettingsError, match="before the first observation"):
        observation_steps(campaign(schedule={"until": 0.001}))


def test_particle_times_are_observed_too() -> None:
    plain = observation_steps(campaign(schedule={"until": 20.0})).tolist()
    settings = campaign(schedule={"until": 20.0}, particle_times=[130.0, 1.3, 0.005])
    assert particle_steps(settings).tolist() == [26_000, 260, 1]
    assert observation_steps(settings).tolist() == sorted({*plain, 260, 26_000})


@pytest.mark.parametrize(("time", "nearest"), [(1.0025, "1"), (0.0001, "0.005"), (1.63001, "1.63")])
def test_particle_times_are_whole_steps(time: float, nearest: str) -> None:
    with pytest.raises(SettingsError, match=f"not a multiple of time_step = 0.005; the nearest is {nearest}"):
        particle_steps(campaign(particle_times=[time]))
