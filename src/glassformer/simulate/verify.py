"""Which files of a dataset are what was written, and the repair of those that are not."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glassformer.core.checksum import Checksum, check_user_block
from glassformer.core.errors import DatasetError, StorageError
from glassformer.core.failures import describe
from glassformer.core.files import read_whole, storage_error
from glassformer.core.layout import DatasetFolder, set_aside
from glassformer.core.pool import run_tasks
from glassformer.core.progress import Progress
from glassformer.core.runs import exclusive
from glassformer.core.words import counted
from glassformer.dataset.digest import Digest
from glassformer.dataset.folder import read_digest, samples_in
from glassformer.dataset.index import Index, key
from glassformer.simulate.campaign import Choice, run_campaign, tasks
from glassformer.simulate.mismatch import read_campaign

WHOLE, OTHER_VERSION, MISSING, DAMAGED = "whole", "of another version", "missing", "damaged"


@dataclass(frozen=True)
class Damage:
    """A file that is not what was written, and what is wrong with it. One that cannot be read may still be whole."""

    file: str
    problem: str
    readable: bool = True


@dataclass(frozen=True)
class Verification:
    """What was found in a dataset: `files` samples, damaged ones, older ones without checksum, and the campaign."""

    files: int
    damaged: tuple[Damage, ...]
    without_checksum: tuple[str, ...]
    campaign: str

    @property
    def whole(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damaged

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {"whole": self.whole} | asdict(self)


@dataclass(frozen=True)
class Repair:
    """What was found, which files were renamed, from and to, and how many were made again."""

    found: Verification
    renamed: tuple[tuple[str, str], ...]
    recomputed: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return self.found.as_json() | {"renamed": list(self.renamed), "recomputed": list(self.recomputed)}


@dataclass(frozen=True)
class _File:
    """A sample file, as a task."""

    path: Path
    lock: None = None

    @property
    def name(self) -> str:
        return f"{self.path.parent.name}/{self.path.name}"


class _Count:
    """Tells a progress bar of files that were read."""

    def __init__(self, progress: Progress, files: int) -> None:
        self._progress = progress
        progress.start("verify", files, "files")

    def report(self, name: str, done: float, more: float) -> None:
        pass

    def finish(self, name: str) -> None:
        self._progress.advance(1)

    def fail(self, name: str, reason: str) -> None:
        self._progress.advance(1)

    def say(self, text: str) -> None:
        self._progress.say(text)


def verify_dataset(dataset: Path, progress: Progress, workers: int) -> Verification:
    """Read every byte of the samples and the campaign of `dataset` in `workers` processes; return what is damaged.

    Samples are compared with their checksums, parsed, and checked as on every reading. What was found whole is known to
    the index afterwards. Nothing else is written. Raises `DatasetError` if there is no such folder.
    """
    if not dataset.is_dir():
        raise DatasetError(f"there is no dataset folder {dataset}", "Check the path.")
    paths = samples_in(dataset)
    files, before = [_File(path) for path in paths], {path: key(path) for path in paths}
    results, failures = run_tasks(files, _examine, _Count(progress, len(files)), workers, 1, lambda: None)
    index = Index(dataset)
    for file in files:
        if file.name in results:
            index.add(file.path, results[file.name][1], before[file.path])
    index.save(paths)
    campaign, problem = _campaign(dataset)
    damaged = [
        Damage(file.name, describe(failures[file.name]), not isinstance(failures[file.name], StorageError))
        for file in files
        # One that another run has removed or renamed meanwhile is not there to be damaged.
        if file.name in failures and file.path.exists()
    ]
    if problem:
        damaged.append(Damage(DatasetFolder(dataset).campaign.name, problem))
    older = tuple(name for name, (checksum, _) in results.items() if not checksum)
    return Verification(len(files), tuple(damaged), tuple(sorted(older)), campaign)


def _examine(file: _File, report: Callable[..., None], threads: int) -> tuple[bool, Digest]:
    """Return whether the file has a checksum, which fits, and its digest. Raises what is wrong with it."""
    found = check_user_block(read_whole(file.path, DatasetError, ""))
    return found is Checksum.RIGHT, read_digest(file.path)


def _campaign(dataset: Path) -> tuple[str, str]:
    """Return how the campaign's file stands, and what is wrong with it, if anything is."""
    path = DatasetFolder(dataset).campaign
    if not path.exists():
        return MISSING, ""
    try:
        return (OTHER_VERSION if read_campaign(path) is None else WHOLE), ""
    except (DatasetError, StorageError) as error:
        return DAMAGED, error.problem


def repair_dataset(dataset: Path, progress: Progress, workers: int, recompute: bool) -> Repair:
    """Set the damaged files of `dataset` aside, as '<file>.damaged'; with `recompute`, make their samples again.

    Files that cannot be read stay. With `recompute` also those are made again that an earlier repair set aside and that
    belong to the campaign in the folder: to the same bytes, with the same version, unless the campaign had been
    extended or the sample changed since.
    Raises `StorageError`, also if another run writes to the folder; with `recompute`, `DatasetError` if the campaign is
    not known, and what `run_campaign` raises.
    """
    with exclusive(dataset):
        found = verify_dataset(dataset, progress, workers)
        renamed = [_set_aside(dataset / damage.file) for damage in found.damaged if damage.readable]
    made = _recompute(dataset, progress, workers) if recompute else ()
    names = [(_name(old, dataset), _name(new, dataset)) for old, new in renamed]
    return Repair(found, tuple(names), tuple(made))


def _set_aside(path: Path) -> tuple[Path, Path]:
    new = set_aside(path)
    try:
        path.rename(new)
    except OSError as error:
        raise storage_error("rename", path, error) from error
    return path, new


def _recompute(dataset: Path, progress: Progress, workers: int) -> Sequence[str]:
    path = DatasetFolder(dataset).campaign
    campaign = read_campaign(path) if path.exists() else None
    if campaign is None:
        raise DatasetError(
            f"{dataset} does not state its campaign: {path.name} is missing, damaged or of another version",
            "Run `glassformer simulate` with the campaign file: it simulates what is missing.",
        )
    lost = [
        task.name
        for task in tasks(campaign, dataset)
        if not task.path.exists() and any(task.path.parent.glob(f"{task.path.name}.damaged*"))
    ]
    if lost:
        progress.say(f"{counted(len(lost), 'sample')} to be simulated again")
        run_campaign(campaign, dataset, progress, workers, Choice(names=frozenset(lost)))
    return lost


def _name(path: Path, dataset: Path) -> str:
    return str(path.relative_to(dataset))
