"""What is derived from the structures of a dataset and kept in its samples: inherent structures, cage positions."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from glassformer.core.errors import FullDiskError, GlassformerError
from glassformer.core.failures import describe, named, raise_failures
from glassformer.core.progress import Progress
from glassformer.core.runs import exclusive
from glassformer.core.temporaries import remove_temporaries
from glassformer.core.threads import stop_thread_on
from glassformer.dataset.folder import sample_paths
from glassformer.dataset.sample import Sample, read_sample

T = TypeVar("T")


@dataclass(frozen=True)
class Derivation(Generic[T]):
    """How one part of a sample is derived from the rest.

    `stage`: what the progress bar calls it, `things`: what they are called. `missing` tells whether a sample lacks
    it, `make` derives it for the sample at a path, with a number of threads, and writes it there. `wanted`: for which
    samples.
    """

    stage: str
    things: str
    missing: Callable[[Sample], bool]
    make: Callable[[Path, int], T]
    wanted: Callable[[Sample], bool] = lambda sample: True


def derive(dataset: Path, derivation: Derivation[T], progress: Progress, workers: int) -> tuple[int, list[T]]:
    """Derive what wanted samples of `dataset` lack, `workers` at a time; return how many had it, and what was made.

    Each file is replaced whole; a run that was killed continues with what is missing. A sample that fails does not cost
    the others, which come first. Raises what the samples raised, naming each; `StorageError`.
    """
    # Before the lock, which would make the folder.
    sample_paths(dataset)
    failures: dict[str, Exception] = {}
    with exclusive(dataset, in_place=True):
        remove_temporaries(dataset)
        missing, there = [], 0
        for path in sample_paths(dataset):
            try:
                sample = read_sample(path)
                if not derivation.wanted(sample):
                    continue
                if derivation.missing(sample):
                    missing.append(path)
                else:
                    there += 1
            except GlassformerError as error:
                _note(path, error, failures, progress)
        total = there + len(missing) + len(failures)
        if there:
            progress.say(f"{there} of {total} {derivation.things} exist already and are kept")
        made: list[T] = []
        if missing:
            progress.start(derivation.stage, len(missing), "configurations")
            made = _all(missing, derivation, failures, progress, workers)
    raise_failures(failures, total)
    return there, made


def _all(
    missing: list[Path], derivation: Derivation[T], failures: dict[str, Exception], progress: Progress, workers: int
) -> list[T]:
    # Threads: the compiled loops let others run, are compiled once, and leave no orphans.
    stop, threads = threading.Event(), max(workers // len(missing), 1)
    pool = ThreadPoolExecutor(workers, initializer=stop_thread_on, initargs=(stop,))
    made: list[T] = []
    try:
        tasks = {pool.submit(derivation.make, path, threads): path for path in missing}
        for task in as_completed(tasks):
            try:
                made.append(task.result())
            except Exception as error:
                _note(tasks[task], error, failures, progress)
            progress.advance(1)
    finally:
        # Ctrl-C does not wait for what takes long.
        stop.set()
        pool.shutdown(cancel_futures=True)
    return made


def _note(path: Path, error: Exception, failures: dict[str, Exception], progress: Progress) -> None:
    """Add `error` to `failures` and tell it, or raise it if no other sample can be written either."""
    if isinstance(error, FullDiskError):
        raise named(str(path), error) from None
    failures[str(path)] = error
    progress.say(f"{path} failed: {describe(error)}")
