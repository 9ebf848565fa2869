"""What a leak is worth: scores of single draws, so that every way to split and every input is measured alike."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.json_files import Number
from glassformer.core.layout import configuration_of, state_point_of
from glassformer.core.seeds import generator, named_seed
from glassformer.dataset.predictions import Predictions
from glassformer.evaluate.liquid import Liquid
from glassformer.evaluate.paired import Difference, Errors, difference, mean_difference
from glassformer.evaluate.scores import mean_absolute_error, r_squared

SAMPLES = 1000
# The array that holds what a network said.
PREDICTION = "prediction"


@dataclass(frozen=True)
class AuditRow:
    """Scores of one model and time over single draws, all state points together.

    `r2`: of ln MSD_A about its overall mean, to which telling the state points apart alone contributes most;
    `r2_within`: about the state points' own means, so that it counts only what is said beyond them. The means are those
    of all data, the same for every model and split. `ceiling`: what `r2_within` comes to for perfect knowledge of the
    structure, over all data; only velocities can tell more. Errors are standard errors, by resampling configurations
    within their state points. `errors`: the absolute error of every draw, for comparisons in pairs.
    """

    model: str
    time: Number
    draws: int
    configurations: int
    mae: Number
    mae_error: Number
    r2: Number
    r2_error: Number
    r2_within: Number
    r2_within_error: Number
    ceiling: Number
    errors: dict[str, Number]


def audit_rows(model: str, tests: Sequence[Predictions], liquid: Liquid) -> list[AuditRow]:
    """Return a row per time for the `tests` of an experiment's networks, put together.

    Every prediction is of one draw (`core.layout.Draw`). `model`: the array to score, a network's or a
    baseline's.
    """
    label, said = (np.concatenate([getattr(test, what) for test in tests]) for what in ("label", model))
    points = np.concatenate([test.state_points for test in tests])
    # A configuration that several networks were tested on is still one.
    draws = [one for test in tests for one in test.configurations]
    names = np.array([configuration_of(one) for one in draws])
    again = _resampled(points, names)
    return [
        _row(model, float(time), target, (said[:, target], label[:, target], points, names, draws), again, liquid)
        for target, time in enumerate(tests[0].times)
    ]


def compare_audits(rows: Sequence[AuditRow], others: Sequence[AuditRow]) -> dict[float, Difference]:
    """Return, by time, the errors of one experiment's networks less another's, on the draws that both were tested on.

    The mean over a configuration's draws, over configurations, and over state points.
    """
    known = {row.time: row for row in others if row.model == PREDICTION}
    return {
        row.time: _compare(row.errors, known[row.time].errors)
        for row in rows
        if row.model == PREDICTION and row.time in known
    }


def _compare(one: Errors, other: Errors) -> Difference:
    points: dict[str, dict[str, list[str]]] = {}
    for name in one:
        if name in other:
            configuration = configuration_of(name)
            points.setdefault(state_point_of(configuration), {}).setdefault(configuration, []).append(name)
    means = [
        [{name: float(np.mean([of[draw] for draw in draws])) for name, draws in members.items()} for of in (one, other)]
        for members in points.values()
    ]
    return mean_difference([difference(*both) for both in means])


def _row(
    model: str,
    time: float,
    target: int,
    cases: tuple[FloatArray, FloatArray, Any, Any, list[str]],
    again: list[Any],
    liquid: Liquid,
) -> AuditRow:
    said, label, points, names, draws = cases
    known = {point: liquid.mean_log(point, target) for point in np.unique(points)}
    own = np.array([known[point] for point in points])
    overall = np.full(len(label), np.mean(list(known.values())))
    scores: tuple[Callable[[Any], float], ...] = (
        lambda rows: mean_absolute_error(said[rows], label[rows]),
        lambda rows: r_squared(said[rows], label[rows], overall[rows]),
        lambda rows: r_squared(said[rows], label[rows], own[rows]),
    )
    values = [score(np.arange(len(label))) for score in scores]
    # See `scores.bootstrap_error`; the smallest state point sets the factor.
    smallest = min(len(np.unique(names[points == point])) for point in known)
    factor = np.sqrt(smallest / (smallest - 1)) if smallest > 1 else math.nan
    errors = [float(factor * np.std([score(rows) for rows in again])) for score in scores]
    between, within = np.mean([liquid.variances(point, target) for point in known], 0)
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
        ceiling=float(between / (between + within)) if between + within > 0 else math.nan,
        errors=dict(zip(draws, np.abs(said - label).tolist(), strict=True)),
    )


def _resampled(points: Any, names: Any) -> list[Any]:
    """Return `SAMPLES` times the rows of as many configurations of every state point as there are, drawn again."""
    random = generator(named_seed(0, "audit"))
    rows = {name: np.flatnonzero(names == name) for name in np.unique(names)}
    members = [np.unique(names[points == point]) for point in np.unique(points)]
    return [
        np.concatenate([rows[name] for group in members for name in random.choice(group, len(group))])
        for _ in range(SAMPLES)
    ]
