"""The commands around campaigns, as a user types them."""

import csv
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from glassformer.core.presets import campaign_presets, preset
from glassformer.dataset.folder import read_dataset
from tests.unit.test_cli import CAMPAIGN, RUN, glassformer, refused

pytestmark = pytest.mark.long

SMALL = ("--set", "particles=200", "--set", "configurations=1", "--set", "draws=2", "--set", "engine=lammps")
SHORT = (*SMALL, "--set", "state_points.hold_time=0.4")
QUICK = (*SHORT, "--set", "particle_times=[0.5]", "--set", "schedule.until=0.5")


def test_the_list_names_every_campaign() -> None:
    done = glassformer("simulate", "--list")
    assert done.returncode == 0
    for name in campaign_presets():
        assert name in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_shown_campaign_can_be_saved_and_used(tmp_path: Path) -> None:
    shown = glassformer("simulate", "thesis", "--show").stdout
    assert tomllib.loads(shown) == tomllib.loads(preset("campaigns", "thesis").read_text())


@pytest.mark.parametrize("name", ["thesis", "thesis-as-run", "demo", "cooling"])
def test_every_protocol_runs_small(name: str, tmp_path: Path) -> None:
    """All of them, at a hundredth of their times: stages without a duration take five steps."""
    stages = tomllib.loads(preset("campaigns", name).read_text())["equilibration"]["stages"]
    text = "[" + ", ".join(inline(stage | {"duration": 0.4}) for stage in stages) + "]"
    changes = (*QUICK, "--set", f"equilibration.stages={text}", "--set", "equilibration.most_windows=2")
    done = glassformer("simulate", name, "--out", tmp_path / "data", "--workers", 2, *changes)
    assert done.returncode == 0, done.stderr
    samples = read_dataset(tmp_path / "data")
    assert len(samples) == len(tomllib.loads(preset("campaigns", name).read_text())["state_points"])
    assert all(sample.facts.cutoff == "uniform" for sample in samples)


def inline(table: dict[str, object]) -> str:
    pairs = (
        f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for key, value in table.items()
    )
    return "{" + ", ".join(pairs) + "}"


def test_the_isochore_starts_from_given_configurations(tmp_path: Path) -> None:
    point = ("--only", "T0.64", "--set", "state_points.particle_times=[0.5]", "--set", "state_points.until=0.5")
    stages = ("--set", "equilibration.stages=[{temperature = 1.0, duration = 1.0}]")
    made = glassformer("simulate", "isochore", "--out", tmp_path / "first", *SHORT, *point, *stages)
    assert made.returncode == 0, made.stderr
    start = ("--set", f"equilibration.start_from={tmp_path / 'first'}")
    done = glassformer("simulate", "isochore", "--out", tmp_path / "second", *SHORT, *point, *start)
    assert done.returncode == 0, done.stderr
    (sample,) = read_dataset(tmp_path / "second")
    assert sample.facts.start.startswith("configuration ")
    assert sample.facts.cutoff == "scaled"
    assert sample.configuration.density == pytest.approx(1.2, rel=1e-9)


def test_plan_and_status_and_analyse(tmp_path: Path, tiny_dataset: Path) -> None:
    done = glassformer("plan", "demo", *QUICK)
    assert done.returncode == 0, done.stderr
    assert "core-hours" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    done = glassformer("status", tiny_dataset)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    out = tmp_path / "analysis"
    done = glassformer("analyse", tiny_dataset, "--observables", "msd,rdf", "--out", out)
    assert done.returncode == 0, done.stderr
    with (out / "msd" / "T0.50_P1.55.csv").open() as stream:
        assert next(csv.reader(stream)) == ["time", "msd_a", "msd_a_error", "msd_b", "msd_b_error"]
    listed = glassformer("analyse", tiny_dataset, "--observables", "list").stdout
    assert "van-hove" in listed
    refused(glassformer("analyse", tiny_dataset, "--observables", "mds", "--out", out), "no observable 'mds'")
    refused(glassformer("analyse", tiny_dataset, "--compare", tmp_path, "--out", out), "no table to compare with")
    refused(glassformer("status", tmp_path), "does not state its campaign")


def test_mistakes_are_refused(tmp_path: Path) -> None:
    refused(glassformer("simulate"), "no campaign was given")
    refused(glassformer("simulate", "demo"), "no folder for the dataset was given")
    refused(glassformer("simulate", "demoo", "--out", tmp_path), "no campaign file demoo")
    refused(glassformer("plan", "demo", "--set", "particles"), "expected KEY=VALUE")
    refused(glassformer("plan", "demo", "--only", "T9"), "no state point T9")
    absent = ("--set", f"equilibration.start_from={tmp_path / 'absent'}")
    refused(glassformer("simulate", "demo", "--out", tmp_path / "x", *absent), "to start from")


def test_training_on_what_is_not_in_equilibrium_needs_a_flag(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(RUN)
    ageing = CAMPAIGN.replace("hold_in_tau_alpha = 0.01", "hold_in_tau_alpha = 1e6").replace(
        "most_windows = 40", "most_windows = 2"
    )
    (tmp_path / "campaign.toml").write_text(ageing)
    made = glassformer("simulate", tmp_path / "campaign.toml", "--out", tmp_path / "data")
    assert "0 of 4" in made.stdout, made.stderr
    train = ("train", tmp_path / "run.toml", tmp_path / "data", "--out", tmp_path / "training", "--threads", 1)
    refused(glassformer(*train), "8 of 8 configurations are not in equilibrium")
    assert not (tmp_path / "training").exists()
    assert glassformer(*train, "--allow-unequilibrated").returncode == 0


def test_mode_coupling(tmp_path: Path) -> None:
    done = glassformer("mode-coupling", "--out", tmp_path, "--couplings", "2,4.5")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "a4.5.csv").open() as stream:
        *_, last = csv.reader(stream)
    # f = (1 + sqrt(1 - 4 / 4.5)) / 2 = 2 / 3.
    assert float(last[1]) == pytest.approx(2 / 3, abs=1e-4)
    refused(glassformer("mode-coupling", "--out", tmp_path, "--couplings", "x"), "expected numbers")
    refused(glassformer("mode-coupling", "--out", tmp_path, "--couplings", "-1"), "expected numbers of 0 or more")


READ_ONLY = 'mount -t tmpfs -o ro tmpfs "$1" && shift && exec "$@"'


def test_a_read_only_folder_is_told(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    probe = subprocess.run(
        ["unshare", "-m", "bash", "-c", READ_ONLY, "x", disk, "true"], capture_output=True, check=False
    )
    if probe.returncode:
        pytest.skip("needs the right to mount a read-only file system")
    command = [sys.executable, "-m", "glassformer", "simulate", "demo", "--out", disk / "data"]
    shell = ["unshare", "-m", "bash", "-c", READ_ONLY, "x", disk, *command]
    refused(
        subprocess.run(list(map(str, shell)), capture_output=True, text=True, check=False, env=dict(os.environ)),
        "Read-only file system",
    )
