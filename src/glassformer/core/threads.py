"""Compiled loops over particles in several threads, and threads that can be stopped."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from glassformer.core.errors import EngineError

# Particles per call of a compiled loop.
BLOCK = 1024


class Team:
    """Threads that share loops over particles; the calling thread is one of them. They end with this object."""

    def __init__(self, threads: int) -> None:
        self._others = max(threads, 1) - 1
        self._pool = ThreadPoolExecutor(self._others) if self._others else None

    def run(self, loop: Callable[[int, int], Any], particles: int) -> None:
        """Call `loop(first, last)` for consecutive blocks of particles. It must release the GIL to gain from threads.

        Blocks do not depend on the number of threads; which thread runs a block is left to chance.
        """
        # Threads take turns at the iterator, which the GIL protects.
        starts = iter(range(0, particles, BLOCK))

        def work() -> None:
            for start in starts:
                loop(start, min(start + BLOCK, particles))

        helpers = [self._pool.submit(work) for _ in range(self._others)] if self._pool else []
        work()
        for helper in helpers:
            helper.result()


def in_blocks(loop: Callable[[int, int], Any], particles: int, threads: int) -> None:
    """Call `loop(first, last)` for consecutive blocks of particles, in `threads` threads; it must release the GIL."""
    Team(threads).run(loop, particles)


_thread = threading.local()


def stop_thread_on(stop: threading.Event) -> None:
    """Let `raise_if_stopped` in this thread raise `EngineError` once another thread has set `stop`.

    A minimisation may take minutes; Ctrl-C should not have to wait for it.
    """
    _thread.stop = stop


def stop_of_thread() -> threading.Event | None:
    """Return what stops this thread, if anything does."""
    stop: threading.Event | None = getattr(_thread, "stop", None)
    return stop


def raise_if_stopped(stop: threading.Event | None) -> None:
    """Raise `EngineError` if `stop` is set."""
    if stop is not None and stop.is_set():
        raise EngineError("stopped", "Run the same command again.")
