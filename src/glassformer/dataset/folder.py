"""A dataset is a folder (`core.layout.DatasetFolder`). The folder is the truth; an index spares reading."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from glassformer.core.errors import ConfigurationError, DatasetError, InputError, NoFileError
from glassformer.core.files import storage_error
from glassformer.core.layout import OTHER_HDF5_FILES, SAMPLE_SUFFIX, DatasetFolder, is_configuration
from glassformer.core.provenance import fingerprint, parameter_hash
from glassformer.core.words import MOST_NAMED, some_of
from glassformer.dataset.consistency import check_definitions, check_state_points, refuse_copies, refuse_same
from glassformer.dataset.digest import Digest
from glassformer.dataset.facts import MOST_DRIFT
from glassformer.dataset.index import Index
from glassformer.dataset.sample import Sample, is_sample, read_sample

# Unread samples of which a reader is told before they are read.
MANY = 500
# What a sample that cannot be used raises, in contrast to a file system that is out of reach.
UNUSABLE = (DatasetError, ConfigurationError, NoFileError)


def sample_paths(dataset: Path) -> list[Path]:
    """Return the sample files of `dataset`, by state point and configuration.

    Raises `DatasetError` if there are none, `StorageError` if a folder may not be read.
    """
    if not dataset.is_dir():
        raise DatasetError(f"there is no dataset folder {dataset}", "Make one with `glassformer simulate`.")
    paths = samples_in(dataset)
    if not paths and any(entry.suffix == SAMPLE_SUFFIX for entry in dataset.iterdir()):
        raise not_the_dataset(dataset)
    if not paths:
        raise DatasetError(f"the dataset {dataset} is empty", "Fill it with `glassformer simulate`.")
    return paths


def samples_in(dataset: Path) -> list[Path]:
    """Return the sample files of the folder `dataset`, in order, which may be none. Raises `StorageError`."""
    try:
        # Not by a pattern: that passes over a folder that may not be read.
        folders = [entry for entry in dataset.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
        return sorted(entry for folder in folders for entry in folder.iterdir() if _is_sample(entry))
    except OSError as error:
        raise storage_error("read", Path(error.filename or dataset), error) from error


def not_the_dataset(folder: Path) -> DatasetError:
    """Return the error for the `folder` of a state point that was given in the place of its dataset."""
    return DatasetError(
        f"{folder} is a folder of samples; expected a dataset, which holds such folders",
        f"Name {folder.absolute().parent}.",
    )


def is_dataset(folder: Path) -> bool:
    """Tell whether `folder` holds a campaign, or folders of samples, which may be damaged. Raises `StorageError`."""
    if os.path.lexists(DatasetFolder(folder).campaign):
        return True
    try:
        folders = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    except OSError as error:
        raise storage_error("read", folder, error) from error
    return any(holds_samples(entry) for entry in folders)


def holds_samples(folder: Path) -> bool:
    """Tell whether `folder` itself holds samples, also such that were set aside. Raises `StorageError`."""
    try:
        names = [entry.name.partition(".damaged")[0] for entry in folder.iterdir() if entry.name[0] != "."]
    except OSError as error:
        raise storage_error("read", folder, error) from error
    # One that was simulated or imported is known by its name, also if nothing in it is left.
    if any(is_configuration(Path(name).stem) for name in names if name.endswith(SAMPLE_SUFFIX)):
        return True
    others = (name for name in names if name.endswith(SAMPLE_SUFFIX) and name not in OTHER_HDF5_FILES)
    return any(is_sample(folder / name) for name in others)


def read_dataset(dataset: Path) -> list[Sample]:
    """Read and check every sample of `dataset`, each called by its file.

    A sample that `simulate` wrote keeps its name, '<state point>/<configuration id>'; one that lies in a folder of
    another name, as in datasets put together from several campaigns, is called '<state point>/<folder>-<file>'.
    Raises `DatasetError` after all are read, counting the files at fault and naming the first, also for copies of one
    structure and for samples under one label that do not belong together.
    """
    return _read(sample_paths(dataset), dataset, sizes=True)


def list_dataset(dataset: Path, say: Callable[[str], None] = lambda text: None) -> list[Digest]:
    """Return a digest of every sample of `dataset`, in the order of `read_dataset`, which it spares where it can.

    Files that are as they were when they were last read are not read again: damage of the disk in them is seen by
    `glassformer verify`. `say` is told if many must be read. Raises `DatasetError` as `read_dataset` does, after all
    are read: it counts those at fault, and names the first `MOST_NAMED`.
    """
    paths, index = sample_paths(dataset), Index(dataset)
    known = [index.known(path) for path in paths]
    new = known.count(None)
    if new >= MANY:
        say(f"reading {new} samples that are not in the index, 3 to 10 ms each at N = 1000; the next time is fast")
    digests: list[Digest] = []
    failures: list[InputError] = []
    with checked_digests(index, paths, digests):
        for path, found in zip(paths, known, strict=True):
            try:
                digests.append(found or index.digest(path, read_digest))
            except UNUSABLE as error:
                failures.append(error)
        refuse_unusable(failures, dataset, len(paths))
    return digests


def refuse_unusable(failures: Sequence[InputError], dataset: Path, total: int) -> None:
    """Raise one error for the `failures` among `total` samples of `dataset`; nothing if there is none."""
    if len(failures) == 1:
        raise failures[0]
    if failures:
        lines = [f"{len(failures)} of {total} samples of {dataset} cannot be used:"]
        remedies = list(dict.fromkeys(error.remedy for error in failures))
        if len(failures) > MOST_NAMED:
            remedies.append(f"To list all: glassformer verify {dataset}.")
        raise DatasetError("\n".join(lines + some_of([error.problem for error in failures])), "\n".join(remedies))


@contextmanager
def checked_digests(index: Index, paths: Sequence[Path], digests: Sequence[Digest]) -> Iterator[None]:
    """Check `digests` of the samples at `paths`, which are filled inside; in the end save what the `index` learned.

    Raises `DatasetError` for copies of one structure and for samples under one label that do not belong together.
    """
    try:
        yield
        if not index.is_consistent(paths):
            refuse_same([one.signature for one in digests], [str(path) for path in paths])
            check_definitions([one.definition for one in digests])
            index.set_consistent(paths)
    finally:
        index.save(paths)


def read_digest(path: Path) -> Digest:
    """Read and check the sample file `path`; return its digest. Raises as `read_sample` does."""
    return Digest.of(read_named(path))


def read_samples(path: Path) -> list[Sample]:
    """Read and check what `path` names: a sample file, a folder of sample files, or a dataset.

    Samples are called, and `DatasetError` is raised, as by `read_dataset`; under one label their sizes may differ.
    """
    if path.is_file():
        return _read([path], path, sizes=False)
    if not path.is_dir():
        raise DatasetError(f"there is no file or folder {path}", "Name a sample file, or a folder of them.")
    try:
        files = sorted(entry for entry in path.iterdir() if _is_sample(entry) and entry.is_file())
        folders = any(_is_sample(entry) for folder in path.iterdir() if folder.is_dir() for entry in folder.iterdir())
    except OSError as error:
        raise storage_error("read", Path(error.filename or path), error) from error
    return _read(files + (sample_paths(path) if folders or not files else []), path, sizes=False)


def _read(paths: Sequence[Path], dataset: Path, sizes: bool) -> list[Sample]:
    samples: list[Sample] = []
    failures: list[InputError] = []
    for path in paths:
        try:
            sample = read_named(path)
        except UNUSABLE as error:
            failures.append(error)
            # Nothing will come of them: those that follow are only checked.
            samples.clear()
        else:
            samples += [] if failures else [sample]
    refuse_unusable(failures, dataset, len(paths))
    refuse_copies(samples, [str(path) for path in paths])
    check_state_points(samples, sizes)
    return samples


def _is_sample(entry: Path) -> bool:
    return entry.suffix == SAMPLE_SUFFIX and not entry.name.startswith(".")


def read_named(path: Path) -> Sample:
    """Read and check the sample file `path`; call it as `read_dataset` does. Raises as `read_sample`."""
    sample = read_sample(path)
    folder = path.absolute().parent.name
    name = path.stem if folder == sample.facts.state_point else f"{folder}-{path.stem}"
    return replace(sample, name=name)


def data_hash(samples: Sequence[Sample]) -> str:
    """Return the hash of structures and displacements of `samples`: of what a network is tested on."""
    content = []
    for sample in samples:
        inherent = sample.configuration.inherent_positions
        sought = [] if inherent is None else [fingerprint(inherent)]
        ensemble = sample.dynamics
        known = (ensemble.msd, ensemble.displacement_mean, ensemble.displacement_sq_mean)
        moved = fingerprint(*(array for array in known if array is not None))
        content.append([sample.configuration.fingerprint, moved, *sought])
    return parameter_hash({"samples": content})


def refuse_bare(samples: Sequence[Sample]) -> None:
    """Raise `DatasetError` if any of `samples` has no draws: a network learns from what draws did."""
    bare = [sample.identifier for sample in samples if sample.ensemble is None]
    if bare:
        raise DatasetError(
            f"{len(bare)} of {len(samples)} configurations are bare structures, first {bare[0]}: they have no draws,"
            " and a network learns from what draws did",
            "Leave them out, or simulate draws of them (equilibration.start_from). A trained network predicts them:"
            " glassformer predict MODEL FOLDER --out FILE.",
        )


def refuse_ends(samples: Sequence[Sample]) -> None:
    """Raise `DatasetError` if any of `samples` is the end of a draw: a fold could be tested on what it has seen."""
    ends = [sample.identifier for sample in samples if sample.is_end]
    if ends:
        raise DatasetError(
            f"{len(ends)} of {len(samples)} configurations are ends of draws, first {ends[0]}: they resemble the"
            " configurations where the draws began, and only the training of propensity models keeps both together",
            "Leave them out: glassformer ends wrote them to a dataset of their own.",
        )


def refuse_unequilibrated(samples: Sequence[Sample]) -> None:
    """Raise `DatasetError` if any of `samples` was found not to be in equilibrium, or has draws that gained energy."""
    ageing = [sample.identifier for sample in samples if sample.facts.equilibrated is False]
    if ageing:
        raise DatasetError(
            f"{len(ageing)} of {len(samples)} configurations are not in equilibrium, first {ageing[0]}:"
            " they were not held for the relaxation times asked for, or were still changing",
            "Hold them longer, in a new folder (hold_time, equilibration.most_windows; these may be its"
            " equilibration.start_from), or train with --allow-unequilibrated.",
        )
    drifting = [sample for sample in samples if not sample.facts.conserves_energy]
    if drifting:
        raise DatasetError(
            f"{len(drifting)} of {len(samples)} configurations have draws that do not conserve energy, first"
            f" {drifting[0].identifier}: it changed by {drifting[0].facts.energy_drift:.2g} per particle, more than"
            f" {MOST_DRIFT:g}",
            "Simulate again with a smaller time_step, or train with --allow-unequilibrated.",
        )
