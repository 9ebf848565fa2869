"""Give the samples of a dataset their inherent structures."""

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from glassformer.core.errors import FullDiskError, GlassformerError
from glassformer.core.failures import describe, named, raise_failures
from glassformer.core.files import exclusive, remove_temporaries
from glassformer.core.progress import Progress
from glassformer.dataset.folder import sample_paths
from glassformer.dataset.sample import read_sample, write_sample
from glassformer.physics.inherent import InherentStructure, inherent_structure
from glassformer.physics.pair import check_box
from glassformer.physics.pair_forces import stop_thread_on


@dataclass(frozen=True)
class Quench:
    """How many inherent structures were there and how many were found; of these, the mean energies per particle.

    NaN if none was found.
    """

    there: int
    found: int
    start_energy: float
    energy: float


def quench_dataset(dataset: Path, progress: Progress, workers: int) -> Quench:
    """Find the inherent structure of every sample of `dataset` that lacks it, `workers` at a time, and write it there.

    Where fewer lack it than there are workers, each is quenched by several threads. Each file is replaced whole; a run
    that was killed continues with what is missing. A sample that fails does not cost the others, which are quenched
    first. Raises what the samples raised, naming each; `StorageError`.
    """
    # Before the lock, which would make the folder.
    sample_paths(dataset)
    failures: dict[str, Exception] = {}
    with exclusive(dataset):
        remove_temporaries(dataset)
        paths = sample_paths(dataset)
        missing = []
        for path in paths:
            try:
                if _is_missing(path):
                    missing.append(path)
            except GlassformerError as error:
                _note(path, error, failures, progress)
        there = len(paths) - len(missing) - len(failures)
        if there:
            progress.say(f"{there} of {len(paths)} inherent structures exist already and are kept")
        found = []
        if missing:
            progress.start("quench", len(missing), "configurations")
            found = _quench_all(missing, failures, progress, workers)
    raise_failures(failures, len(paths))
    means = np.array([(one.start_energy, one.energy) for one in found]).mean(0) if found else (np.nan, np.nan)
    return Quench(there, len(found), *map(float, means))


def quench_sample(path: Path, threads: int = 1) -> InherentStructure:
    """Find the inherent structure of the sample at `path` and write it there, whatever was there before."""
    sample = read_sample(path)
    found = inherent_structure(sample.configuration, sample.mixture, threads=threads)
    configuration = replace(sample.configuration, inherent_positions=found.positions)
    write_sample(path, replace(sample, configuration=configuration))
    return found


def _quench_all(
    paths: list[Path], failures: dict[str, Exception], progress: Progress, workers: int
) -> list[InherentStructure]:
    # Threads: the compiled loop over pairs lets others run, is compiled once, and leaves no orphans.
    stop, threads = threading.Event(), max(workers // len(paths), 1)
    pool = ThreadPoolExecutor(workers, initializer=stop_thread_on, initargs=(stop,))
    found: list[InherentStructure] = []
    try:
        tasks = {pool.submit(quench_sample, path, threads): path for path in paths}
        for task in as_completed(tasks):
            try:
                found.append(task.result())
            except Exception as error:
                _note(tasks[task], error, failures, progress)
            progress.advance(1)
    finally:
        # Ctrl-C does not wait for a minimisation that takes long.
        stop.set()
        pool.shutdown(cancel_futures=True)
    return found


def _note(path: Path, error: Exception, failures: dict[str, Exception], progress: Progress) -> None:
    """Add `error` to `failures` and tell it, or raise it if no other sample can be written either."""
    if isinstance(error, FullDiskError):
        raise named(str(path), error) from None
    failures[str(path)] = error
    progress.say(f"{path} failed: {describe(error)}")


def _is_missing(path: Path) -> bool:
    """Tell whether the sample at `path` lacks its inherent structure. Raises `InputError` if it cannot be found."""
    sample = read_sample(path)
    check_box(sample.configuration, sample.mixture)
    return sample.configuration.inherent_positions is None
