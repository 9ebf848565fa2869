"""Numbers beyond all sense are refused in one line, in every table; files that TOML or JSON choke on, too."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from glassformer.cli.app import app
from glassformer.core.campaign import Campaign
from glassformer.core.errors import SettingsError
from glassformer.core.run import Run
from glassformer.core.settings import check_settings, load_settings
from glassformer.simulate.stages import hold
from glassformer.simulate.work import warn_of_cost
from tests.conftest import TINY_CAMPAIGN, TINY_RUN

CAMPAIGN_CHANGES = {
    "particles=1000000000000", "state_points.hold_time=1e300", "schedule.first=9000000000000000000",
    "schedule.count=1000000000", "state_points.temperature=1e300", "state_points.pressure=1e300", "time_step=1e-300",
    "equilibration.relaxations=1e300", "equilibration.settle_time=1e300", "configurations=1000000000000",
    "draws=1000000000000", "equilibration.most_windows=1000000000000", "particle_times=[1e300]",
    "state_points.until=1e300", "equilibration.start_density=1e300",
}  # fmt: skip
RUN_CHANGES: list[dict[str, Any]] = [
    {"training": {"learning_rate": 1e300}}, {"training": {"epochs": 10**12}}, {"training": {"batch_size": 10**12}},
    {"training": {"weight_decay": 1e300}}, {"network": {"neighbors": 10**6}}, {"network": {"blocks": [[10**6]]}},
    {"network": {"fully_connected": [10**6]}}, {"split": {"folds": 10**9}}, {"targets": {"times": [1e300]}},
    {"network": {"name": "message-passing", "width": 10**6}},
    {"network": {"name": "continuous-filter", "cutoff": 1e300}},
]  # fmt: skip


@pytest.mark.parametrize("change", sorted(CAMPAIGN_CHANGES))
def test_campaigns(change: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["simulate", "demo", "--out", str(tmp_path / "data"), "--set", change])
    assert isinstance(done.exception, SettingsError), done.exception
    assert change.partition("=")[0].rpartition(".")[2] in done.exception.problem
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("change", RUN_CHANGES, ids=str)
def test_runs(change: dict[str, Any]) -> None:
    values = TINY_RUN | {table: TINY_RUN.get(table, {}) | keys for table, keys in change.items()}
    if "name" in change.get("network", {}):
        values["network"] = change["network"]
    with pytest.raises(SettingsError, match="expected less than or equal to"):
        check_settings(values, Run, "run.toml")


def test_a_temperature_close_to_where_the_estimate_diverges() -> None:
    point = {"temperature": 0.3871, "pressure": 1.0}
    estimate = {"relaxation_estimate": {"strength": 0.62, "temperature": 0.387}}
    campaign = check_settings(TINY_CAMPAIGN | {"state_points": [point], "equilibration": estimate}, Campaign, "cold")
    with pytest.raises(SettingsError, match=r"hold_time is not given, .* at T = 0.3871 are longer than 1e\+09"):
        hold(campaign, campaign.state_points[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 9_000 + "]" * 9_000, "is nested too deeply"),
        ("a = " + "1" * 10_000, "Exceeds the limit"),
        ("a" + ".a" * 2_000 + " = 1", "unknown key a"),
        ("a" + ".a" * 100_000 + " = 1", "has a line of 200005 characters; expected at most 20000"),
        ("seed = 1979-05-27", "seed"),
    ],
)
def test_toml_that_cannot_be_meant(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_settings(tmp_path / "c.toml", Campaign)


def test_a_change_that_cannot_be_read(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["simulate", "demo", "--out", str(tmp_path / "d"), "--set", "seed=" + "1" * 10_000])
    assert isinstance(done.exception, SettingsError)
    assert "got --set seed=... with a value of 10000 characters that cannot be read" in done.exception.problem


@pytest.mark.parametrize("command", [("simulate", "demo", "--out", ""), ("info", ""), ("train", "", "x", "--out", "y")])
def test_an_empty_argument_is_no_folder(command: tuple[str, ...], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "glassformer", *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: got an empty argument")
    assert list(tmp_path.iterdir()) == []


class Said:
    """A progress that only listens."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_a_campaign_that_takes_months_is_not_started_without_a_word(tiny_campaign: Campaign) -> None:
    said = Said()
    warn_of_cost(tiny_campaign, 1e6, 2, said)  # type: ignore[arg-type]
    assert said.lines == []
    # 1e12 steps of 200 particles at 1.8 million particle steps per second and core: 30,864 core-hours.
    warn_of_cost(tiny_campaign, 1e12, 2, said)  # type: ignore[arg-type]
    assert len(said.lines) == 1
    assert "about 30,864 core-hours, 643 days on 2 cores" in said.lines[0]
    warn_of_cost(tiny_campaign, 1e12, None, said)  # type: ignore[arg-type]
    assert "about 30,864 core-hours, at the rates" in said.lines[1]
