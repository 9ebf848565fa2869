"""Tasks in worker processes: all that can be done are done, and each that fails is named."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from queue import Empty
from typing import Any, Protocol

from glassformer.core.errors import EngineError, FullDiskError
from glassformer.core.failures import describe, named, raise_failures
from glassformer.core.workers import CRASHES, begin_worker, cause_of_death, starting_workers
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
    failures: dict[str, Exception] = {}
    left = list(tasks)
    while left:
        pool = _Pool(work, tally, workers, threads, failures, check)
        left = pool.run(left)
    raise_failures(failures, len(tasks))


class _Pool:
    """Worker processes, until one of them dies."""

    def __init__(
        self,
        work: Work,
        tally: Tally,
        workers: int,
        threads: int,
        failures: dict[str, Exception],
        check: Callable[[], None],
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._work, self._tally, self._threads, self._failures = work, tally, threads, failures
        self._check = check
        self._begun: dict[int, str] = {}
        try:
            with starting_workers():
                self._reports = context.Queue()
            self._executor = ProcessPoolExecutor(workers, context, _begin_worker, (self._reports,))
        except OSError as error:
            raise EngineError(
                f"worker processes cannot be started: {error.strerror or error}",
                "They need semaphores: is /dev/shm there, writable and not full (df /dev/shm)?",
            ) from error

    def run(self, tasks: Sequence[Named]) -> list[Named]:
        """Run `tasks`; return those that are left after a crash, without the one that crashed."""
        with starting_workers():
            futures = {self._executor.submit(_call, self._work, task, self._threads): task for task in tasks}
        processes = list(self._executor._processes.values())
        pending: set[Future[None]] = set(futures)
        done: list[Named] = []
        try:
            while pending:
                finished, pending = wait(pending, POLL, FIRST_COMPLETED)
                self._drain()
                self._check()
                # What was finished before a crash is done.
                for future in sorted(finished, key=lambda one: isinstance(one.exception(), BrokenProcessPool)):
                    self._collect(future, futures[future])
                    done.append(futures[future])
        except BrokenProcessPool:
            self._stop()
            self._drain()
            crashed = self._crashed(processes, {task.name for task in done})
            return [task for task in tasks if task not in done and task.name != crashed]
        finally:
            self._stop()
        return []

    def _collect(self, future: "Future[None]", task: Named) -> None:
        try:
            future.result()
        except BrokenProcessPool:
            raise
        except FullDiskError as error:
            raise named(task.name, error) from None
        except Exception as error:
            self._failures[task.name] = error
            self._tally.fail(task.name, describe(error))
        else:
            self._tally.finish(task.name)

    def _crashed(self, processes: list[Any], done: set[str]) -> str:
        """Return the name of the task whose process crashed, as a failure. Raises `EngineError` if none did."""
        # The others were ended because of it.
        dead = [process for process in processes if process.exitcode not in (0, None, -signal.SIGTERM)]
        process = dead[0] if dead else processes[0]
        name = self._begun.get(process.pid, "")
        if name in done:
            # The next one's name has not arrived.
            name = ""
        cause, remedy = cause_of_death(process.exitcode)
        error = EngineError(f"a worker process died ({cause})", remedy)
        if name and process.exitcode is not None and -process.exitcode in CRASHES:
            self._failures[name] = error
            self._tally.fail(name, error.problem)
            return name
        raise named(name, error) if name else error

    def _drain(self) -> None:
        """Pass on what has been reported, in one sum per task."""
        sums: dict[str, tuple[float, float]] = {}
        try:
            while True:
                process, name, done, more = self._reports.get_nowait()
                self._begun[process] = name
                before = sums.get(name, (0.0, 0.0))
                sums[name] = before[0] + done, before[1] + more
        except Empty:
            for name, (done, more) in sums.items():
                self._tally.report(name, done, more)

    def _stop(self) -> None:
        """End the workers at once, also in the middle of a run: they write whole files only."""
        for process in list((self._executor._processes or {}).values()):
            process.terminate()
        self._executor.shutdown(wait=True, cancel_futures=True)


_reports: Any = None


def _begin_worker(reports: Any) -> None:
    global _reports
    _reports = reports
    begin_worker()


def _call(work: Work, task: Named, threads: int) -> None:
    _reports.put((os.getpid(), task.name, 0, 0))
    work(task, lambda done, more=0: _reports.put((os.getpid(), task.name, done, more)), threads)
