"""How a campaign stands, from its files alone."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glassformer.core.campaign import Campaign
from glassformer.core.errors import DatasetError
from glassformer.core.layout import DatasetFolder, unfinished_folder
from glassformer.core.runs import writing
from glassformer.dataset.folder import MANY, UNUSABLE, read_digest, samples_in
from glassformer.dataset.index import Index
from glassformer.dataset.places import stranger
from glassformer.simulate.equilibration import EQUILIBRATION_CHECKPOINT
from glassformer.simulate.mismatch import read_campaign
from glassformer.simulate.unfinished import Unfinished


@dataclass(frozen=True)
class PointStatus:
    """One state point: finished configurations, those begun with what they have, those not begun, and damaged ones.

    A configuration with fewer draws than the campaign asks for counts as begun. Of `unread` ones, which count as done,
    nothing is known but that there is a file. `in_equilibrium`: of how many equilibrium was shown; None if the campaign
    takes configurations as they are given, without examining them. `damaged`: files that cannot be used, or hold other
    samples, and why.
    """

    label: str
    asked: int
    done: int
    in_equilibrium: int | None
    begun: tuple[str, ...]
    unread: int = 0
    damaged: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        """Configurations of which nothing is there."""
        return self.asked - self.done - len(self.begun) - len(self.damaged)


@dataclass(frozen=True)
class Status:
    """Whether a run is going on, every state point, and which processes are writing."""

    running: bool
    points: tuple[PointStatus, ...]
    runs: tuple[str, ...] = ()

    @property
    def damaged(self) -> bool:
        """Whether a sample is damaged."""
        return any(point.damaged for point in self.points)

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        points = [asdict(point) | {"missing": point.missing} for point in self.points]
        return {"running": self.running, "runs": list(self.runs), "state_points": points}


def campaign_status(dataset: Path, verify: bool = True, say: Callable[[str], None] = lambda text: None) -> Status:
    """Return how the campaign last run into `dataset` stands, and which samples are damaged.

    Samples that are as they were when they were last read are not read again. Without `verify`, those that the index
    does not know are not read either: they count as done. `say` is told if many must be read.
    Raises `DatasetError` if the campaign is not known, `StorageError`.
    """
    path = DatasetFolder(dataset).campaign
    _check_presence(dataset, path)
    campaign = read_campaign(path)
    if campaign is None:
        raise DatasetError(
            f"{path} is not a campaign of this version", "Run `glassformer simulate` again with the campaign file."
        )
    index = Index(dataset)
    files = samples_in(dataset)
    new = index.missing(files) if verify else 0
    if new >= MANY:
        say(f"reading {new} samples that are not in the index, 3 to 10 ms each at N = 1000; or use --no-verify")
    try:
        points = tuple(_point(dataset, point.label, campaign, index, verify) for point in campaign.state_points)
    finally:
        index.save(files)
    runs = tuple(str(owner) for owner in writing(dataset))
    return Status(bool(runs), points, runs)


def _point(dataset: Path, label: str, campaign: Campaign, index: Index, verify: bool) -> PointStatus:
    done, in_equilibrium, begun, draws, unread, damaged = 0, 0, [], campaign.draws, 0, []
    there = _names(dataset / label)
    for number in range(campaign.configurations):
        path = DatasetFolder(dataset).sample(label, number)
        stands = _begun(path, draws) if unfinished_folder(path).name in there else ""
        if path.name in there:
            try:
                known = index.digest(path, read_digest) if verify else index.known(path)
            except UNUSABLE as error:
                damaged.append(f"{path.stem}: {error.problem}")
                continue
            elsewhere = "" if known is None else stranger(path, known.definition.state_point, known.index)
            if known is None and not path.is_file():
                elsewhere = "is no file"
            if elsewhere:
                damaged.append(f"{path.stem}: {path} {elsewhere}")
                continue
            unread += known is None
            if known is None or known.draws >= draws:
                done += 1
                in_equilibrium += known is not None and known.equilibrated is True
                continue
            in_equilibrium += known.equilibrated is True
            stands = f"{known.draws} of {draws} draws" + (f", {stands}" if stands else "")
        if stands:
            begun.append(f"{path.stem}: {stands}")
    shown = None if campaign.equilibration.as_given else in_equilibrium
    return PointStatus(label, campaign.configurations, done, shown, tuple(begun), unread, tuple(damaged))


def _check_presence(dataset: Path, campaign: Path) -> None:
    """Raise `DatasetError` if there is no dataset, or no file of its campaign."""
    if not dataset.is_dir():
        raise DatasetError(f"there is no dataset folder {dataset}", "Check the path.")
    if os.path.lexists(campaign):
        return
    aside = sorted(path.name for path in dataset.glob(f"{campaign.name}.damaged*"))
    where = f"a repair set it aside as {aside[-1]}" if aside else "it is missing, as in datasets that were imported"
    raise DatasetError(
        f"{dataset} does not state its campaign, whose progress is asked for: it would be in {campaign.name}; {where}",
        "Run `glassformer simulate` with the campaign file: it writes it again, and simulates only what is missing."
        f" What the dataset holds: glassformer info {dataset}.",
    )


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def _begun(path: Path, draws: int) -> str:
    """Return how the unfinished sample at `path` stands, or nothing if there is none."""
    unfinished = Unfinished(path, None)
    names = unfinished.names()
    groups = [name.split("-")[1:] for name in names if name.startswith("draws-") and not name.endswith("running")]
    # A vector that has grown since its beginning is there twice.
    finished = {draw for first, last in groups for draw in range(int(first), int(last) + 1)}
    if "configuration" in names or finished:
        return f"following draws, {len(finished)} of {draws} finished"
    saved = unfinished.load(EQUILIBRATION_CHECKPOINT)
    if saved is None:
        return ""
    return f"equilibrating, t = {float(saved['time']):g}, {len(saved['hold_windows'])} windows held"
