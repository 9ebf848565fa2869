"""From the predictions of an experiment's networks to its scores, each beside what knows no structure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import PredictionError
from glassformer.core.json_files import Number
from glassformer.dataset.predictions import Predictions
from glassformer.evaluate.liquid import Liquid
from glassformer.evaluate.moments import largest_share, moments
from glassformer.evaluate.paired import Difference, difference, mean_difference
from glassformer.evaluate.particles import particle_scores
from glassformer.evaluate.scores import (
    bootstrap_error,
    mean_absolute_error,
    r_squared,
)

NETWORK = "network"


@dataclass(frozen=True)
class Score:
    """One model on one row: MAE of ln MSD_A, R^2 within the state point, <predicted> / <simulated> MSD_A.

    The mean over networks where several were tested on the same configurations. `r2` is about the mean of all
    configurations of the state point, tested here or not: knowing that mean is worth 0. `errors`: the absolute error of
    each configuration, for comparisons in pairs.
    """

    mae: Number
    r2: Number
    ratio: Number
    errors: dict[str, Number]


@dataclass(frozen=True)
class ScoreRow:
    """What was said of one state point at one time, by the networks and by the baselines.

    `trained`: the networks were trained on other configurations of this state point. Then each configuration is tested
    by one network; else all networks are tested on all, and `networks` says how many. Means and spreads are of MSD_A in
    sigma_AA^2: `label_std` between configurations, `residual_std` of simulated less predicted, `mae_msd`.
    `one_bin`: `evaluate.moments.largest_share`. Of all configurations of the state point, whether tested here or not:
    `r2_ceiling`; `between` and `within`, the variance of a single draw's ln MSD_A between configurations and between
    draws of one.
    """

    state_point: str
    time: Number
    trained: bool
    configurations: int
    networks: int
    label_mean: Number
    label_std: Number
    coefficient_of_variation: Number
    skewness: Number
    kurtosis: Number
    prediction_mean: Number
    prediction_std: Number
    residual_std: Number
    mae_msd: Number
    mae_error: Number
    one_bin: Number
    r2_ceiling: Number
    between: Number
    within: Number
    scores: dict[str, Score]
    pearson: Number = math.nan
    pearson_error: Number = math.nan
    pearson_ceiling: Number = math.nan


@dataclass(frozen=True, eq=False)
class NetworkTest:
    """What one network, a fold, said of all that it had not seen, and its `density_curve` (C, K) of the same."""

    predictions: Predictions
    density_curve: FloatArray


@dataclass(frozen=True, eq=False)
class _Cases:
    """Rows of one state point and time: `said` (F, C) by every model, `draws` (C, D), and where they come from."""

    names: tuple[str, ...]
    draws: FloatArray
    said: dict[str, FloatArray]
    origin: list[tuple[Predictions, int]]


def score_rows(tests: Sequence[NetworkTest], trained_on: Sequence[str], liquid: Liquid) -> tuple[ScoreRow, ...]:
    """Return a row for every state point and time of `tests`, one a network.

    `liquid` is of all data. Raises `PredictionError` if a configuration that a network has seen is among them.
    """
    if any(role != "test" for test in tests for role in test.predictions.roles):
        raise PredictionError("a configuration that training has seen is not scored", "Leave it out.")
    names = sorted({name for test in tests for name in test.predictions.state_points})
    times = tests[0].predictions.times
    return tuple(
        _row(name, name in trained_on, tests, target, liquid) for name in names for target in range(len(times))
    )


def _row(name: str, trained: bool, tests: Sequence[NetworkTest], target: int, liquid: Liquid) -> ScoreRow:
    cases = _cases(name, trained, tests, target)
    truth = np.nanmean(cases.draws, 1)
    label, said = np.log(truth), cases.said[NETWORK]
    msd, mean_label = np.exp(said), liquid.mean_label(name, target)
    shape, spread = moments(truth), liquid.variances(name, target)
    errors = np.abs(said - label).mean(0)
    return ScoreRow(
        state_point=name,
        time=float(tests[0].predictions.times[target]),
        trained=trained,
        configurations=len(truth),
        networks=len(said),
        label_mean=shape.mean,
        label_std=shape.std,
        coefficient_of_variation=shape.coefficient_of_variation,
        skewness=shape.skewness,
        kurtosis=shape.kurtosis,
        prediction_mean=float(msd.mean()),
        prediction_std=_mean([moments(one).std for one in msd]),
        residual_std=_mean([moments(truth - one).std for one in msd]),
        mae_msd=float(np.abs(msd - truth).mean()),
        mae_error=bootstrap_error(mean_absolute_error, errors, np.zeros_like(errors)),
        one_bin=_mean([largest_share(one, truth) for one in msd]),
        r2_ceiling=liquid.ceiling(name, target),
        between=spread[0],
        within=spread[1],
        scores={model: _score(values, truth, mean_label, cases.names) for model, values in cases.said.items()},
        **_pearson(cases.origin, target),
    )


def _cases(name: str, trained: bool, tests: Sequence[NetworkTest], target: int) -> _Cases:
    """Return the cases of a state point: every configuration once, or once a network."""
    rows = [[i for i, point in enumerate(test.predictions.state_points) if point == name] for test in tests]
    arrays = {
        NETWORK: [test.predictions.prediction for test in tests],
        "state_point_mean": [test.predictions.state_point_mean for test in tests],
        "density_line": [test.predictions.density_fit for test in tests],
        "density_curve": [test.density_curve for test in tests],
    }
    chosen = {model: [array[row, target] for array, row in zip(of, rows, strict=True)] for model, of in arrays.items()}
    together = {model: np.concatenate(parts)[None] if trained else np.stack(parts) for model, parts in chosen.items()}
    known = list(zip(tests, rows, strict=True)) if trained else [(tests[0], rows[0])]
    draws = np.concatenate([_msd_draws(test.predictions)[row][:, :, target] for test, row in known])
    names = tuple(test.predictions.configurations[i] for test, row in known for i in row)
    origin = [(test.predictions, i) for test, row in zip(tests, rows, strict=True) for i in row]
    return _Cases(names, draws, together, origin)


def _msd_draws(predictions: Predictions) -> FloatArray:
    # Networks are tested on what they could have been trained on, and that has draws.
    assert predictions.msd_draws is not None
    return predictions.msd_draws


def _score(said: FloatArray, truth: FloatArray, mean_label: float, names: Sequence[str]) -> Score:
    label = np.log(truth)
    errors = np.abs(said - label)
    return Score(
        mae=float(errors.mean()),
        r2=_mean([r_squared(one, label, mean_label) for one in said]),
        ratio=float(np.exp(said).mean() / truth.mean()),
        errors=dict(zip(names, errors.mean(0).tolist(), strict=True)),
    )


def _pearson(origin: Sequence[tuple[Predictions, int]], target: int) -> dict[str, float]:
    """Return Pearson's correlation over the particles of the first species, the mean over configurations."""
    first = origin[0][0].species_names[0]
    scores = [particle_scores(predictions, [row], target).get(first) for predictions, row in origin]
    found = [score for score in scores if score is not None]
    if not found:
        return {}
    values = np.array([score.pcc_mean for score in found])
    # Networks that were tested on the same configurations are no independent units: their mean is one.
    names = np.array([predictions.configurations[row] for predictions, row in origin])
    units = np.array([np.nanmean(values[names == name]) for name in np.unique(names)])
    return {
        "pearson": float(units.mean()),
        "pearson_error": bootstrap_error(lambda one, _: float(one.mean()), units, units),
        "pearson_ceiling": _mean([score.ceiling for score in found]),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


@dataclass(frozen=True)
class MeanScore:
    """Means over state points, those that were trained on or the others, at one time.

    `gain`: the network's errors less those of the density alone, configuration by configuration.
    """

    time: float
    trained: bool
    state_points: int
    mae: float
    mae_error: float
    density_mae: float
    gain: Difference
    r2: float


def mean_scores(rows: Sequence[ScoreRow]) -> list[MeanScore]:
    """Return the means of `rows` over state points: a line per time and kind of state point that is there."""
    found = []
    for time in sorted({row.time for row in rows}):
        for trained in (True, False):
            chosen = [row for row in rows if row.time == time and row.trained is trained]
            if not chosen:
                continue
            errors = np.array([row.mae_error for row in chosen])
            network, density = ([row.scores[model] for row in chosen] for model in (NETWORK, "density_curve"))
            found.append(
                MeanScore(
                    time=time,
                    trained=trained,
                    state_points=len(chosen),
                    mae=_mean([score.mae for score in network]),
                    mae_error=float(np.sqrt((errors**2).sum()) / len(chosen)),
                    density_mae=_mean([score.mae for score in density]),
                    gain=mean_difference(
                        [difference(one.errors, two.errors) for one, two in zip(network, density, strict=True)]
                    ),
                    r2=_mean([score.r2 for score in network]),
                )
            )
    return found


@dataclass(frozen=True)
class Comparison:
    """Two experiments at one time: the first's errors less the second's, state points that both trained on or none."""

    time: float
    trained: bool
    difference: Difference


def compare_rows(rows: Sequence[ScoreRow], others: Sequence[ScoreRow]) -> list[Comparison]:
    """Compare the networks of two experiments on the same configurations, the mean over state points.

    A line per time, for configurations held out at state points that both were trained on, and for those of others.
    """
    known = {(row.state_point, row.time, row.trained): row for row in others}
    found: dict[tuple[float, bool], list[Difference]] = {}
    for row in rows:
        other = known.get((row.state_point, row.time, row.trained))
        if other is not None:
            one, two = (each.scores[NETWORK].errors for each in (row, other))
            found.setdefault((row.time, row.trained), []).append(difference(one, two))
    order = sorted(found, key=lambda key: (key[0], not key[1]))
    lines = [Comparison(time, trained, mean_difference(found[time, trained])) for time, trained in order]
    return [line for line in lines if line.difference.configurations]
