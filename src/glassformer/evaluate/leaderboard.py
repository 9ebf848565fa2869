"""Scores on the Kob-Andersen liquid at T = 0.44, rho = 1.2: published ones, and this package's own beside them.

The rule is GlassBench's: Pearson's correlation of predicted and simulated propensities over the A particles of a
configuration, the mean over configurations. G. Jung et al., Nat. Rev. Phys. 7, 91 (2025).
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from glassformer.core.errors import PredictionError
from glassformer.core.layout import PREDICTIONS_FILE
from glassformer.core.presets import preset
from glassformer.core.settings import Settings, load_settings
from glassformer.dataset.predictions import Predictions
from glassformer.evaluate.evaluation import without_nan
from glassformer.evaluate.particles import particle_scores

Kind = Literal["static", "short dynamics"]
CLASSES: dict[Kind, str] = {
    "static": "reads the structure, and what follows from it without dynamics",
    "short dynamics": "reads averages over short trajectories",
}
LEADERBOARD = "leaderboard"
TEMPERATURE, DENSITY, SPECIES = 0.44, 1.2, "A"
# Relative differences within which densities and times are the same.
SAME_DENSITY, SAME_TIME = 0.005, 0.02
# Entries are ordered by their score at this time, tau_alpha.
RANKING_TIME = 4120.0
LONGEST_NAME = 64
WARNINGS = (
    "Labels from more draws raise every score: compare scores only beside their ceilings. GlassBench's labels are means"
    " over 32 draws.",
    "Own scores were measured on other configurations than GlassBench's 100.",
)
Share = Annotated[float, Field(ge=-1, le=1)]


class Entry(Settings):
    """One model: its class, how many configurations it learned from and was tested on, and its scores at `times`.

    `errors` are standard errors over test configurations, `ceilings` the mean noise ceilings; either may be left out.
    """

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
    kind: Annotated[Kind, Field(alias="class")]
    training_configurations: Annotated[int, Field(ge=1)] | None = None
    test_configurations: Annotated[int, Field(ge=1)]
    times: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]
    scores: tuple[Share, ...]
    errors: tuple[Share, ...] = ()
    ceilings: tuple[Share, ...] = ()
    reference: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _one_for_every_time(self) -> "Entry":
        for name in ("scores", "errors", "ceilings"):
            number = len(getattr(self, name))
            if number != len(self.times) and (number or name == "scores"):
                raise ValueError(f"{name} has {number} values for {len(self.times)} times; expected one for each")
        return self

    def place(self, time: float) -> int | None:
        """Return the index of `time`, or None if there is no score."""
        near = [n for n, known in enumerate(self.times) if math.isclose(known, time, rel_tol=SAME_TIME)]
        return near[0] if near else None

    def score_at(self, time: float) -> float | None:
        """Return the score at `time`, or None."""
        place = self.place(time)
        return None if place is None else self.scores[place]


class Results(Settings):
    """A file of entries, and where they come from."""

    source: str
    entries: tuple[Entry, ...]


def published() -> Results:
    """Return GlassBench's published scores."""
    return load_settings(preset(LEADERBOARD, "glassbench"), Results)


def own() -> Results:
    """Return the scores of this package's own models that ship with it."""
    return load_settings(preset(LEADERBOARD, "own"), Results)


def entry_of(predictions: Predictions, name: str, kind: Kind, training_configurations: int | None) -> Entry:
    """Return the entry of a prediction file, called `name`: its scores on what training had not seen.

    Raises `PredictionError` if the file holds no propensities of A particles of this liquid, or only seen ones.
    """
    _refuse_others(predictions, name)
    rows = [row for row, role in enumerate(predictions.roles) if role == "test" and predictions.answered[row]]
    if not rows:
        raise PredictionError(
            f"{name} holds no configuration with draws that training had not seen: there is nothing to score",
            "Predict samples with draws that the model has not seen.",
        )
    scores = [particle_scores(predictions, rows, target).get(SPECIES) for target in range(len(predictions.times))]
    found = [score for score in scores if score is not None]
    if not found or not all(math.isfinite(score.pcc_mean) for score in found):
        raise PredictionError(
            f"{name} holds no predictions that can be correlated for {SPECIES} particles",
            "Train a network with a particle head on species A.",
        )
    lists = {"errors": [score.pcc_error for score in found], "ceilings": [score.ceiling for score in found]}
    return Entry.model_validate(
        {
            "name": name[:LONGEST_NAME],
            "class": kind,
            "training_configurations": training_configurations,
            "test_configurations": len(rows),
            "times": predictions.times.tolist(),
            "scores": np.clip([score.pcc_mean for score in found], -1, 1).tolist(),
        }
        | {key: values for key, values in lists.items() if np.isfinite(values).all()}
    )


def _refuse_others(predictions: Predictions, name: str) -> None:
    """Raise `PredictionError` unless these are propensities of particles in the liquid of the leaderboard."""
    liquid = f"the leaderboard is of the Kob-Andersen liquid at T = {TEMPERATURE}, rho = {DENSITY}"
    if predictions.particle_prediction is None or predictions.quantity != "propensity":
        raise PredictionError(
            f"{name} predicts the {predictions.quantity} of"
            f" {'configurations' if predictions.particle_prediction is None else 'particles'}; expected propensities of"
            " particles",
            'Train with targets.quantity = "propensity" and network.head = "particle".',
        )
    if predictions.species_names != ("A", "B"):
        raise PredictionError(
            f"{name} is of a mixture of {', '.join(predictions.species_names)}; {liquid}", "Leave the file out."
        )
    far = np.abs(predictions.density / DENSITY - 1) > SAME_DENSITY
    if far.any():
        raise PredictionError(
            f"{name} has configurations of density {predictions.density[far][0]:.4g}; {liquid}", "Leave the file out."
        )
    for label in predictions.state_points:
        found = re.match(r"T(\d+(?:\.\d+)?)(?:_|$)", label)
        if found and not math.isclose(float(found[1]), TEMPERATURE, abs_tol=1e-6):
            raise PredictionError(f"{name} has configurations of {label}; {liquid}", "Leave the file out.")


def ranked(entries: Sequence[Entry], kind: Kind) -> list[Entry]:
    """Return the entries of one class, the best at t = 4120 first; those without a score there come last."""

    def rank(entry: Entry) -> float:
        score = entry.score_at(RANKING_TIME)
        return math.inf if score is None else -score

    return sorted((entry for entry in entries if entry.kind == kind), key=rank)


def times_of(entries: Sequence[Entry]) -> list[float]:
    """Return all times at which any entry has a score, each once, in order."""
    times: list[float] = []
    for time in sorted({time for entry in entries for time in entry.times}):
        if not times or not math.isclose(times[-1], time, rel_tol=SAME_TIME):
            times.append(time)
    return times


def board_as_json(published_entries: Results, own_entries: Sequence[Entry]) -> dict[str, Any]:
    """Return plain values: the classes, each with its entries in order, the source and the warnings."""
    everything = [*published_entries.entries, *own_entries]
    board: dict[str, Any] = without_nan(
        {
            "liquid": {"mixture": "kob-andersen", "temperature": TEMPERATURE, "density": DENSITY},
            "score": "pcc_mean",
            "species": SPECIES,
            "ordered_by_time": RANKING_TIME,
            "source": published_entries.source,
            "warnings": WARNINGS,
            "classes": {
                kind: [
                    {"own": any(entry is one for one in own_entries)} | entry.model_dump(mode="json", by_alias=True)
                    for entry in ranked(everything, kind)
                ]
                for kind in CLASSES
            },
        }
    )
    return board


def file_name(path: Path) -> str:
    """Return how the entry of a prediction file is called: by its folder where the file has the usual name."""
    return path.absolute().parent.name if path.name == PREDICTIONS_FILE else path.stem
