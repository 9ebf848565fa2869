"""Walltimes: how they are written, how a run stops before its own ends, and how a campaign is divided to fit them."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from glassformer.cli.console import CONTINUE
from glassformer.core.campaign import Campaign
from glassformer.core.errors import SettingsError
from glassformer.core.progress import Silent
from glassformer.core.signals import STOPPING, StopRequested, stop_after, stop_on_signals
from glassformer.core.walltime import MARGIN, seconds_of, time_left, usable
from glassformer.simulate.campaign import run_campaign, tasks
from glassformer.simulate.parts import fewest_parts, part_hours, plan_parts, rates_of, task_hours
from glassformer.simulate.plan import cost_at
from tests.unit.test_cli import CAMPAIGN, RUN
from tests.unit.test_sharing import contents, hidden


@contextmanager
def usual_handlers() -> Iterator[None]:
    """Undo what the first signal does to the handling of later ones."""
    try:
        yield
    finally:
        for number in STOPPING:
            signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4h", 14400), ("1.5h", 5400), ("90m", 5400), ("2d", 172800), ("45s", 45), ("90", 5400), ("90:30", 5430),
        ("12:00:00", 43200), ("1-12", 129600), ("1-12:30", 131400), ("1-00:00:05", 86405),
    ],
)  # fmt: skip
def test_times_in_words_and_in_slurms_formats(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "4 h", "h", "0", "0s", "-1h", "UNLIMITED", "1:2:3:4"])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(SettingsError, match="expected a time such as 4h"):
        seconds_of(text)


def test_the_end_that_slurm_tells_counts_unless_it_has_passed() -> None:
    now = time.time()
    assert time_left("", {}) is None
    assert time_left("", {"SLURM_JOB_END_TIME": str(int(now) - 60)}) is None
    assert time_left("", {"SLURM_JOB_END_TIME": str(int(now) + 600)}) == pytest.approx(600, abs=2)
    # The earlier of the two.
    assert time_left("5m", {"SLURM_JOB_END_TIME": str(int(now) + 600)}) == 300
    assert time_left("1h", {"SLURM_JOB_END_TIME": str(int(now) + 600)}) == pytest.approx(600, abs=2)
    assert usable(86400) == 86400 - MARGIN
    assert usable(60) == 54


def test_a_run_is_stopped_once_by_its_clock_or_from_outside() -> None:
    def clock() -> float:
        return signal.getitimer(signal.ITIMER_REAL)[0]

    # That of the test itself, if it has a timeout.
    before = clock()
    with usual_handlers():
        with pytest.raises(StopRequested) as caught, stop_after(0.05):
            time.sleep(5)
        assert caught.value.in_time
        assert clock() == pytest.approx(before, abs=1)
        with stop_after(0.05):
            pass
        time.sleep(0.1)
    with usual_handlers():
        stop_on_signals()
        with pytest.raises(StopRequested) as caught, stop_after(0.2):  # noqa: PT012
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5)
            finally:
                # What puts everything in order is not disturbed.
                time.sleep(0.3)
        assert caught.value.name == "SIGTERM"


def test_of_two_clocks_the_earlier_counts() -> None:
    for outer, inner in ((0.1, 5.0), (5.0, 0.1)):
        began = time.monotonic()
        with usual_handlers(), pytest.raises(StopRequested), stop_after(outer):  # noqa: PT012
            try:
                with stop_after(inner):
                    time.sleep(2)
            finally:
                # The other does not go off as well.
                time.sleep(0.3)
                assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
        assert time.monotonic() - began < 1.5
    # One that was left in time does not put off the other.
    began = time.monotonic()
    with usual_handlers(), pytest.raises(StopRequested), stop_after(0.6):  # noqa: PT012
        with stop_after(0.5):
            time.sleep(0.3)
        time.sleep(5)
    assert time.monotonic() - began < 2


@pytest.mark.long
def test_runs_that_stop_in_time_make_the_same_data(tiny_campaign: Campaign, tiny_dataset: Path, tmp_path: Path) -> None:
    few = tiny_campaign.model_copy(update={"configurations": 1})
    # A fast machine needs less than two seconds for all of it.
    data, stops, seconds = tmp_path / "data", 0, 0.3
    while True:
        try:
            with usual_handlers(), stop_after(seconds):
                run_campaign(few, data, Silent(), 1)
            break
        except StopRequested:
            stops += 1
            # However busy the machine is, in the end there is time enough.
            seconds *= 1.3
            assert not list(data.rglob("*.lock"))
    assert stops >= 1
    assert contents(data) == {name: whole for name, whole in contents(tiny_dataset).items() if "c0000" in name}
    assert hidden(data) == []


@pytest.mark.long
def test_a_training_stops_in_time_and_continues(tiny_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(RUN.replace("epochs = 3", "epochs = 40"))
    words = [sys.executable, "-m", "glassformer", "train", str(tmp_path / "run.toml"), str(tiny_dataset)]
    words += ["--threads", "1", "--out"]
    subprocess.run([*words, str(tmp_path / "whole")], check=True, capture_output=True)
    stops, seconds = 0, 3.0
    while True:
        parts = [*words, str(tmp_path / "parts"), "--walltime", f"{seconds:.1f}s"]
        done = subprocess.run(parts, check=False, capture_output=True, text=True)
        if done.returncode == 0:
            break
        assert (done.returncode, done.stderr) == (75, f"error: stopped before the end of the walltime\n{CONTINUE}\n")
        stops += 1
        # However busy the machine is, in the end there is time enough.
        seconds *= 1.3
    assert stops >= 1
    for fold in ("fold-0", "fold-1"):
        whole, parts = ((tmp_path / which / fold / "model.safetensors").read_bytes() for which in ("whole", "parts"))
        assert parts == whole


@pytest.mark.long
def test_every_command_that_continues_stops_before_its_slurm_job_ends(tiny_dataset: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_dataset, data)
    for words in (["cage", data, "--kind", "window", "--end", "20000"], ["demo", "--out", tmp_path / "demo"]):
        done = subprocess.run(
            [sys.executable, "-m", "glassformer", *map(str, words)],
            env=os.environ | {"SLURM_JOB_END_TIME": str(int(time.time()) + 5)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 75, done.stderr
        assert done.stderr.splitlines()[-2:] == ["error: stopped before the end of the walltime", CONTINUE]


@pytest.mark.long
@pytest.mark.parametrize("how", ["option", "slurm"])
def test_the_command_says_that_it_can_be_continued(how: str, tmp_path: Path) -> None:
    path = tmp_path / "long.toml"
    path.write_text(CAMPAIGN.replace("hold_time = 0.5", "hold_time = 5000.0"))
    command = [sys.executable, "-m", "glassformer", "simulate", str(path), "--out", str(tmp_path / "data")]
    end = {"SLURM_JOB_END_TIME": str(int(time.time()) + 25)} if how == "slurm" else {}
    done = subprocess.run(
        [*command, "--workers", "1", *(["--walltime", "20s"] if how == "option" else [])],
        env=os.environ | end, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 75
    assert done.stderr.splitlines() == ["error: stopped before the end of the walltime", CONTINUE]
    assert list((tmp_path / "data").glob("*/.c0000.unfinished/*"))
    assert not list(tmp_path.rglob("*.lock"))


@pytest.mark.parametrize("cores", [1, 3, 8])
@pytest.mark.parametrize("hours", [1.0, 7.0, 30.0])
def test_parts_fit_and_are_few(cores: int, hours: float) -> None:
    # Seven state points in turn, of which the coldest takes longest.
    lengths = [1.0, 0.6, 0.4, 0.2, 0.1, 0.1, 0.05] * 40
    number = fewest_parts(lengths, cores, hours)
    assert max(part_hours(lengths, number, cores)) <= hours
    smaller = [one for one in range(1, number) if max(part_hours(lengths, one, cores)) <= hours]
    # Steps of 2 % are all that may be lost.
    assert not smaller or min(smaller) >= number / 1.03 - 1


def test_a_task_that_is_longer_than_the_walltime_gets_a_core_of_its_own() -> None:
    assert fewest_parts([10.0] * 17, 4, 3.0) == 5
    assert max(part_hours([10.0] * 17, 5, 4)) == 10.0
    assert fewest_parts([0.0] * 17, 4, 3.0) == 1
    # A single one of them does not make a job of every task.
    assert fewest_parts([10.0, *[0.1] * 1000], 1, 3.0) < 60


def test_a_part_takes_what_its_tasks_take(tiny_campaign: Campaign, tiny_dataset: Path) -> None:
    rates = rates_of(tiny_campaign, 500.0)
    hours = task_hours(tiny_campaign, None, rates)
    assert len(hours) == len(tasks(tiny_campaign, Path())) == 8
    cost = cost_at(tiny_campaign, tiny_campaign.state_points[0], [None], rates)
    assert hours[0] == hours[2] == cost.most_equilibration_hours + cost.draw_hours > 0
    assert task_hours(tiny_campaign, tiny_dataset, rates) == [0.0] * 8
    parts = plan_parts(tiny_campaign, None, 2, 1.01 * hours[0], Silent(), 500.0)
    assert (parts.number, parts.hours) == (4, pytest.approx(hours[0]))
    assert parts.core_hours == pytest.approx(sum(hours))


def test_sbatch_chooses_the_parts_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(CAMPAIGN)

    def script(*options: str) -> str:
        command = [sys.executable, "-m", "glassformer", "sbatch", str(path), "--out", str(tmp_path / "data")]
        return subprocess.run([*command, *options], capture_output=True, text=True, check=True).stdout

    text = script("--rate", "300", "--time", "00:01:00", "--cores", "2")
    (total,) = map(float, re.findall(r"At most (\S+) core-hours, at 300 draw steps per second and core", text))
    (longest, usable_hours) = map(float, *re.findall(r"takes at most (\S+) of (\S+) hours on 2 cores", text))
    (number,) = map(int, re.findall(r"--array=1-(\d+)", text))
    assert usable_hours == pytest.approx(54 / 3600, rel=0.01)
    assert longest <= usable_hours
    assert 1 < number <= 4
    assert number * 2 * longest >= 0.99 * total
    assert f'--part "$SLURM_ARRAY_TASK_ID/{number}"' in text
    slow = script("--rate", "10", "--time", "00:01:00", "--cores", "8")
    assert "--array=1-1\n" in slow
    assert re.search(r"Longer than the wall time: submit \d+ times", slow)
