"""Campaign and run files: every mistake is named, with what was expected."""

import copy
from pathlib import Path

import pytest

from glassformer.core.campaign import Campaign, check_composition
from glassformer.core.errors import SettingsError
from glassformer.core.presets import RUNS, campaign_presets, load_campaign, preset
from glassformer.core.run import Run
from glassformer.core.settings import check_settings, load_settings
from glassformer.simulate.schedule import observation_steps
from glassformer.simulate.stages import fewest_steps
from tests.conftest import TINY_CAMPAIGN


def broken(**changes: object) -> dict[str, object]:
    return copy.deepcopy(TINY_CAMPAIGN) | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"particels": 100}, "unknown key particels; did you mean 'particles'?"),
        ({"equilibration": {"damping": 1.0}}, "unknown key equilibration.damping; did you mean 'damping_time'?"),
        (
            {"equilibration": {"stages": [{"temperature": "target", "duration": 1.0}]}},
            "the first stage has nothing before it",
        ),
        (
            {"equilibration": {"stages": [{"temperature": 1.0, "ramp": True, "increment": 0.1}]}},
            "give either ramp or increment",
        ),
        ({"zzz": 1}, "unknown key zzz; known keys: seed, particles"),
        ({"particles": 1001}, "particles = 1001 gives no 80:20 mixture"),
        ({"draws": 0}, "draws: got 0; expected greater than 0"),
        ({"time_step": float("nan")}, "time_step: got nan"),
        ({"time_step": 0.5}, "time_step: got 0.5; expected less than or equal to 0.02"),
        ({"cutoff": "2.5"}, "cutoff: got '2.5'; expected 'uniform' or 'scaled'"),
        ({"seed": "one"}, "seed: got 'one'"),
        ({"seed": 10**20}, "seed: got 100000000000000000000; expected less than 9223372036854775808"),
        ({"schedule": {"first": 1, "count": 300, "last": 200}}, "300 different steps do not fit between 1 and 200"),
        ({"state_points": []}, "state_points"),
    ],
)
def test_mistakes_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_settings(broken(**changes), Campaign, "file.toml")
    assert message in caught.value.problem
    assert caught.value.problem.startswith("file.toml: ")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (
            {"temperature": -0.5, "pressure": 1.0, "hold_time": 1.0},
            "state_points[0].temperature: got -0.5; expected greater",
        ),
        ({"temperature": 0.5, "hold_time": 1.0}, "give either pressure or density"),
        ({"temperature": 0.5, "pressure": 1.0, "density": 1.2, "hold_time": 1.0}, "give either pressure or density"),
        ({"temperature": 0.5, "presure": 1.0, "hold_time": 1.0}, "did you mean 'pressure'?"),
    ],
)
def test_mistakes_in_state_points_are_named(point: dict[str, float], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_settings(broken(state_points=[point]), Campaign, "file.toml")
    assert message in caught.value.problem


def test_a_state_point_may_not_stand_twice() -> None:
    point = {"temperature": 0.5, "pressure": 1.0, "hold_time": 1.0}
    with pytest.raises(SettingsError, match=r"T0\.50_P1\.00 is there twice"):
        check_settings(broken(state_points=[point, point]), Campaign, "file.toml")


def test_labels_tell_close_state_points_apart() -> None:
    points = [{"temperature": t, "density": 1.2, "hold_time": 1.0} for t in (0.44, 0.441, 0.4405)]
    campaign = check_settings(broken(state_points=points), Campaign, "file.toml")
    labels = [point.label for point in campaign.state_points]
    assert labels == ["T0.44_rho1.20", "T0.441_rho1.20", "T0.4405_rho1.20"]


@pytest.mark.parametrize("particles", [1000, 4096, 10_000, 200])
def test_allowed_compositions(particles: int) -> None:
    check_composition(particles)


def test_text_that_is_no_toml(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("name = ")
    with pytest.raises(SettingsError, match="is not TOML"):
        load_settings(path, Run)
    with pytest.raises(SettingsError, match="cannot read"):
        load_settings(tmp_path / "absent.toml", Run)


def test_number_of_samples_and_other_state_points_do_not_change_a_sample() -> None:
    few, many = (check_settings(broken(configurations=n), Campaign, "f") for n in (2, 9))
    assert few.sample_parameters(few.state_points[0]) == many.sample_parameters(many.state_points[0])
    other = check_settings(broken(seed=12), Campaign, "f")
    assert few.sample_parameters(few.state_points[0]) != other.sample_parameters(other.state_points[0])


@pytest.mark.parametrize("name", campaign_presets())
def test_shipped_campaigns_are_valid_and_can_be_begun(name: str, tmp_path: Path) -> None:
    campaign = load_campaign(name)
    assert all(observation_steps(campaign.at(point))[-1] > 0 for point in campaign.state_points)
    assert all(fewest_steps(campaign, point) > 0 for point in campaign.state_points)


def test_the_shipped_run_is_valid() -> None:
    assert load_settings(preset(RUNS, "demo"), Run)


def test_one_mistake_is_told_once() -> None:
    with pytest.raises(SettingsError) as caught:
        check_settings({"targets": {"times": [-1.0]}}, Run, "run.toml")
    assert caught.value.problem.splitlines() == ["run.toml: targets.times[0]: got -1.0; expected greater than 0"]
