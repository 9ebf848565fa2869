"""How a campaign stands, from its files alone."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glassformer.core.campaign import Campaign
from glassformer.core.errors import DatasetError
from glassformer.core.layout import DatasetFolder
from glassformer.core.lock import is_held
from glassformer.dataset.sample import read_sample
from glassformer.simulate.equilibration import EQUILIBRATION_CHECKPOINT
from glassformer.simulate.mismatch import read_campaign
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
    path = DatasetFolder(dataset).campaign
    campaign = read_campaign(path)
    if campaign is None:
        raise DatasetError(
            f"{path} is no campaign of this version", "Run `glassformer simulate` again with the campaign file."
        )
    points = (_point(dataset, point.label, campaign) for point in campaign.state_points)
    return Status(is_held(DatasetFolder(dataset).lock), tuple(points))


def _point(dataset: Path, label: str, campaign: Campaign) -> PointStatus:
    done, in_equilibrium, begun, draws = 0, 0, [], campaign.draws
    for index in range(campaign.configurations):
        path = DatasetFolder(dataset).sample(label, index)
        stands = _begun(path, draws)
        if path.exists():
            sample = read_sample(path)
            there = sample.draws
            in_equilibrium += sample.facts.equilibrated is True
            if there >= draws:
                done += 1
                continue
            stands = f"{there} of {draws} draws" + (f", {stands}" if stands else "")
        if stands:
            begun.append(f"{path.stem}: {stands}")
    return PointStatus(label, campaign.configurations, done, in_equilibrium, tuple(begun))


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
