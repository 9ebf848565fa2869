"""Training by several processes on one machine, together or each by itself; this one watches over them."""

import os
import socket
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from glassformer.core.errors import GlassformerError, TrainingError
from glassformer.core.processes import Ended, Workers, cause_of_death
from glassformer.core.progress import Progress, Silent

Work = Callable[[Any, Progress, int, int], None]

# Seconds until a killed process is known to be dead.
MOURNING = 1.0


def run_together(work: Work, task: Any, processes: int, progress: Progress, one_network: bool = True) -> None:
    """Call `work(task, progress, rank, processes)` in that many processes and wait for all of them.

    They train `one_network` together, of which rank 0 reports to `progress`; or each its own, and all report. Whatever
    ends one of them, or this one, ends all: they write whole files only. What one raises is raised here. Raises
    `TrainingError` if one dies.
    """
    port = _free_port() if one_network else None
    with Workers() as workers:
        for rank in range(processes):
            workers.start(_train, work, task, rank, processes, port)
        while workers.listening:
            for _, message in workers.listen():
                _hear(message, workers, progress)


def _hear(message: Any, workers: Workers, progress: Progress) -> None:
    """Pass on what a worker says, or raise what ended it."""
    if isinstance(message, Ended):
        _refuse_deaths(workers)
        return
    kind, content = message
    if kind == "failed":
        raise content
    if kind == "crashed":
        # What one says when another has died beside it is not the reason.
        time.sleep(MOURNING)
        _refuse_deaths(workers)
        raise RuntimeError(f"a training process failed\n{content}")
    getattr(progress, kind)(*content)


def _refuse_deaths(workers: Workers) -> None:
    # None while it runs. A worker that has failed says so first, and ends well.
    dead = next((worker.process for worker in workers.all if worker.process.exitcode), None)
    if dead is not None:
        cause, remedy = cause_of_death(dead.exitcode)
        raise TrainingError(f"a training process died ({cause})", remedy)


def _train(pipe: Connection, work: Work, task: Any, rank: int, processes: int, port: int | None) -> None:
    if port is not None:
        # Where torch.distributed has them meet.
        os.environ.update({"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)})
    try:
        work(task, Silent() if port is not None and rank else _Sender(pipe), rank, processes)
    except GlassformerError as error:
        pipe.send(("failed", error))
    except BaseException:
        pipe.send(("crashed", traceback.format_exc()))


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class _Sender:
    """Progress that is shown by another process."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def start(self, stage: str, total: float, unit: str) -> None:
        """Pass it on."""
        self._pipe.send(("start", (stage, total, unit)))

    def advance(self, amount: float, note: str = "") -> None:
        """Pass it on."""
        self._pipe.send(("advance", (amount, note)))

    def expect(self, amount: float) -> None:
        """Pass it on."""
        self._pipe.send(("expect", (amount,)))

    def say(self, text: str) -> None:
        """Pass it on."""
        self._pipe.send(("say", (text,)))
