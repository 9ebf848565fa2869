"""Tasks in worker processes: all that can be done are done, and each that fails is named."""

import threading
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from glassformer.core.errors import EngineError, FullDiskError, GlassformerError
from glassformer.core.failures import describe, named
from glassformer.core.lock import HeldError, clear_dead
from glassformer.core.processes import Ended, Worker, Workers, cause_of_death
from glassformer.core.tally import Listener
from glassformer.core.task_queue import Queue, Task

# Seconds between two looks at what the workers have reported.
POLL = 0.2


# The task, what receives the steps done and how many more there are than expected, and threads; returns its result.
Work = Callable[[Any, Callable[..., None], int], Any]


def run_tasks(
    tasks: Sequence[Task], work: Work, tally: Listener, workers: int, threads: int, check: Callable[[], None]
) -> tuple[dict[str, Any], dict[str, Exception]]:
    """Call `work(task, report, threads)` for each of `tasks`, in `workers` processes; `tally` counts what is done,
    and `check` is called several times a second: what it raises stops all.

    Returns the results and what the failed tasks raised, both by name. A task that fails, or whose process crashes,
    does not cost the others. One that another run holds is waited for, and done if that run does not: the result is
    then the sum of all that was made of it.
    Raises `FullDiskError` at once; `EngineError` if a worker was killed or could not start.
    """
    pool = None
    try:
        with Workers() as processes:
            pool = _Pool(processes, tasks, work, tally, threads)
            for _ in range(min(workers, len(tasks))):
                pool.add_worker()
            while pool.unfinished:
                pool.watch(POLL)
                check()
    finally:
        # The workers have ended: what they held is free, also for runs on other hosts.
        for task in pool.busy.values() if pool is not None else ():
            if task.lock is not None:
                clear_dead(task.lock)
    return pool.results, pool.failures


class _Pool:
    """Which worker does what, what is left to do, and what has failed."""

    def __init__(self, processes: Workers, tasks: Sequence[Task], work: Work, tally: Listener, threads: int) -> None:
        self._processes, self._work, self._tally, self._threads = processes, work, tally, threads
        self._left = Queue(tasks, tally.say)
        self._sums: dict[str, tuple[float, float]] = {}
        # What was made of tasks that are not done, since other runs held the rest.
        self._made_before: dict[str, int] = {}
        self._idle: list[Worker] = []
        self.busy: dict[Worker, Task] = {}
        self.results: dict[str, Any] = {}
        self.failures: dict[str, Exception] = {}

    @property
    def unfinished(self) -> bool:
        """Whether anything is being done or left."""
        return bool(self.busy or self._left)

    def add_worker(self) -> None:
        """Start a process, and give it the next task."""
        self._give_next(self._processes.start(_serve, self._work, self._threads))

    def watch(self, seconds: float) -> None:
        """Hear what the workers have to say for so long, less if all is done; then pass on what was reported."""
        until = time.monotonic() + seconds
        while self.unfinished and (left := until - time.monotonic()) > 0:
            for worker, message in self._processes.listen(left):
                self._hear(worker, message)
        self._pass_on()
        idle, self._idle = self._idle, []
        for worker in idle:
            self._give_next(worker)

    def _hear(self, worker: Worker, message: Any) -> None:
        if isinstance(message, Ended):
            if worker in self._idle:
                self._idle.remove(worker)
                self._refuse_killed(worker, "")
            # One that has nothing left to do was told to end.
            if worker in self.busy:
                self._bury(worker)
            return
        kind, content = message
        if kind == "report":
            done, more = self._sums.get(self.busy[worker].name, (0.0, 0.0))
            self._sums[self.busy[worker].name] = done + content[0], more + content[1]
            return
        self._pass_on()
        task = self.busy.pop(worker)
        if kind == "done":
            before = self._made_before.pop(task.name, 0)
            self.results[task.name] = content + before if before else content
            self._tally.finish(task.name)
        elif isinstance(content, HeldError):
            self._made_before[task.name] = self._made_before.get(task.name, 0) + content.made
            self._left.defer(task, content.owner)
        elif isinstance(content, FullDiskError):
            raise named(task.name, content) from None
        else:
            self._note(task.name, content)
        self._give_next(worker)

    def _give_next(self, worker: Worker) -> None:
        task = self._left.next()
        if task is None and self._left:
            # What is left is held by other runs.
            self._idle.append(worker)
            return
        worker.send(task)
        if task is not None:
            self.busy[worker] = task

    def _bury(self, worker: Worker) -> None:
        """Note the task whose process crashed, and start another process. Raises `EngineError` if it was killed."""
        self._pass_on()
        name = self.busy.pop(worker).name
        self._note(name, self._refuse_killed(worker, name))
        if self._left:
            self.add_worker()

    def _refuse_killed(self, worker: Worker, name: str) -> EngineError:
        cause, remedy = cause_of_death(worker.process.exitcode)
        error = EngineError(f"a worker process died ({cause})", remedy)
        if not worker.crashed:
            raise (named(name, error) if name else error)
        return error

    def _note(self, name: str, error: Exception) -> None:
        self.failures[name] = error
        self._tally.fail(name, describe(error))

    def _pass_on(self) -> None:
        """Pass on what has been reported, in one sum per task."""
        for name, (done, more) in self._sums.items():
            self._tally.report(name, done, more)
        self._sums.clear()


def _serve(pipe: Connection, work: Work, threads: int) -> None:
    """Do the tasks that arrive by `pipe`, until None does."""
    # A task may report from several threads.
    one_at_a_time = threading.Lock()

    def report(done: float, more: float = 0) -> None:
        with one_at_a_time:
            pipe.send(("report", (done, more)))

    while (task := pipe.recv()) is not None:
        try:
            result = work(task, report, threads)
        except Exception as error:
            if not isinstance(error, GlassformerError | HeldError):
                # It is raised there, and happened here.
                error.add_note(traceback.format_exc())
            pipe.send(("failed", error))
        else:
            pipe.send(("done", result))
