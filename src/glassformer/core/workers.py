"""Worker processes: how they are started, how they end with the process that started them, and what they died of."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from types import ModuleType

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


def begin_worker() -> None:
    """Prepare this process, a worker: Ctrl-C is its parent's, and it ends when that is gone, even by kill -9.

    No orphan writes beside the next run.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


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
