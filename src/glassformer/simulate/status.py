"""How a campaign stands, from its files alone."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from glassformer.core.campaign import Campaign
from glassformer.core.errors import DatasetError
from glassformer.core.files import read_whole
from glassformer.dataset.sample import read_sample
from glassformer.simulate.campaign import CAMPAIGN_FILE, Task, tasks
from glassformer.simulate.equilibration import EQUILIBRATION_CHECKPOINT
from glassformer.simulate.unfinished import Unfinished


@dataclass(frozen=True)
class PointStatus:
    """One state point: finished configurations, those begun with what they have, and those not begun.

    A configuration with fewer draws than the campaign asks for counts as begun.
    """

    label: str
    asked: int
    done: int
    in_equilibrium: int
    begun: tuple[str, ...]

    @property
    def missing(self) -> int:
        """Configurations of which nothing is there."""
        return self.asked - self.done - len(self.begun)


@dataclass(frozen=True)
class Status:
    """Whether a run is going on, and every state point."""

    running: bool
    points: tuple[PointStatus, ...]

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        points = [asdict(point) | {"missing": point.missing} for point in self.points]
        return {"running": self.running, "state_points": points}


def campaign_status(dataset: Path) -> Status:
    """Return how the campaign last run into `dataset` stands. Raises `DatasetError`."""
    path = dataset / CAMPAIGN_FILE
    whole = read_whole(path, DatasetError, "Is it a dataset that `glassformer simulate` makes?")
    try:
        campaign = Campaign.model_validate_json(whole)
    except ValueError as error:
        raise DatasetError(
            f"{path} is no campaign of this version", "Run `glassformer simulate` again with the campaign file."
        ) from error
    found: dict[str, PointStatus] = {}
    by_label: dict[str, list[Task]] = {point.label: [] for point in campaign.state_points}
    for task in tasks(campaign, dataset):
        by_label[task.point.label].append(task)
    for label, members in by_label.items():
        found[label] = _point(label, members, campaign.draws)
    return Status(_is_running(dataset), tuple(found.values()))


def _point(label: str, members: list[Task], draws: int) -> PointStatus:
    done, in_equilibrium, begun = 0, 0, []
    for task in members:
        stands = _begun(task)
        if task.path.exists():
            sample = read_sample(task.path)
            there = len(sample.ensemble.seeds)
            in_equilibrium += sample.facts.equilibrated is True
            if there >= draws:
                done += 1
                continue
            stands = f"{there} of {draws} draws" + (f", {stands}" if stands else "")
        if stands:
            begun.append(f"{task.path.stem}: {stands}")
    return PointStatus(label, len(members), done, in_equilibrium, tuple(begun))


def _begun(task: Task) -> str:
    """Return how an unfinished sample stands, or nothing if there is none."""
    unfinished = Unfinished(task.path, task.parameter_hash)
    names = unfinished.names()
    finished = [name.split("-")[1:] for name in names if name.startswith("draws-") and not name.endswith("running")]
    number = sum(int(last) - int(first) + 1 for first, last in finished)
    if "configuration" in names or finished:
        return f"following draws, {number} of {task.campaign.draws} finished"
    saved = unfinished.load(EQUILIBRATION_CHECKPOINT)
    if saved is None:
        return ""
    return f"equilibrating, t = {float(saved['time']):g}, {len(saved['hold_windows'])} windows held"


def _is_running(dataset: Path) -> bool:
    lock = FileLock(dataset / ".lock", timeout=0)
    try:
        with lock:
            return False
    except (Timeout, OSError):
        return True
