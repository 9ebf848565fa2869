"""The way to a state point, in steps."""

import numpy as np
import pytest

from glassformer.core.campaign import Campaign
from glassformer.core.errors import SettingsError
from glassformer.core.presets import load_campaign
from glassformer.core.settings import check_settings
from glassformer.core.thesis import thesis_relaxation_time
from glassformer.simulate.stages import approach, fewest_steps, hold, most_steps
from tests.conftest import TINY_CAMPAIGN


def campaign(**equilibration: object) -> Campaign:
    return check_settings(TINY_CAMPAIGN | {"equilibration": equilibration}, Campaign, "stages")


def test_the_thesis_as_it_was_run() -> None:
    """Five runs of 46,360 steps: (0.5495, 0.4888), halfway at P = 1, the target at the mean P, the target twice."""
    settings = load_campaign("thesis-as-run", only=["T0.44"])
    (point,) = settings.state_points
    stages = approach(settings, point)
    assert [stage.steps for stage in stages] == [46_360] * 3
    assert hold(settings, point).steps == 46_360
    assert fewest_steps(settings, point) == most_steps(settings, point) == 5 * 46_360
    for stage, (temperature, pressure) in zip(
        stages, [(0.5495, 0.4888), ((0.5495 + 0.44) / 2, 1.0), (0.44, (1 + 2.93) / 2)], strict=True
    ):
        assert stage.temperatures == (pytest.approx(temperature),) * 2
        assert stage.pressures == (pytest.approx(pressure),) * 2
    assert settings.equilibration.damping_time == pytest.approx(100 * settings.equilibration.time_step)


def test_the_thesis_as_it_was_meant() -> None:
    settings = load_campaign("thesis")
    assert len(settings.state_points) == 7
    assert settings.configurations * settings.draws == 8000
    for point in settings.state_points:
        stages = approach(settings, point)
        temperatures = np.array([stage.temperatures[1] for stage in stages])
        assert temperatures[-1] == pytest.approx(point.temperature)
        assert (np.abs(np.diff(temperatures)) <= 0.02 + 1e-12).all()
        assert stages[-1].pressures == (pytest.approx(point.pressure),) * 2
        # On the line between the start and the target.
        share = (temperatures - 0.5495) / (point.temperature - 0.5495)
        pressures = [stage.pressures[0] for stage in stages if stage.pressures is not None]
        np.testing.assert_allclose(pressures, 0.4888 + share * ((point.pressure or 0) - 0.4888), atol=1e-9)
        for stage in stages:
            assert stage.steps * 0.001 >= 5 * np.exp(0.25 / (stage.temperatures[0] - 0.41)) - 0.001


def test_the_estimate_is_the_thesis_s() -> None:
    assert thesis_relaxation_time(0.50) == pytest.approx(np.exp(0.62 / 0.113))


def test_a_ramp_begins_where_the_stage_before_ended() -> None:
    stages = [
        {"temperature": 1.0, "pressure": 2.0, "duration": 1.0},
        {"temperature": "target", "duration": 2.0, "ramp": True},
    ]
    settings = campaign(stages=stages)
    first, second = approach(settings, settings.state_points[0])
    assert (first.temperatures, first.pressures) == ((1.0, 1.0), (2.0, 2.0))
    assert (second.temperatures, second.pressures) == ((1.0, 0.5), (2.0, 1.55))
    assert (first.steps, second.steps) == (200, 400)


def test_at_fixed_density_there_are_no_pressures() -> None:
    settings = load_campaign("isochore")
    for point in settings.state_points:
        assert all(stage.pressures is None for stage in [*approach(settings, point), hold(settings, point)])


def test_given_starts_need_no_way() -> None:
    settings = campaign(start_from="somewhere")
    assert approach(settings, settings.state_points[0]) == []


def test_a_window_is_a_whole_number_of_segments() -> None:
    settings = campaign()
    point = settings.state_points[0].model_copy(update={"hold_time": 0.505})
    assert hold(settings, point).steps == 104


def test_what_cannot_be_estimated_must_be_given() -> None:
    estimate = {"strength": 0.62, "temperature": 0.387}
    settings = campaign(stages=[{"temperature": 0.38}], relaxation_estimate=estimate)
    with pytest.raises(SettingsError, match=r"a stage's duration is not given, .* diverges at T = 0.387"):
        approach(settings, settings.state_points[0])
    with pytest.raises(SettingsError, match="hold_time is not given"):
        hold(settings, settings.state_points[0].model_copy(update={"temperature": 0.3, "hold_time": None}))
    settings = campaign(stages=[{"temperature": 0.5}])
    with pytest.raises(SettingsError, match="a stage's duration is not given, and the campaign has no equilibration"):
        approach(settings, settings.state_points[0])


def test_the_budget_counts_windows() -> None:
    settings = campaign(most_windows=7)
    point = settings.state_points[0]
    assert most_steps(settings, point) - fewest_steps(settings, point) == 5 * hold(settings, point).steps
    boxed = campaign(most_windows=7, box="mean-density", settle_time=3.0)
    assert fewest_steps(boxed, point) - fewest_steps(settings, point) == 600
