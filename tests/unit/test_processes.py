"""Worker processes: what is heard of them, how they end, and what the death of one costs."""

import os
import signal
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from glassformer.core import task_queue
from glassformer.core.errors import EngineError
from glassformer.core.failures import raise_failures
from glassformer.core.lock import HeldError
from glassformer.core.pool import run_tasks
from glassformer.core.processes import Ended, Workers
from glassformer.core.progress import Silent
from glassformer.core.tally import FILE, Tally


def count(pipe: Connection, number: int) -> None:
    for value in range(number):
        pipe.send(value)


def sleep(pipe: Connection) -> None:
    pipe.send("awake")
    time.sleep(1000)


def stop_in_the_middle_of_a_message(pipe: Connection) -> None:
    os.write(pipe.fileno(), struct.pack("!i", 1000) + b"half")
    os._exit(3)


def test_what_a_worker_says_is_heard_in_order_and_then_its_end() -> None:
    heard: list[Any] = []
    with Workers() as workers:
        worker = workers.start(count, 3)
        while workers.listening:
            heard += [message for _, message in workers.listen()]
    assert heard[:-1] == [0, 1, 2]
    assert isinstance(heard[-1], Ended)
    assert worker.process.exitcode == 0
    assert not worker.crashed


def test_whoever_leaves_ends_them_at_once() -> None:
    with Workers() as workers:
        worker = workers.start(sleep)
        assert workers.listen() == [(worker, "awake")]
        assert workers.listen(0.05) == []
    assert worker.process.exitcode == -signal.SIGKILL


def test_a_message_that_is_cut_short_is_an_end() -> None:
    with Workers() as workers:
        worker = workers.start(stop_in_the_middle_of_a_message)
        ((_, message),) = workers.listen()
        assert isinstance(message, Ended)
        assert worker.process.exitcode == 3
        # What is sent to one that has gone is lost.
        worker.send("hello")


@dataclass(frozen=True)
class Task:
    name: str
    folder: Path
    lock: Path | None = None


def work(task: Task, report: Callable[..., None], threads: int) -> None:
    with (task.folder / f"{task.name}.begun").open("a") as file:
        file.write("x")
    if task.name == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task.name == "fault":
        raise ValueError("a fault of the program")
    together = [threading.Thread(target=lambda: [report(1, 1) for _ in range(200)]) for _ in range(threads)]
    for one in together:
        one.start()
    for one in together:
        one.join()
    time.sleep(2 if task.name == "long" else 0)


class Counted(Silent):
    """Progress that adds up."""

    def __init__(self) -> None:
        self.total = self.done = 0.0

    def start(self, stage: str, total: float, unit: str) -> None:
        self.total += total

    def expect(self, amount: float) -> None:
        self.total += amount

    def advance(self, amount: float, note: str = "") -> None:
        self.done += amount


def run(folder: Path, *names: str) -> Counted:
    progress = Counted()
    tally = Tally(progress, dict.fromkeys(names, 10.0))
    try:
        _, failures = run_tasks([Task(name, folder) for name in names], work, tally, 2, 4, lambda: None)
        raise_failures(failures, len(names))
    finally:
        assert progress.done == pytest.approx(progress.total)
    return progress


def test_all_that_several_threads_report_arrives(tmp_path: Path) -> None:
    assert run(tmp_path, "a", "b", "c").done == pytest.approx(3 * (10 + 800 + FILE))


def test_a_crash_disturbs_no_other_task(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"1 of 4 .*the others are done:\ncrash: a worker process died \(SIGSEGV"):
        run(tmp_path, "crash", "long", "a", "b")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "crash.begun": "x", "long.begun": "x", "a.begun": "x", "b.begun": "x",
    }  # fmt: skip


def some_are_held(task: Task, report: Callable[..., None], threads: int) -> int:
    """Make two samples of a batch, whose others another run holds, then one more, and then the last three."""
    begun = task.folder / task.name
    with begun.open("a") as file:
        file.write("x")
    match len(begun.read_text()):
        case 1:
            raise HeldError(None, 2)
        case 2:
            raise HeldError(None, 1)
    return 3


def test_what_a_task_made_before_the_rest_was_free_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_queue, "PATIENCE", 0.1)
    tasks = [Task(name, tmp_path) for name in ("a", "b")]
    tally = Tally(Silent(), {"a": 1.0, "b": 1.0})
    made, failures = run_tasks(tasks, some_are_held, tally, 1, 1, lambda: None)
    assert (made, failures) == ({"a": 6, "b": 6}, {})


def test_a_fault_of_the_program_shows_where_it_happened(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a fault of the program") as caught:
        run(tmp_path, "fault", "a")
    notes = "\n".join(caught.value.__notes__)
    assert "in work" in notes
    assert "while working on fault" in notes
    assert (tmp_path / "a.begun").exists()
