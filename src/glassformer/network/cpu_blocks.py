"""Work on blocks of rows by several threads, in an order that depends on nothing but their number."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import torch


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    # A thread of its own for each block: a matrix product inside must not start more of them.
    return ThreadPoolExecutor(threads, "glassformer", initializer=torch.set_num_threads, initargs=(1,))


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch's own operations take one thread.

    Threads that OpenMP has used go on spinning for a while, on the cores that the blocks are about to need.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def each_block(rows: int, size: int, work: Callable[[int, int, int], None], threads: int = 0) -> None:
    """Call `work(thread, start, stop)` for every block of `size` rows; thread t takes blocks t, t + T, t + 2 T, ...

    T is `threads` or, if that is 0, torch's number of threads. What a thread adds up it adds up in the same order every
    time, so results that are summed over threads are reproducible for equal T.
    """
    most = threads or torch.get_num_threads()
    threads = min(most, -(-rows // size))

    def run(thread: int) -> None:
        with torch.no_grad():
            for start in range(thread * size, rows, threads * size):
                work(thread, start, min(start + size, rows))

    if threads == 1:
        run(0)
        return
    # A forked child has none of its parent's threads: hence the process's number.
    for done in [_pool(most, os.getpid()).submit(run, thread) for thread in range(threads)]:
        done.result()
    # What a thread of the pool was told is also what threads to come would begin with.
    torch.set_num_threads(torch.get_num_threads())
