"""Worker processes: how they are started and watched, how they end with the process that started them, and of what.

Both pools stand on this: that of the campaigns, `core.pool`, and that of the trainings, `train.processes`.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from types import ModuleType
from typing import Any, cast

from glassformer.core.errors import EngineError
from glassformer.core.signals import ctrl_c_held_back

# A crash of compiled code, which follows from what the worker was doing.
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE)
AGAIN = "Run the same command again; finished work is kept."

_CAUSES = {
    signal.SIGKILL: ("most likely because memory ran out", "If it recurs: fewer --workers, or more memory."),
    signal.SIGBUS: ("most likely because /dev/shm or the disk is full", "Free some space (df /dev/shm) first."),
    signal.SIGILL: ("an instruction that this processor does not have", "Run `glassformer doctor`."),
    signal.SIGSEGV: ("a crash in compiled code", "If it recurs, run `glassformer doctor`."),
    signal.SIGABRT: ("aborted by compiled code", "Its own message is above. If it recurs, run `glassformer doctor`."),
    signal.SIGFPE: ("a crash in compiled code", "If it recurs, run `glassformer doctor`."),
    signal.SIGXCPU: ("the limit on CPU time (ulimit -t)", "Raise the limit."),
    signal.SIGTERM: ("stopped from outside", ""),
    signal.SIGINT: ("stopped from outside", ""),
    signal.SIGHUP: ("stopped from outside, as when a terminal closes", ""),
}


class Ended:
    """What is heard last of a worker, whatever ended it."""


@dataclass(eq=False)
class Worker:
    """A process, and this side of the pipe between it and this process."""

    process: Any
    pipe: Connection

    @property
    def crashed(self) -> bool:
        """Whether it has ended by a crash of compiled code."""
        code = self.process.exitcode
        return code is not None and -code in CRASHES

    def send(self, message: Any) -> None:
        """Send it `message`; that it has ended is heard from `Workers.listen`."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send(message)


class Workers:
    """Processes started by this one, each with a pipe; a context manager that ends them at once, whatever they do.

    They are ended in the middle of their work: they must write whole files only.
    """

    def __init__(self) -> None:
        self.all: list[Worker] = []
        self._heard: list[Worker] = []

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.all:
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()

    def start(self, target: Callable[..., None], *arguments: Any) -> Worker:
        """Start a process that calls `target(pipe, *arguments)`. Raises `EngineError` if the system refuses."""
        context = multiprocessing.get_context("spawn")
        try:
            with starting_workers():
                here, there = context.Pipe()
                process = context.Process(target=_begin, args=(target, there, arguments), daemon=True)
                process.start()
                worker = Worker(process, here)
                self.all.append(worker)
                self._heard.append(worker)
                # This side's copy: the pipe ends when the worker does.
                there.close()
        except OSError as error:
            raise EngineError(
                f"worker processes cannot be started: {error.strerror or error}",
                "Check the limits on processes and open files (ulimit -u, ulimit -n), or use fewer --workers.",
            ) from error
        return worker

    def listen(self, seconds: float | None = None) -> list[tuple[Worker, Any]]:
        """Return one message of every worker that has sent some, within `seconds`; an `Ended` of one that has ended."""
        by_pipe = {worker.pipe: worker for worker in self._heard}
        messages: list[tuple[Worker, Any]] = []
        for pipe in cast(list[Connection], wait(list(by_pipe), seconds)):
            worker = by_pipe[pipe]
            try:
                messages.append((worker, pipe.recv()))
            except (EOFError, OSError):
                # Of a message that was not sent whole it is the latter.
                self._heard.remove(worker)
                worker.process.join()
                messages.append((worker, Ended()))
        return messages

    @property
    def listening(self) -> bool:
        """Whether any of them may still have something to say."""
        return bool(self._heard)


def _begin(target: Callable[..., None], pipe: Connection, arguments: tuple[Any, ...]) -> None:
    """Run in the worker. Ctrl-C is its parent's, and it ends when that is gone, even by kill -9.

    No orphan writes beside the next run.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    target(pipe, *arguments)


@contextmanager
def starting_workers() -> Iterator[None]:
    """Let processes that are spawned inside neither run the main script again nor listen to Ctrl-C.

    They need nothing of the main script, which may lack a main guard, come from standard input or be gone. Ctrl-C
    reaches this process, once they are started, and it ends them.
    """
    _start_resource_tracker()
    main = sys.modules["__main__"]
    # multiprocessing looks here for the script to run first; this one has no file.
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        with ctrl_c_held_back():
            yield
    finally:
        sys.modules["__main__"] = main


def _start_resource_tracker() -> None:
    """Start Python's helper process such that a hang-up of the terminal does not end it before the others.

    It would be started anyway; and starting it later would let Ctrl-C through.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
    try:
        resource_tracker.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def cause_of_death(exit_code: int | None) -> tuple[str, str]:
    """Return how a worker ended, such as 'killed by SIGKILL, ...', and the remedy."""
    if exit_code is None or exit_code >= 0:
        return f"exit code {exit_code}", f"Its own message is above. {AGAIN}"
    try:
        number = signal.Signals(-exit_code)
    except ValueError:
        return f"signal {-exit_code}", AGAIN
    cause, remedy = _CAUSES.get(number, ("", ""))
    return f"{number.name}: {cause}" if cause else number.name, f"{AGAIN} {remedy}".strip()
