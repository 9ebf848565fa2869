"""Training by several processes on one machine, together or each by itself; this one watches over them."""

import multiprocessing
import os
import socket
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any, cast

from glassformer.core.errors import GlassformerError, TrainingError
from glassformer.core.progress import Progress, Silent
from glassformer.core.workers import begin_worker, cause_of_death, starting_workers

Work = Callable[[Any, Progress, int, int], None]

# Seconds until a killed process is known to be dead.
MOURNING = 1.0


def run_together(work: Work, task: Any, processes: int, progress: Progress, one_network: bool = True) -> None:
    """Call `work(task, progress, rank, processes)` in that many processes and wait for all of them.

    They train `one_network` together, of which rank 0 reports to `progress`; or each its own, and all report. Whatever
    ends one of them, or this one, ends all: they write whole files only. What one raises is raised here. Raises
    `TrainingError` if one dies.
    """
    context = multiprocessing.get_context("spawn")
    port = _free_port() if one_network else None
    workers: list[Any] = []
    pipes: dict[Any, Any] = {}
    try:
        with starting_workers():
            for rank in range(processes):
                receiver, sender = context.Pipe(duplex=False)
                worker = context.Process(target=_begin, args=(work, task, rank, processes, port, sender), daemon=True)
                worker.start()
                workers.append(worker)
                pipes[receiver] = worker
                # This side's copy: the pipe ends when the worker does.
                sender.close()
        _watch(pipes, progress)
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def _watch(pipes: dict[Any, Any], progress: Progress) -> None:
    """Pass on what the workers say until all are done."""
    workers = list(pipes.values())
    while pipes:
        for pipe in cast(list[Any], wait(list(pipes))):
            try:
                kind, content = pipe.recv()
            except EOFError:
                pipes.pop(pipe).join()
                _refuse_deaths(workers)
                continue
            if kind == "failed":
                raise content
            if kind == "crashed":
                # What one says when another has died beside it is not the reason.
                time.sleep(MOURNING)
                _refuse_deaths(workers)
                raise RuntimeError(f"a training process failed\n{content}")
            getattr(progress, kind)(*content)


def _refuse_deaths(workers: list[Any]) -> None:
    # None while it runs. A worker that has failed says so first, and ends well.
    dead = next((worker for worker in workers if worker.exitcode), None)
    if dead is not None:
        cause, remedy = cause_of_death(dead.exitcode)
        raise TrainingError(f"a training process died ({cause})", remedy)


def _begin(work: Work, task: Any, rank: int, processes: int, port: int | None, sender: Connection) -> None:
    begin_worker()
    if port is not None:
        # Where torch.distributed has them meet.
        os.environ.update({"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)})
    try:
        work(task, Silent() if port is not None and rank else _Sender(sender), rank, processes)
    except GlassformerError as error:
        sender.send(("failed", error))
    except BaseException:
        sender.send(("crashed", traceback.format_exc()))


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class _Sender:
    """Progress that is shown by another process."""

    def __init__(self, sender: Connection) -> None:
        self._sender = sender

    def start(self, stage: str, total: float, unit: str) -> None:
        """Pass it on."""
        self._sender.send(("start", (stage, total, unit)))

    def advance(self, amount: float, note: str = "") -> None:
        """Pass it on."""
        self._sender.send(("advance", (amount, note)))

    def expect(self, amount: float) -> None:
        """Pass it on."""
        self._sender.send(("expect", (amount,)))

    def say(self, text: str) -> None:
        """Pass it on."""
        self._sender.send(("say", (text,)))
