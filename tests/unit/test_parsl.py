"""Campaigns through Parsl, on this machine: ready configurations, the same bytes, and files for sbatch."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from glassformer.core.campaign import Campaign
from glassformer.core.errors import EngineError, SettingsError
from glassformer.core.parsl_runner import (
    config_file,
    load_config,
    ready_configs,
    run_on_parsl,
)
from glassformer.core.progress import Silent
from glassformer.simulate.campaign import run_campaign, tasks
from glassformer.simulate.sample_task import simulate_remotely
from tests.unit.test_sharing import contents, hidden

pytest.importorskip("parsl", reason="needs Parsl: pip install 'glassformer[parsl]'")


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "glassformer", *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", ["gpu", "nodes", "slurm", "workstation"])
def test_ready_configurations_are_configurations(name: str) -> None:
    assert sorted(ready_configs()) == ["gpu", "nodes", "slurm", "workstation"]
    (executor,) = load_config(config_file(name)).executors
    assert executor.label == name


def test_a_file_that_makes_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no file absent"):
        config_file("absent")
    for text, message in (("x = 1", "defines no Parsl configuration"), ("config = 1 / 0", "ZeroDivisionError")):
        (tmp_path / "mine.py").write_text(text)
        with pytest.raises(SettingsError, match=message):
            load_config(tmp_path / "mine.py")


@pytest.mark.long
def test_a_campaign_through_parsl_is_the_same(tiny_campaign: Campaign, tiny_dataset: Path, tmp_path: Path) -> None:
    few = tiny_campaign.model_copy(update={"configurations": 1})
    runner = partial(run_on_parsl, config_file("workstation"))
    assert run_campaign(few, tmp_path / "data", Silent(), 1, runner=runner) == 2
    assert contents(tmp_path / "data") == {n: w for n, w in contents(tiny_dataset).items() if "c0000" in n}
    assert hidden(tmp_path / "data") == []


def test_a_node_with_another_engine_refuses(tiny_campaign: Campaign, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="runs the draws with LAMMPS"):
        simulate_remotely(tasks(tiny_campaign, tmp_path)[0], "lockstep 2")
    assert list(tmp_path.iterdir()) == []


def test_the_file_for_sbatch(tmp_path: Path) -> None:
    done = command(
        "sbatch", "demo", "--out", tmp_path / "a b", "--parts", "40", "--cores", "8", "--time", "12:00:00",
        "--directive=--partition=long", "--set", "draws=3", "--only", "T0.50",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for line in (
        "#SBATCH --array=1-40",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --time=12:00:00",
        "#SBATCH --partition=long",
    ):
        assert line in done.stdout.splitlines()
    last = done.stdout.splitlines()[-1]
    assert f"simulate demo --out '{tmp_path / 'a b'}' --set draws=3 --only T0.50" in last
    assert '--part "$SLURM_ARRAY_TASK_ID/40"' in last
    assert subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=False).returncode == 0
    assert command("sbatch", "demo", "--out", tmp_path, "--set", "drawz=3").returncode == 2
    shown = command("simulate", "--parsl", "slurm", "--show")
    assert shown.stdout == config_file("slurm").read_text()
