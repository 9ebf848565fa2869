"""Observation times."""

import numpy as np
import pytest

from glassformer.core.campaign import Schedule
from glassformer.core.errors import SettingsError
from glassformer.simulate.schedule import logfreq3, observation_steps


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


def test_until_cuts_the_schedule_at_a_time() -> None:
    steps = observation_steps(Schedule(until=20.0), 0.005)
    assert steps[-1] * 0.005 == pytest.approx(19.59)
    with pytest.raises(SettingsError, match="before the first observation"):
        observation_steps(Schedule(until=0.001), 0.005)
