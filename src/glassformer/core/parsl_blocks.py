"""Parsl's blocks, the jobs that hold its workers: those that are lost are replaced, within bounds."""

import queue
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from glassformer.core.errors import EngineError

# Blocks of an executor that are replaced one after the other while no task comes to its end.
REPLACEMENTS = 5
# What a line holds that says why a job ended; characters of it that are shown.
TELLING = re.compile(
    r"error|fail|kill|not found|no such|cannot|unable|denied|invalid|refused|timed? ?out", re.IGNORECASE
)
SHOWN = 200
CONTINUES = "Then run the same command again: it continues."
LOGS = "run_dir in that file keeps their logs."


class BlocksError(EngineError):
    """No worker can be started, or they end before they have done anything."""


class Blocks:
    """What Parsl calls with an executor and the states of its blocks, several times a minute, in a thread of its own.

    Parsl's own handler ends the executor when all of its blocks have failed, be it one.
    """

    def __init__(self) -> None:
        self._forgiven: set[str] = set()
        self._known: set[str] = set()
        self._worked = False
        self._notes: queue.SimpleQueue[str] = queue.SimpleQueue()

    def worked(self) -> None:
        """Take that a task came to its end: the blocks that were lost before do not count any more."""
        self._worked = True

    def notes(self) -> Iterator[str]:
        """Return the lines to print since the last call."""
        with suppress(queue.Empty):
            while True:
                yield self._notes.get_nowait()

    def __call__(self, executor: Any, status: Mapping[str, Any]) -> None:
        """Replace what was lost if the executor's strategy does not, or end the executor if that is of no use."""
        lost = {block for block, one in status.items() if one.state.name in ("FAILED", "MISSING")}
        if self._worked:
            self._worked, self._forgiven = False, set(self._known)
        new, self._known = lost - self._known, self._known | lost
        counting = sorted(lost - self._forgiven, key=int)
        if len(counting) > REPLACEMENTS and not _anyone_works(executor, status):
            error = _end_of(executor, status, counting)
            if not all(one.terminal for one in status.values()):
                # Parsl leaves the jobs of such an executor in the scheduler's queue.
                with suppress(Exception):
                    executor.scale_in_facade(len(status))
            executor.set_bad_state_and_fail_all(error)
            return
        if new:
            self._notes.put(_note_on(executor, status, new))
        if status and all(one.terminal for one in status.values()) and executor.outstanding():
            executor.scale_out_facade(max(1, executor.provider.init_blocks))


def _anyone_works(executor: Any, status: Mapping[str, Any]) -> bool:
    """Tell whether workers of a block that has not ended are connected."""
    alive = {block for block, one in status.items() if not one.terminal}
    if hasattr(executor, "connected_managers"):
        return any(manager["block_id"] in alive for manager in executor.connected_managers())
    return any(status[block].state.name == "RUNNING" for block in alive)


def _note_on(executor: Any, status: Mapping[str, Any], new: set[str]) -> str:
    last = max(new, key=int)
    # Parsl knows no job of a block that it could not submit.
    what = "was lost" if last in executor.blocks_to_job_id else "could not be submitted"
    jobs = "a job" if len(new) == 1 else f"{len(new)} jobs"
    what = what if len(new) == 1 else what.replace("was", "were")
    return f"{jobs} of Parsl's executor '{executor.label}' {what} ({reason(status[last])}); Parsl starts another"


def _end_of(executor: Any, status: Mapping[str, Any], counting: list[str]) -> BlocksError:
    last = counting[-1]
    if last not in executor.blocks_to_job_id:
        return BlocksError(
            f"Parsl's executor '{executor.label}' could not submit a job, {len(counting)} times in a row:"
            f" {reason(status[last])}",
            f"Check that the scheduler answers, and the provider in the file of --parsl. {CONTINUES}",
        )
    never = " before any worker was ready" if status[last].state.name == "MISSING" else ""
    return BlocksError(
        f"{len(counting)} jobs in a row of Parsl's executor '{executor.label}' ended{never}: {reason(status[last])}",
        f"Check the provider in the file of --parsl: worker_init must make glassformer and Parsl available, and the"
        f" workers need enough memory; {LOGS} {CONTINUES}",
    )


def executor_error(error: BaseException | None) -> EngineError | None:
    """Return why the executor of a task has ended, if that is what `error` says."""
    from parsl.executors.errors import BadStateException
    from parsl.jobs.errors import TooManyJobFailuresError

    if isinstance(error, BlocksError):
        return error
    if isinstance(error, BadStateException):
        known = getattr(error.executor, "executor_exception", None)
        return known if isinstance(known, BlocksError) else _ended_otherwise(error.reason)
    return _ended_otherwise(str(error)) if isinstance(error, TooManyJobFailuresError) else None


def _ended_otherwise(text: str) -> EngineError:
    # Parsl numbers the errors, and says of most blocks that they did not register.
    told = "\n".join(line for line in text.splitlines() if not re.match(r"Error \d+:|\s*Job is marked as", line))
    return EngineError(
        f"Parsl's workers have ended: {telling_line(told) or 'no worker registered'}",
        f"Check the file of --parsl; {LOGS} {CONTINUES}",
    )


def reason(status: Any) -> str:
    """Return in one line why a block ended: what it, its scheduler or Parsl wrote."""
    message = str(status.message or "")
    _, _, stderr = message.partition("stderr=")
    # Parsl marks so what never registered, for whatever reason.
    told = "" if message.startswith("Job is marked as MISSING") else message
    for text in (status.stderr_summary, stderr, told, status.stdout_summary):
        if line := telling_line(text or ""):
            return line
    return "it left no message" if status.exit_code is None else f"exit code {status.exit_code}"


def telling_line(text: str) -> str:
    """Return the line of `text` that says best what went wrong: the end of a traceback, the first error, or the last.

    Empty if there is none.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    fatal = [line for line in lines if "fatal" in line.lower()]
    telling = fatal or [line for line in lines if TELLING.search(line)] or lines[-1:]
    line = lines[-1] if any(one.startswith("Traceback") for one in lines) else telling[0]
    return line if len(line) <= SHOWN else f"{line[:SHOWN]} ..."
