"""What a leak is worth: scores of single draws, so that every way to split and every input is measured alike."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.seeds import generator, named_seed
from glassformer.dataset.predictions import Predictions
from glassformer.evaluate.moments import variance_split
from glassformer.evaluate.scores import mean_absolute_error, r_squared

SAMPLES = 1000


@dataclass(frozen=True)
class AuditRow:
    """Scores of one model and time over single draws, all state points together.

    `r2`: of ln MSD_A, to which telling the state points apart alone contributes most; `r2_within`: the same with the
    state points' own means in the place of the overall one, so that it counts only what is said beyond them. `ceiling`:
    the `r2_within` of perfect knowledge of the structure; only velocities can tell more. Errors are standard errors, by
    resampling configurations within their state points.
    """

    model: str
    time: float
    draws: int
    configurations: int
    mae: float
    mae_error: float
    r2: float
    r2_error: float
    r2_within: float
    r2_within_error: float
    ceiling: float


def audit_rows(model: str, tests: Sequence[Predictions]) -> list[AuditRow]:
    """Return a row a time for the `tests` of an experiment's networks, put together.

    Every prediction is of one draw, called 'configuration#draw'. `model`: the array to score, a network's or a
    baseline's.
    """
    label, said = (np.concatenate([getattr(test, what) for test in tests]) for what in ("label", model))
    points = np.concatenate([test.state_points for test in tests])
    # A configuration that several networks were tested on is still one.
    names = np.array([one.rpartition("#")[0] for test in tests for one in test.configurations])
    return [
        _row(model, float(time), said[:, target], label[:, target], points, names)
        for target, time in enumerate(tests[0].times)
    ]


def within_r_squared(prediction: FloatArray, label: FloatArray, groups: Any) -> float:
    """Return 1 - sum (p - y)^2 / sum (y - <y>_group)^2: R^2 beyond the means of the `groups` (n,) of names."""
    names, places = np.unique(groups, return_inverse=True)
    means = np.bincount(places, label, len(names)) / np.bincount(places, minlength=len(names))
    spread = float(((label - means[places]) ** 2).sum())
    return 1 - float(((prediction - label) ** 2).sum()) / spread if spread > 0 else math.nan


def _row(model: str, time: float, said: FloatArray, label: FloatArray, points: Any, names: Any) -> AuditRow:
    scores: tuple[Callable[[Any], float], ...] = (
        lambda rows: mean_absolute_error(said[rows], label[rows]),
        lambda rows: r_squared(said[rows], label[rows]),
        lambda rows: within_r_squared(said[rows], label[rows], points[rows]),
    )
    everything = np.arange(len(label))
    again = _resampled(points, names)
    values = [float(score(everything)) for score in scores]
    errors = [float(np.std([score(rows) for rows in again])) for score in scores]
    return AuditRow(
        model=model,
        time=time,
        draws=len(label),
        configurations=len(np.unique(names)),
        mae=values[0],
        mae_error=errors[0],
        r2=values[1],
        r2_error=errors[1],
        r2_within=values[2],
        r2_within_error=errors[2],
        ceiling=_ceiling(label, points, names),
    )


def _resampled(points: Any, names: Any) -> list[Any]:
    """Return `SAMPLES` times the rows of as many configurations of every state point as there are, drawn anew."""
    random = generator(named_seed(0, "audit"))
    rows = {name: np.flatnonzero(names == name) for name in np.unique(names)}
    members = [np.unique(names[points == point]) for point in np.unique(points)]
    return [
        np.concatenate([rows[name] for group in members for name in random.choice(group, len(group))])
        for _ in range(SAMPLES)
    ]


def _ceiling(label: FloatArray, points: Any, names: Any) -> float:
    """Return between / (between + within), the variances of single draws, averaged over the state points."""
    splits = []
    for point in np.unique(points):
        of = [label[(names == name) & (points == point)] for name in np.unique(names[points == point])]
        most = max(len(one) for one in of)
        splits.append(
            variance_split(np.stack([np.pad(one, (0, most - len(one)), constant_values=np.nan) for one in of]))
        )
    between, within = np.mean(splits, 0)
    return float(between / (between + within)) if between + within > 0 else math.nan
