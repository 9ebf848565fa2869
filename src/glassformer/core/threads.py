"""Compiled loops over particles in several threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

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
