"""What to do about a mistake: in a file, in one that ships, or in a change given on the command line."""

from pathlib import Path

import pytest

import glassformer
from glassformer.core.errors import SettingsError
from glassformer.core.presets import load_campaign, preset
from glassformer.core.run import load_run

PACKAGE = str(Path(glassformer.__file__).parent)


def failure(source: str, *changes: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load_campaign(source, list(changes))
    assert PACKAGE not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (["draws=many"], "--set draws=many: draws: got 'many'; expected a valid integer"),
        (["seed=2", "draws=many"], "--set draws=many: draws: got 'many'; expected a valid integer"),
        (["schedule.count=1"], "--set schedule.count=1: schedule.count: got 1; expected greater than or equal to 2"),
        (["state_points.hold_time=-1", "seed=2"], "--set state_points.hold_time=-1: state_points[0].hold_time: got -1"),
        (["particles=203"], "--set particles=203: particles = 203 gives no 80:20 mixture"),
    ],
)
def test_a_change_is_quoted_and_is_what_to_correct(changes: list[str], problem: str) -> None:
    error = failure("demo", *changes)
    assert error.problem.startswith(problem)
    assert error.remedy == "Correct the option --set and run the same command again."


def test_a_mistake_in_the_users_file_is_the_files(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(preset("campaigns", "demo").read_text().replace("draws = 16", "draws = 0"))
    error = failure(str(path), "seed=3")
    assert error.problem.startswith(f"{path}: draws: got 0")
    assert error.remedy == "Correct the file and run the same command again."
    # One that the change takes away is none.
    assert load_campaign(str(path), ["draws=2"]).draws == 2


def test_nobody_is_told_to_edit_the_package() -> None:
    with pytest.raises(SettingsError) as caught:
        load_run("thesis", "particlenet")
    assert caught.value.problem.startswith("run thesis with --network particlenet: velocities as input")
    assert "glassformer train thesis --show > my.toml" in caught.value.remedy
    assert PACKAGE not in str(caught.value)


def test_a_damaged_file_that_ships_is_copied_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "demo.toml").write_text("seed = 1\n")
    monkeypatch.setattr("glassformer.core.presets.preset", lambda kind, name: tmp_path / f"{name}.toml")
    error = failure("demo")
    assert error.problem.startswith("campaign demo: ")
    assert error.remedy == "Change a copy of it: glassformer simulate demo --show > my.toml."
