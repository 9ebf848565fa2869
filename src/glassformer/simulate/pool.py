"""Tasks in worker processes: all that can be done are done, and each that fails is named."""

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any, Protocol

from glassformer.core.errors import EngineError, FullDiskError, GlassformerError
from glassformer.core.failures import describe, named, raise_failures
from glassformer.core.processes import Ended, Worker, Workers, cause_of_death
from glassformer.simulate.work import Tally

# Seconds between two looks at what the workers have reported.
POLL = 0.2


class Named(Protocol):
    """A task."""

    @property
    def name(self) -> str:
        """What it is called in messages."""


# The task, and what receives the steps done and how many more there are than expected.
Work = Callable[[Any, Callable[..., None], int], None]


def run_tasks(
    tasks: Sequence[Named], work: Work, tally: Tally, workers: int, threads: int, check: Callable[[], None]
) -> None:
    """Call `work(task, report, threads)` for each of `tasks`, in `workers` processes; `tally` counts what is done,
    and `check` is called several times a second: what it raises stops all.

    A task that fails, or whose process crashes, does not cost the others: they are done first. Raises what the tasks
    raised, naming all that failed; `FullDiskError` at once; `EngineError` if a worker was killed or could not start.
    """
    with Workers() as processes:
        pool = _Pool(processes, tasks, work, tally, threads)
        for _ in range(min(workers, len(tasks))):
            pool.add_worker()
        while pool.busy:
            pool.watch(POLL)
            check()
    raise_failures(pool.failures, len(tasks))


class _Pool:
    """Which worker does what, what is left to do, and what has failed."""

    def __init__(self, processes: Workers, tasks: Sequence[Named], work: Work, tally: Tally, threads: int) -> None:
        self._processes, self._work, self._tally, self._threads = processes, work, tally, threads
        self._left = deque(tasks)
        self._sums: dict[str, tuple[float, float]] = {}
        self.busy: dict[Worker, Named] = {}
        self.failures: dict[str, Exception] = {}

    def add_worker(self) -> None:
        """Start a process, and give it the next task."""
        self._give_next(self._processes.start(_serve, self._work, self._threads))

    def watch(self, seconds: float) -> None:
        """Hear what the workers have to say for so long, less if all is done; then pass on what was reported."""
        until = time.monotonic() + seconds
        while self.busy and (left := until - time.monotonic()) > 0:
            for worker, message in self._processes.listen(left):
                self._hear(worker, message)
        self._pass_on()

    def _hear(self, worker: Worker, message: Any) -> None:
        if isinstance(message, Ended):
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
        name = self.busy.pop(worker).name
        if kind == "done":
            self._tally.finish(name)
        elif isinstance(content, FullDiskError):
            raise named(name, content) from None
        else:
            self._note(name, content)
        self._give_next(worker)

    def _give_next(self, worker: Worker) -> None:
        task = self._left.popleft() if self._left else None
        worker.send(task)
        if task is not None:
            self.busy[worker] = task

    def _bury(self, worker: Worker) -> None:
        """Note the task whose process crashed, and start another process. Raises `EngineError` if it was killed."""
        self._pass_on()
        name = self.busy.pop(worker).name
        cause, remedy = cause_of_death(worker.process.exitcode)
        error = EngineError(f"a worker process died ({cause})", remedy)
        if not worker.crashed:
            raise named(name, error)
        self._note(name, error)
        if self._left:
            self.add_worker()

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
            work(task, report, threads)
        except Exception as error:
            if not isinstance(error, GlassformerError):
                # It is raised there, and happened here.
                error.add_note(traceback.format_exc())
            pipe.send(("failed", error))
        else:
            pipe.send(("done", None))
