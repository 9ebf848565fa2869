"""Which files of a dataset are what was written, and the repair of those that are not."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glassformer.core.campaign import Campaign
from glassformer.core.checksum import Checksum, check_user_block
from glassformer.core.errors import DatasetError, NoFileError, StorageError
from glassformer.core.failures import describe
from glassformer.core.files import is_broken_link, read_whole, storage_error
from glassformer.core.layout import DatasetFolder, set_aside
from glassformer.core.pool import run_tasks
from glassformer.core.progress import Progress
from glassformer.core.runs import exclusive
from glassformer.core.words import counted
from glassformer.dataset.digest import Digest
from glassformer.dataset.folder import is_dataset, not_the_dataset, read_named, samples_in
from glassformer.dataset.index import Index, key
from glassformer.dataset.places import Identity, misplaced
from glassformer.simulate.campaign import Choice, run_campaign, tasks
from glassformer.simulate.mismatch import read_campaign

WHOLE, OTHER_VERSION, MISSING, DAMAGED = "whole", "of another version", "missing", "damaged"


@dataclass(frozen=True)
class Damage:
    """A file that is not what was written, and what is wrong with it. One that cannot be read may still be whole.

    `home`: of a whole sample in the place of another one, the file in which it belongs.
    """

    file: str
    problem: str
    readable: bool = True
    home: str | None = None


@dataclass(frozen=True)
class Verification:
    """What was found in a folder: `files` samples, damaged files, older ones without checksum, and the campaign.

    `missing`: samples of the campaign that do not exist, of which `set_aside` were set aside by an earlier repair. That
    is no damage: a campaign may be unfinished. `others`: files that are no samples, such as models and predictions.
    """

    files: int
    damaged: tuple[Damage, ...]
    without_checksum: tuple[str, ...]
    campaign: str
    missing: int = 0
    set_aside: int = 0
    others: int = 0

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


@dataclass(frozen=True)
class _Whole:
    """What was learned of a sample that is whole."""

    has_checksum: bool
    digest: Digest
    identity: Identity


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

    Samples are compared with their checksums, parsed, and checked as on every reading; and what they say of themselves
    is compared with where they lie (`dataset.places`). What was found whole is known to the index afterwards. Nothing
    else is written. Raises `DatasetError` if there is no such folder.
    """
    if not dataset.is_dir():
        raise DatasetError(f"there is no dataset folder {dataset}", "Check the path.")
    paths = samples_in(dataset)
    files, before = [_File(path) for path in paths], {path: key(path) for path in paths}
    results, failures = run_tasks(files, _examine, _Count(progress, len(files)), workers, 1, lambda: None)
    index = Index(dataset)
    for file in files:
        if file.name in results:
            index.add(file.path, results[file.name].digest, before[file.path])
    index.save(paths)
    state, campaign, damage = _campaign(dataset)
    identities = {file.path: results[file.name].identity for file in files if file.name in results}
    damaged = {
        file.path: Damage(file.name, describe(failures[file.name]), _is_damage(failures[file.name]))
        for file in files
        # One that another run has removed or renamed meanwhile is not there to be damaged.
        if file.name in failures and os.path.lexists(file.path)
    }
    damaged |= _not_in_their_places(dataset, identities, campaign)
    older = tuple(sorted(name for name, found in results.items() if not found.has_checksum))
    absent, aside = _missing(dataset, campaign)
    found = tuple(damaged[path] for path in sorted(damaged)) + _no_folders(dataset) + damage
    return Verification(len(files), found, older, state, absent, aside)


def _examine(file: _File, report: Callable[..., None], threads: int) -> _Whole:
    """Return what is known of a whole file. Raises what is wrong with it."""
    found = check_user_block(read_whole(file.path, DatasetError, ""))
    sample = read_named(file.path)
    return _Whole(found is Checksum.RIGHT, Digest.of(sample), Identity.of(sample))


def _is_damage(error: Exception) -> bool:
    """Tell whether what was raised shows that the file is not what was written, and not only that it was not read."""
    return isinstance(error, NoFileError) or not isinstance(error, StorageError)


def _not_in_their_places(
    dataset: Path, found: Mapping[Path, Identity], campaign: Campaign | None
) -> dict[Path, Damage]:
    labels = () if campaign is None else tuple(point.label for point in campaign.state_points)
    places = frozenset(_places(dataset, campaign))
    damaged = {}
    for path, problem in misplaced(dataset, found, labels, places).items():
        home = found[path].home(dataset)
        belongs = None if home is None or home == path else _name(home, dataset)
        damaged[path] = Damage(_name(path, dataset), problem, home=belongs)
    return damaged


def _places(dataset: Path, campaign: Campaign | None) -> list[Path]:
    """Return the files of all samples of `campaign`."""
    if campaign is None:
        return []
    folder, numbers = DatasetFolder(dataset), range(campaign.configurations)
    return [folder.sample(point.label, number) for point in campaign.state_points for number in numbers]


def _missing(dataset: Path, campaign: Campaign | None) -> tuple[int, int]:
    """Return how many samples of `campaign` do not exist, and how many of these were set aside."""
    absent = [path for path in _places(dataset, campaign) if not os.path.lexists(path)]
    return len(absent), sum(_was_set_aside(path) for path in absent)


def _was_set_aside(path: Path) -> bool:
    return any(path.parent.glob(f"{path.name}.damaged*"))


def _no_folders(dataset: Path) -> tuple[Damage, ...]:
    """Return the links to nothing in `dataset`, which may stand for folders of samples."""
    broken = [entry for entry in sorted(dataset.iterdir()) if entry.name[0] != "." and is_broken_link(entry)]
    campaign = DatasetFolder(dataset).campaign
    return tuple(
        # Its disk may not be mounted.
        Damage(entry.name, f"it is a link to {os.readlink(entry)}, which does not exist", readable=False)
        for entry in broken
        if entry != campaign and ".damaged" not in entry.name
    )


def _campaign(dataset: Path) -> tuple[str, Campaign | None, tuple[Damage, ...]]:
    """Return how the campaign's file stands, the campaign, and the damage of the file, if there is any."""
    path = DatasetFolder(dataset).campaign
    if not os.path.lexists(path):
        return MISSING, None, ()
    try:
        campaign = read_campaign(path)
    except (DatasetError, StorageError) as error:
        return DAMAGED, None, (Damage(path.name, error.problem, _is_damage(error)),)
    return (OTHER_VERSION if campaign is None else WHOLE), campaign, ()


def repair_dataset(dataset: Path, progress: Progress, workers: int, recompute: bool) -> Repair:
    """Set the damaged files of `dataset` aside, as '<file>.damaged'; with `recompute`, make their samples again.

    Whole samples in the places of others are moved to their own places, where these are free. Files that cannot be read
    stay. With `recompute` also those are made again that an earlier repair set aside and that belong to the campaign in
    the folder: to the same bytes, with the same version, unless the campaign had been extended or the sample changed
    since.
    Raises `StorageError`, also if another run writes to the folder; with `recompute`, `DatasetError` if the campaign is
    not known, and what `run_campaign` raises.
    """
    _refuse_others(dataset)
    with exclusive(dataset, in_place=True):
        found = verify_dataset(dataset, progress, workers)
        names = [(_name(old, dataset), _name(new, dataset)) for old, new in _set_all_aside(dataset, found.damaged)]
        # Before what may take hours, or fail.
        for old, new in names:
            progress.say(f"{old} is now {new}")
    made = _recompute(dataset, progress, workers) if recompute else ()
    return Repair(found, tuple(names), tuple(made))


def _refuse_others(dataset: Path) -> None:
    """Raise `DatasetError` if the folder is no dataset: what else glassformer writes is made again by its command."""
    if not dataset.is_dir():
        raise DatasetError(f"there is no dataset folder {dataset}", "Check the path.")
    if is_dataset(dataset):
        return
    if is_dataset(dataset.absolute().parent):
        raise not_the_dataset(dataset)
    raise DatasetError(
        f"{dataset} is no dataset",
        "Name the dataset, such as demo/data. Delete damaged files of other kinds, and run the command that wrote them"
        " again.",
    )


def _set_all_aside(dataset: Path, damaged: Sequence[Damage]) -> list[tuple[Path, Path]]:
    """Rename the files of `damaged`, and return what is now called how. Raises `StorageError`."""
    # First all are out of the way: two may have changed places.
    renamed = {one: _rename(dataset / one.file, set_aside(dataset / one.file)) for one in damaged if one.readable}
    for one, aside in renamed.items():
        home = None if one.home is None else dataset / one.home
        if home is not None and home.parent.is_dir() and not os.path.lexists(home):
            renamed[one] = _rename(aside, home)
    return [(dataset / one.file, new) for one, new in renamed.items()]


def _rename(path: Path, new: Path) -> Path:
    try:
        return path.rename(new)
    except OSError as error:
        raise storage_error("rename", path, error, in_place=True) from error


def _recompute(dataset: Path, progress: Progress, workers: int) -> Sequence[str]:
    path = DatasetFolder(dataset).campaign
    campaign = read_campaign(path) if os.path.lexists(path) else None
    if campaign is None:
        raise DatasetError(
            f"{dataset} does not state its campaign: {path.name} is missing, damaged or of another version",
            "Run `glassformer simulate` with the campaign file: it simulates what is missing.",
        )
    lost = [
        task.name for task in tasks(campaign, dataset) if not os.path.lexists(task.path) and _was_set_aside(task.path)
    ]
    if lost:
        progress.say(f"{counted(len(lost), 'sample')} to be simulated again")
        run_campaign(campaign, dataset, progress, workers, Choice(names=frozenset(lost)))
    return lost


def _name(path: Path, dataset: Path) -> str:
    return str(path.relative_to(dataset))
