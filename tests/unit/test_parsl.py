"""Campaigns through Parsl, on this machine: ready configurations, the same bytes, and files for sbatch."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from glassformer.cli.cluster import sbatch
from glassformer.core import task_queue
from glassformer.core.campaign import Campaign
from glassformer.core.errors import EngineError, SettingsError
from glassformer.core.lock import HeldError
from glassformer.core.parsl_runner import (
    ATTEMPTS,
    Coordinator,
    config_file,
    load_config,
    ready_configs,
    run_on_parsl,
)
from glassformer.core.progress import Silent
from glassformer.core.tally import Tally
from glassformer.simulate.campaign import missing_work, run_campaign, tasks
from glassformer.simulate.draws import device_found
from glassformer.simulate.sample_task import simulate_remotely
from glassformer.simulate.work import sample_work
from tests.unit.test_campaign_failures import Said
from tests.unit.test_sharing import contents, hidden

pytest.importorskip("parsl", reason="needs Parsl: pip install 'glassformer[parsl]'")
WorkerLost = pytest.importorskip("parsl.executors.high_throughput.errors").WorkerLost


def command(*arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "glassformer", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=env,
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


@dataclass(frozen=True)
class Named:
    name: str
    lock: Path | None = None


def test_the_coordinator_hears_each_end_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_queue, "PATIENCE", 0.05)
    said = Said()
    begun: list[str] = []

    def end(future: "Future[Any]", task: Named) -> None:
        times = begun.count(task.name)
        if task.name == "held" and times == 1:
            future.set_exception(HeldError(None))
        elif (task.name == "lost" and times <= 2) or task.name == "doomed":
            future.set_exception(WorkerLost(0, "node"))
        elif task.name == "failed":
            future.set_exception(EngineError("no"))
        else:
            future.set_result(task.name.upper())

    def call(task: Named) -> "Future[Any]":
        begun.append(task.name)
        future: Future[Any] = Future()
        # One is done before anybody asks; the others end in threads of their own.
        if task.name == "quick":
            end(future, task)
        else:
            threading.Timer(0.02, end, (future, task)).start()
        return future

    names = ["quick", "held", "lost", "doomed", "failed", "slow"]
    coordinator = Coordinator(call, [Named(name) for name in names], Tally(said, dict.fromkeys(names, 1.0)))
    deadline = time.monotonic() + 30
    while coordinator.unfinished and time.monotonic() < deadline:
        coordinator.watch(0.05)
    assert coordinator.results == {name: name.upper() for name in ("quick", "held", "lost", "slow")}
    assert sorted(coordinator.failures) == ["doomed", "failed"]
    assert {name: begun.count(name) for name in names} == {
        "quick": 1, "held": 2, "lost": 3, "doomed": 1 + ATTEMPTS, "failed": 1, "slow": 1,
    }  # fmt: skip
    assert sum("it continues elsewhere" in line for line in said.lines) == 2 + ATTEMPTS


def test_what_was_made_before_others_held_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_queue, "PATIENCE", 0.05)
    ends: list[Callable[[Future[Any]], None]] = [
        lambda future: future.set_exception(HeldError(None, 3)),
        lambda future: future.set_result(2),
    ]

    def call(task: Named) -> "Future[Any]":
        future: Future[Any] = Future()
        ends.pop(0)(future)
        return future

    coordinator = Coordinator(call, [Named("batch")], Tally(Said(), {"batch": 1.0}))
    while coordinator.unfinished:
        coordinator.watch(0.05)
    assert coordinator.results == {"batch": 5}


def test_what_is_missing_is_counted_for_each_task(tiny_campaign: Campaign, tiny_dataset: Path, tmp_path: Path) -> None:
    more = tiny_campaign.model_copy(update={"draws": 3, "configurations": 2})
    shutil.copytree(tiny_dataset / "T0.50_P1.55", tmp_path / "T0.50_P1.55")
    (tmp_path / "T0.50_P1.55" / "c0001.h5").unlink()
    found = missing_work(tasks(more, tmp_path), tmp_path)
    draws = {task.name: 2 if task.name == "T0.50_P1.55/c0000" else None for task in found}
    assert found == {task: sample_work(task.campaign, task.point, draws[task.name]) for task in found}
    assert len(found) == 4
    assert len(set(found.values())) > 1


def test_the_file_for_sbatch(tmp_path: Path) -> None:
    done = command(
        "sbatch", "demo", "--out", tmp_path / "a b", "--parts", "40", "--cores", "8", "--time", "12:00:00",
        "--directive=--partition=long", "--set", "draws=3", "--only", "T0.50",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for line in (
        "#SBATCH --array=1-40",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --time=0-12:00:00",
        "#SBATCH --partition=long",
    ):
        assert line in done.stdout.splitlines()
    last = done.stdout.splitlines()[-1]
    assert f"simulate demo --out '{tmp_path / 'a b'}' --set draws=3 --only T0.50" in last
    assert '--part "$SLURM_ARRAY_TASK_ID/40"' in last
    assert last.endswith(" --walltime 0-12:00:00")
    assert subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=False).returncode == 0
    assert command("sbatch", "demo", "--out", tmp_path, "--set", "drawz=3").returncode == 2
    assert "expected a time such as 4h" in command("sbatch", "demo", "--out", tmp_path, "--time", "soon").stderr
    shown = command("simulate", "--parsl", "slurm", "--show")
    assert shown.stdout == config_file("slurm").read_text()


@pytest.mark.parametrize(("nodes", "array"), [(8, "1-40%8"), (40, "1-40"), (None, "1-40")])
def test_so_many_jobs_of_the_array_run_at_a_time(
    nodes: int | None, array: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sbatch("demo", tmp_path, parts=40, nodes=nodes)
    text = capsys.readouterr().out
    assert f"#SBATCH --array={array}\n" in text
    assert '--part "$SLURM_ARRAY_TASK_ID/40"' in text


@pytest.mark.skipif(device_found(), reason="has a device, whose rate can be measured")
def test_jobs_for_gpus_are_made_where_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cuda = ["engine=cuda"]
    with pytest.raises(EngineError, match="cannot be measured here") as caught:
        sbatch("demo", tmp_path, changes=cuda)
    assert "--rate STEPS" in caught.value.remedy
    assert "--parts N" in caught.value.remedy
    sbatch("demo", tmp_path, rate=1000.0, time="1h", cores=4, changes=cuda)
    text = capsys.readouterr().out
    assert "GPU-hours, at 1,000 draw steps per second and GPU (given)" in text
    assert "#SBATCH --gpus=1\n" in text
    sbatch("demo", tmp_path, parts=3, directives=["--gres=gpu:1"], changes=cuda)
    text = capsys.readouterr().out
    assert "#SBATCH --gres=gpu:1\n" in text
    assert "--gpus" not in text
    # The name of a partition asks for none.
    sbatch("demo", tmp_path, parts=3, directives=["--partition=gpu"], changes=cuda)
    assert "#SBATCH --gpus=1\n" in capsys.readouterr().out


@pytest.mark.long
def test_workers_of_this_machine_are_not_asked_for_with_parsl(tmp_path: Path) -> None:
    done = command("simulate", "demo", "--out", tmp_path / "data", "--workers", "2", "--parsl", "slurm")
    assert done.returncode == 2
    assert "got --workers 2 and --parsl slurm" in done.stderr
    assert not (tmp_path / "data").exists()
