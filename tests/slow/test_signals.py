"""A hundred signals to commands, their groups and their workers: the results are those of undisturbed runs."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.slow.test_kills import campaign_with
from tests.unit.test_cli import RUN
from tests.unit.test_signals import PATIENCE, left_in_shared_memory, members, start

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SHORT = {
    "last = 30000": "last = 4000",
    "hold_in_tau_alpha = 2.0": "hold_in_tau_alpha = 0.0",
    "hold_time = 150.0": "hold_time = 20.0",
    "hold_time = 125.0": "hold_time = 20.0",
    "duration = 110.0": "duration = 10.0",
    "duration = 50.0": "duration = 10.0",
    "most_windows = 3": "most_windows = 2",
    "configurations = 2": "configurations = 4",
}
STUDY = """
title = "signals"
run = "RUN"
[scales.demo]
campaign = "CAMPAIGN"
[[experiments]]
name = "one"
group = "one"
title = "one state point"
train = ["T0.50"]
[[experiments]]
name = "two"
group = "two"
title = "both"
train = ["T0.50", "T0.56"]
"""


@dataclass
class Scenario:
    """A command whose results lie in `results` under the folder it works in, and how many signals it gets."""

    command: tuple[str, ...]
    results: str
    signals: int
    # What it starts from: files to copy, and files to write.
    needs: tuple[str, ...] = ()


SCENARIOS = {
    "simulate": Scenario(("simulate", "campaign.toml", "--out", "data", "--workers", "2"), "data", 20),
    "lockstep": Scenario(("simulate", "lockstep.toml", "--out", "data", "--workers", "2"), "data", 16),
    "quench": Scenario(("quench", "data", "--workers", "2"), "data", 12, ("data",)),
    "train": Scenario(
        ("train", "run.toml", "data", "--out", "training", "--threads", "1", "--allow-unequilibrated"),
        "training",
        16,
        ("data",),
    ),
    "train-two": Scenario(
        (
            "train",
            "run.toml",
            "data",
            "--out",
            "training",
            "--threads",
            "2",
            "--processes",
            "2",
            "--allow-unequilibrated",
        ),
        "training",
        16,
        ("data",),
    ),
    "experiment": Scenario(("experiment", "study.toml", "--out", "study", "--workers", "2"), "study/training", 12),
    "report": Scenario(("report", "."), "report", 8, ("data", "training")),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all settings, a dataset and a training."""
    folder = tmp_path_factory.mktemp("source")
    short = campaign_with(SHORT)
    (folder / "campaign.toml").write_text(short)
    (folder / "lockstep.toml").write_text(short.replace('engine = "lammps"', 'engine = "lockstep"'))
    run = RUN.replace('times = [1.065, "last"]', 'times = ["last"]').replace("epochs = 3", "epochs = 40")
    (folder / "run.toml").write_text(run)
    study = STUDY.replace("RUN", str(folder / "run.toml")).replace("CAMPAIGN", str(folder / "campaign.toml"))
    (folder / "study.toml").write_text(study)
    for command in (SCENARIOS["simulate"].command, SCENARIOS["train"].command):
        assert start(*command, cwd=folder).wait() == 0
    return folder


def prepare(source: Path, folder: Path, scenario: Scenario) -> Path:
    folder.mkdir()
    for path in source.glob("*.toml"):
        shutil.copy(path, folder)
    for name in scenario.needs:
        shutil.copytree(source / name, folder / name)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "campaign.json"
    }  # fmt: skip


def finish(scenario: Scenario, folder: Path) -> None:
    process = start(*scenario.command, cwd=folder)
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def disturb(
    process: subprocess.Popen[str], number: signal.Signals, whom: str, random: np.random.Generator
) -> list[int]:
    """Send the signal; return the processes that were there."""
    there = members(process.pid)
    try:
        if whom == "group":
            os.killpg(process.pid, number)
        elif whom == "worker" and len(there) > 1:
            os.kill(int(random.choice([pid for pid in there if pid != process.pid])), number)
        else:
            process.send_signal(number)
    except ProcessLookupError:
        pass
    return there


@pytest.mark.parametrize("name", SCENARIOS)
def test_signals(name: str, source: Path, tmp_path: Path) -> None:
    scenario, random = SCENARIOS[name], np.random.default_rng(len(name))
    undisturbed = prepare(source, tmp_path / "undisturbed", scenario)
    began = time.monotonic()
    finish(scenario, undisturbed)
    took = time.monotonic() - began
    expected = contents(undisturbed / scenario.results)
    folder, sent, missed, fresh = prepare(source, tmp_path / "0", scenario), 0, 0, True
    while sent < scenario.signals:
        process, began = start(*scenario.command, cwd=folder), time.monotonic()
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=random.uniform(0.1, 0.9) * took)
            # It ended before its signal: little was left to do, or the machine has become faster meanwhile.
            missed, took = missed + 1, time.monotonic() - began if fresh else took
        number, whom = SIGNALS[sent % 4], ("process", "group", "worker")[sent % 3]
        if process.poll() is None:
            sent, fresh = sent + 1, False
            interrupt(process, number, whom, random)
        if process.returncode == 0:
            assert contents(folder / scenario.results) == expected
            folder, fresh = prepare(source, tmp_path / f"{sent}-{missed}", scenario), True
        assert missed <= scenario.signals
    finish(scenario, folder)
    assert contents(folder / scenario.results) == expected


def interrupt(process: subprocess.Popen[str], number: signal.Signals, whom: str, random: np.random.Generator) -> None:
    """Send the signal and wait: the command ends without a traceback, and leaves no process and no memory behind."""
    there, at = disturb(process, number, whom, random), time.monotonic()
    _, errors = process.communicate(timeout=120)
    if number != signal.SIGKILL:
        assert "Traceback" not in errors, (number, whom, errors)
    # A worker that is told to stop may do so after the rest has been done.
    if process.returncode != 0 and whom != "worker":
        while (left := members(process.pid)) and time.monotonic() < at + PATIENCE:
            time.sleep(0.05)
        assert not left, (number, whom)
    assert not left_in_shared_memory(there)
