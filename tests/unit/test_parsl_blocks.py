"""Jobs of Parsl that are lost, never start or cannot be submitted: what is replaced, and how a run ends."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glassformer.core.campaign import Campaign
from glassformer.core.errors import EngineError
from glassformer.core.parsl_blocks import REPLACEMENTS, SHOWN, Blocks, executor_error, telling_line
from glassformer.core.parsl_runner import config_file, load_config, run_on_parsl
from glassformer.core.progress import Silent
from glassformer.simulate.campaign import run_campaign
from tests.unit.test_campaign_failures import Said
from tests.unit.test_parsl import command
from tests.unit.test_sharing import contents
from tests.unit.test_signals import CAMPAIGN

pytest.importorskip("parsl", reason="needs Parsl: pip install 'glassformer[parsl]'")
BadStateException = pytest.importorskip("parsl.executors.errors").BadStateException
TooManyJobFailuresError = pytest.importorskip("parsl.jobs.errors").TooManyJobFailuresError
JobState, JobStatus = (getattr(pytest.importorskip("parsl.jobs.states"), name) for name in ("JobState", "JobStatus"))
WorkerLost = pytest.importorskip("parsl.executors.high_throughput.errors").WorkerLost

BLOCK = """
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import {provider}


class Watched({provider}):
    status_polling_interval = 0.5


config = Config(
    executors=[
        HighThroughputExecutor(
            label="one",
            address="127.0.0.1",
            max_workers_per_node=1,
            heartbeat_period=1,
            heartbeat_threshold=4,
            worker_logdir_root={logs!r},
            provider=Watched({options}),
        )
    ],
    strategy={strategy!r},
    strategy_period=0.5,
)
"""


def one_block(
    folder: Path,
    options: str = "init_blocks=1, max_blocks=1",
    provider: str = "LocalProvider",
    strategy: str = "simple",
) -> Path:
    """Write a Parsl configuration of one executor, whose workers are known by `folder`, and return its path."""
    path = folder / "mine.py"
    path.write_text(BLOCK.format(provider=provider, options=options, strategy=strategy, logs=str(folder / "logs")))
    return path


def pools(folder: Path) -> list[int]:
    """Return the processes that are the blocks of the configuration in `folder`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"python" in words[0] and any(str(folder / "logs").encode() in word for word in words):
            found.append(int(path.parent.name))
    return found


def kill_block(folder: Path, when: Callable[[], bool]) -> threading.Thread:
    """Kill the first block of the configuration in `folder`, as a node is lost, as soon as `when` is true."""

    def kill() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            first = min(pools(folder), default=None)
            if first is not None and when():
                for number in pools(folder):
                    with suppress(ProcessLookupError):
                        os.kill(number, signal.SIGKILL)
                return
            time.sleep(0.02)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


@pytest.mark.long
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("when", "strategy"), [("before it registered", "simple"), ("at work", "none")])
def test_a_lost_node_costs_no_sample(
    when: str, strategy: str, tiny_campaign: Campaign, tiny_dataset: Path, tmp_path: Path
) -> None:
    few, said = tiny_campaign.model_copy(update={"configurations": 1}), Said()
    runner = partial(run_on_parsl, one_block(tmp_path, strategy=strategy))
    begun = [lambda: True, lambda: any((tmp_path / "data").glob("*/.*.lock"))]
    killer = kill_block(tmp_path, begun[when == "at work"])
    run_campaign(few, tmp_path / "data", said, 1, runner=runner)
    killer.join()
    assert contents(tmp_path / "data") == {n: w for n, w in contents(tiny_dataset).items() if "c0000" in n}
    assert any("'one' was lost" in line for line in said.lines), said.lines
    assert pools(tmp_path) == []


@pytest.mark.long
@pytest.mark.timeout(180)
def test_workers_that_never_start_end_the_run_with_one_message(tiny_campaign: Campaign, tmp_path: Path) -> None:
    path = one_block(tmp_path, 'worker_init="module load glass; echo module: error: no such module >&2; exit 3"')
    with pytest.raises(EngineError) as caught:
        run_campaign(tiny_campaign, tmp_path / "data", Silent(), 1, runner=partial(run_on_parsl, path))
    assert re.fullmatch(
        r"6 jobs in a row of Parsl's executor 'one' ended before any worker was ready: \S.*", caught.value.problem
    )
    assert "the same command again" in caught.value.remedy


@pytest.mark.long
@pytest.mark.timeout(180)
def test_a_scheduler_that_cannot_be_reached_ends_the_run_with_one_message(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sbatch", "sacct", "squeue", "scancel"):
        (programs / name).write_text(
            f"#!/bin/sh\necho '{name}: error: Unable to contact slurm controller' >&2\nexit 1\n"
        )
        (programs / name).chmod(0o755)
    path = one_block(tmp_path, "partition=None, max_blocks=2", "SlurmProvider")
    (tmp_path / "c.toml").write_text(CAMPAIGN)
    words = ["simulate", tmp_path / "c.toml", "--out", tmp_path / "data", "--parsl", path]
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
    done = command(*words, env=environment)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "'one' could not submit a job" in line
    assert line.endswith("sbatch: error: Unable to contact slurm controller")


def test_the_line_that_says_what_went_wrong() -> None:
    assert telling_line("") == telling_line(" \n") == ""
    assert telling_line("loading modules\nsbatch: error: Invalid account\nsee the manual") == (
        "sbatch: error: Invalid account"
    )
    traceback = "warning: no such cache\nTraceback (most recent call last):\n  File ...\nImportError: parsl\n"
    assert telling_line(traceback) == "ImportError: parsl"
    assert telling_line("x" * 500) == "x" * SHOWN + " ..."
    assert telling_line("bash: line 1: 77 Killed  process_worker_pool.py\n").startswith("bash: line 1: 77 Killed")


def test_other_handlers_of_blocks_end_the_run_with_one_message() -> None:
    error = TooManyJobFailuresError("Error 1:\n\tJob is marked as MISSING since\n\tSTDERR: sbatch: error: no account\n")
    ended = executor_error(BadStateException(load_config(config_file("slurm")).executors[0], error))
    assert ended is not None
    assert ended.problem == "Parsl's workers have ended: STDERR: sbatch: error: no account"
    assert executor_error(error) is not None
    assert executor_error(WorkerLost(0, "node")) is executor_error(None) is None


class FakeExecutor:
    """An executor with tasks, whose blocks all end; `connected` are those with workers."""

    label, outstanding = "fake", staticmethod(lambda: 3)

    def __init__(self) -> None:
        self.status: dict[str, Any] = {}
        self.blocks_to_job_id: dict[str, str] = {}
        self.connected: list[str] = []
        self.provider = SimpleNamespace(init_blocks=1)
        self.error: Exception | None = None

    def connected_managers(self) -> list[dict[str, str]]:
        return [{"block_id": block} for block in self.connected]

    def scale_out_facade(self, number: int) -> None:
        for _ in range(number):
            block = str(len(self.status))
            self.blocks_to_job_id[block] = block
            self.status[block] = JobStatus(JobState.RUNNING)

    def set_bad_state_and_fail_all(self, error: Exception) -> None:
        self.error = error

    def lose(self, blocks: Blocks) -> None:
        """Lose what runs unless it is connected, and tell `blocks`."""
        for block in set(self.status) - set(self.connected):
            self.status[block] = JobStatus(JobState.FAILED, exit_code=137)
        blocks(self, self.status)


def test_blocks_are_replaced_five_times_in_a_row() -> None:
    blocks, executor = Blocks(), FakeExecutor()
    executor.scale_out_facade(1)
    for _ in range(REPLACEMENTS):
        executor.lose(blocks)
    assert len(executor.status) == 1 + REPLACEMENTS
    assert executor.error is None
    # A task that is done forgives them all.
    blocks.worked()
    for _ in range(REPLACEMENTS):
        executor.lose(blocks)
    assert executor.error is None
    executor.lose(blocks)
    assert isinstance(executor.error, EngineError)
    assert executor.error.problem == "6 jobs in a row of Parsl's executor 'fake' ended: exit code 137"
    assert len(list(blocks.notes())) == 2 * REPLACEMENTS


def test_lost_blocks_do_not_cost_the_one_that_works() -> None:
    blocks, executor = Blocks(), FakeExecutor()
    executor.scale_out_facade(1)
    executor.connected = ["0"]
    for _ in range(3 * REPLACEMENTS):
        executor.scale_out_facade(1)
        executor.lose(blocks)
    assert executor.error is None
    executor.connected = []
    executor.lose(blocks)
    assert executor.error is not None
