"""Signals to a command, its group or a worker: it ends at once, says how to continue, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassformer
from glassformer.cli.console import CONTINUE, NOTHING, InterruptedByUserError, resumable, stoppable
from glassformer.core.signals import StopRequested, ctrl_c_held_back, handlers_kept, stop_on_signals
from tests.unit.test_cli import CAMPAIGN, RUN

SHARED = Path("/dev/shm")
# Seconds until everything must be gone.
PATIENCE = 5.0


def start(*command: object, **how: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "glassformer", *map(str, command)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, **how,
    )  # fmt: skip


def members(group: int) -> list[int]:
    """Return the processes of `group`, but for Python's resource tracker, which goes last."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and os.getpgid(int(entry.name)) == group:
                command = (entry / "cmdline").read_text()
                found += [] if "resource_tracker" in command or not command else [int(entry.name)]
        except (ProcessLookupError, FileNotFoundError, PermissionError):
            continue
    return found


def wait_until(there: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while not there() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)


def left_in_shared_memory(pids: list[int]) -> list[str]:
    names = {f"mpich_shm_{pid:x}" for pid in pids}
    return [path.name for path in SHARED.glob("mpich_shm_*") if path.name.rpartition("_")[0] in names]


@pytest.fixture
def long(tmp_path: Path) -> Path:
    (tmp_path / "long.toml").write_text(CAMPAIGN.replace("hold_time = 0.5", "hold_time = 500.0"))
    return tmp_path / "long.toml"


@pytest.mark.long
@pytest.mark.parametrize("whom", ["process", "group"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_stopped_simulation_says_how_to_continue(number: signal.Signals, whom: str, long: Path) -> None:
    process = start("simulate", long, "--out", long.parent / "data", "--workers", "2")
    # The workers are at it: LAMMPS, whose MPI library catches SIGHUP, has been loaded.
    wait_until(lambda: list((long.parent / "data").glob("campaign.json")), process)
    time.sleep(3)
    pids = members(process.pid)
    assert len(pids) >= 3
    began = time.monotonic()
    (os.killpg if whom == "group" else os.kill)(process.pid, number)
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - began < PATIENCE
    assert process.returncode == 1
    name = "" if number == signal.SIGINT else f" by {number.name}"
    assert errors.strip().splitlines() == [f"error: stopped{name}", CONTINUE]
    wait_until(lambda: not members(process.pid), process)
    assert not members(process.pid)
    assert not left_in_shared_memory(pids)
    assert not (long.parent / "data" / ".lock").exists()


@pytest.mark.long
def test_a_killed_worker_is_named_and_leaves_no_shared_memory(long: Path) -> None:
    process = start("simulate", long, "--out", long.parent / "data", "--workers", "2")
    wait_until(lambda: list((long.parent / "data").glob("campaign.json")), process)
    time.sleep(3)
    pids = members(process.pid)
    os.kill(max(pids), signal.SIGKILL)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "a worker process died (SIGKILL" in errors
    assert not left_in_shared_memory(pids)


@pytest.mark.long
def test_an_ignored_hangup_stays_ignored(long: Path) -> None:
    process = start(
        "simulate", long, "--out", long.parent / "data", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    wait_until(lambda: list((long.parent / "data").glob("campaign.json")), process)
    time.sleep(2)
    os.kill(process.pid, signal.SIGHUP)
    time.sleep(1)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGTERM)
    assert "stopped by SIGTERM" in process.communicate(timeout=30)[1]


@pytest.mark.long
@pytest.mark.parametrize("delay", [0.0, 0.2, 0.6, 1.2])
def test_ctrl_c_while_workers_start_is_not_lost(delay: float, tiny_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "long.toml").write_text(RUN.replace("epochs = 3", "epochs = 100000"))
    process = start("train", tmp_path / "long.toml", tiny_dataset, "--out", tmp_path / "out", "--threads", "2",
                    "--processes", "2")  # fmt: skip
    # Written just before the workers are started.
    wait_until(lambda: (tmp_path / "out" / "run.json").exists(), process)
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert errors.strip().splitlines() == ["error: stopped", CONTINUE]
    wait_until(lambda: not members(process.pid), process)
    assert not members(process.pid)


# As pip writes it for the entry point in pyproject.toml.
CONSOLE_SCRIPT = """
import re
import sys
from glassformer.__main__ import main
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit(main())
"""
# An import that takes long, and says when it begins.
SLOW_IMPORT = "import time\nprint('importing', flush=True)\ntime.sleep({})\n"


def test_the_entry_point_is_the_one_that_is_tested() -> None:
    settings = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert settings["project"]["scripts"] == {"glassformer": "glassformer.__main__:main"}


@pytest.mark.parametrize("how", ["script", "module"])
@pytest.mark.parametrize("library", ["typer", "numpy"])
def test_ctrl_c_while_the_command_is_imported(library: str, how: str, tmp_path: Path) -> None:
    (tmp_path / f"{library}.py").write_text(SLOW_IMPORT.format(20))
    (tmp_path / "script").write_text(CONSOLE_SCRIPT)
    command = [str(tmp_path / "script")] if how == "script" else ["-m", "glassformer"]
    paths = [str(tmp_path), str(Path(glassformer.__file__).parents[1])]
    process = subprocess.Popen(
        [sys.executable, *command, "info", "/nonexistent"], env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[1] == "error: stopped\n"
    assert process.returncode == 1


@pytest.mark.long
def test_ctrl_c_at_ten_early_moments(long: Path) -> None:
    """As a user types it, a moment after the command was started."""
    answers = []
    for delay in np.random.default_rng(0).uniform(0.0, 2.0, 10):
        process = start("simulate", long, "--out", long.parent / "data")
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        if process.returncode == 1 and errors in ("error: stopped\n", f"error: stopped\n{CONTINUE}\n"):
            answers.append(delay)
        else:
            # Only while the interpreter itself starts; of the package, while its names are made, before `main` runs.
            assert "glassformer/" not in errors.replace("glassformer/__init__.py", ""), errors
            assert process.returncode in (1, -signal.SIGINT), errors
    assert len(answers) >= 5


def test_handlers_that_a_library_changes_are_put_back() -> None:
    before = signal.getsignal(signal.SIGHUP)
    try:
        with handlers_kept():
            pass
        assert signal.getsignal(signal.SIGHUP) is before
        stop_on_signals()
        with pytest.raises(StopRequested) as caught:
            signal_and_wait(signal.SIGHUP)
        assert caught.value.name == "SIGHUP"
        # Only the first one counts.
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
    finally:
        for number in (signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)


def test_ctrl_c_that_is_held_back_arrives_afterwards() -> None:
    reached = []

    def work() -> None:
        with ctrl_c_held_back():
            signal_and_wait(signal.SIGINT)
            reached.append("end")
        time.sleep(1)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["end"]


def signal_and_wait(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.3)


@pytest.mark.long
@pytest.mark.parametrize("how", ["> /dev/full", ">&-", "| head -c 1 > /dev/null"])
def test_a_lost_log_does_not_stop_the_work(how: str, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(CAMPAIGN)
    command = f"{sys.executable} -m glassformer simulate c.toml --out data --only T0.56 {how}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert len(list((tmp_path / "data").glob("*/c*.h5"))) == 4
    assert "Traceback" not in done.stderr
    if "full" in how:
        assert done.returncode == 1
        assert "cannot print to standard output: No space left on device" in done.stderr


def test_a_command_that_keeps_nothing_says_so() -> None:
    def stopped() -> None:
        raise StopRequested(signal.SIGTERM)

    for decorated, remedy in ((resumable, CONTINUE), (stoppable, NOTHING)):
        with pytest.raises(InterruptedByUserError, match="stopped by SIGTERM") as caught:
            decorated(stopped)()
        assert caught.value.remedy == remedy
