"""Give the samples of a dataset their inherent structures."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from glassformer.core.hdf5 import HDF5_ERRORS
from glassformer.core.progress import Progress
from glassformer.dataset.sample import Sample, read_sample, write_sample
from glassformer.physics.inherent import InherentStructure, inherent_structure
from glassformer.physics.pair import check_box
from glassformer.simulate.derived import Derivation, derive


@dataclass(frozen=True)
class Quench:
    """How many inherent structures were there and how many were found; of these, the mean energies per particle.

    NaN if none was found.
    """

    there: int
    found: int
    start_energy: float
    energy: float


def quench_dataset(
    dataset: Path, progress: Progress, workers: int, wanted: Callable[[Sample], bool] = lambda sample: True
) -> Quench:
    """Find the inherent structure of every sample of `dataset` that lacks it, `workers` at a time, and write it there.

    Where fewer lack it than there are workers, each is quenched by several threads. `wanted`: for which samples, all by
    default. Failures and interruptions: `derive`.
    """
    quenching = Derivation("quench", "inherent structures", _is_missing, quench_sample, wanted)
    there, found = derive(dataset, quenching, progress, workers)
    means = np.array([(one.start_energy, one.energy) for one in found]).mean(0) if found else (np.nan, np.nan)
    return Quench(there, len(found), *map(float, means))


def quenched(paths: Iterable[Path]) -> int:
    """Return how many of the sample files at `paths` hold an inherent structure. None of them is checked."""
    number = 0
    for path in paths:
        with suppress(*HDF5_ERRORS), h5py.File(path, "r") as file:
            number += "configuration/inherent_positions" in file
    return number


def quench_sample(path: Path, threads: int = 1) -> InherentStructure:
    """Find the inherent structure of the sample at `path` and write it there, whatever was there before."""
    sample = read_sample(path)
    found = inherent_structure(sample.configuration, sample.mixture, threads=threads)
    configuration = replace(sample.configuration, inherent_positions=found.positions)
    write_sample(path, replace(sample, configuration=configuration))
    return found


def _is_missing(sample: Sample) -> bool:
    """Tell whether `sample` lacks its inherent structure. Raises `InputError` if it cannot be found."""
    check_box(sample.configuration, sample.mixture)
    return sample.configuration.inherent_positions is None
