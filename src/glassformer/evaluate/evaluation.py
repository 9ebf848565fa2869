"""From a prediction file to its scores, a row per state point and target time."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from glassformer.core.arrays import FloatArray, IntArray
from glassformer.core.errors import PredictionError
from glassformer.dataset.predictions import Predictions
from glassformer.evaluate.heterogeneity import (
    Lengths,
    Structures,
    Susceptibility,
    correlation_lengths,
    refuse_unknown,
    susceptibilities,
)
from glassformer.evaluate.particles import particle_scores
from glassformer.evaluate.propensity_scores import PropensityScore
from glassformer.evaluate.scores import (
    bias,
    bootstrap_error,
    label_noise,
    mean_absolute_error,
    r_squared,
    r_squared_ceiling,
)
from glassformer.evaluate.uncertainty import UncertaintyScore, uncertainty_scores

MODELS = {"network": "prediction", "state_point_mean": "state_point_mean", "density_fit": "density_fit"}
ALL = "all"


@dataclass(frozen=True)
class ModelScore:
    """MAE with its standard error (bootstrap over configurations) and bias, both of `Evaluation.label`, and R^2."""

    mae: float
    mae_error: float
    r2: float
    bias: float


@dataclass(frozen=True)
class Row:
    """Scores at one state point, or 'all', and one target time.

    Of particles, by the names of species: `particles`, the correlations; `uncertainty`, where the file states any;
    `chi_4` of two or more configurations, and `lengths`, for which structures are needed, both not of 'all'.
    """

    state_point: str
    time: float
    configurations: int
    label_mean: float
    label_std: float
    r2_ceiling: float
    models: dict[str, ModelScore]
    particles: dict[str, PropensityScore] = field(default_factory=dict)
    uncertainty: dict[str, UncertaintyScore] = field(default_factory=dict)
    chi_4: dict[str, Susceptibility] = field(default_factory=dict)
    lengths: dict[str, Lengths] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """All rows of one prediction file, and how many configurations were left out because training had seen them.

    `without_draws`: how many others were left out because their dynamics are unknown.
    `label`: what MAE, bias and R^2 are about, such as 'ln MSD_A'. `leaked`: training had seen other draws of the very
    structures that are scored; what these scores say of new structures is nothing. `notices`: where the network was
    used outside what it was trained on.
    """

    network: str
    parameter_hash: str
    code_version: str
    left_out: int
    rows: tuple[Row, ...]
    label: str = "ln MSD_A"
    leaked: bool = False
    notices: tuple[str, ...] = ()
    without_draws: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return plain values, with null for NaN; before the rows, those of `summary`."""
        rows = [
            vars(row) | {part: {name: vars(one) for name, one in getattr(row, part).items()} for part in _TABLES}
            for row in self.rows
        ]
        values = {name: value for name, value in vars(self).items() if name != "rows"}
        plain: dict[str, Any] = without_nan(values | self.summary() | {"rows": rows})
        return plain

    def summary(self) -> dict[str, Any]:
        """Return the correlations of the first species that was learned, at the last time, over all configurations.

        Empty without predictions of particles. `summary_of` says which state point, time and species these are.
        """
        if not self.rows:
            return {}
        # The rows of 'all', where there are several state points, come last.
        row = max((row for row in self.rows if row.state_point == self.rows[-1].state_point), key=lambda row: row.time)
        for name, score in row.particles.items():
            of = {"state_point": row.state_point, "time": row.time, "species": name}
            return {key: getattr(score, key) for key in _SUMMARY} | {"summary_of": of}
        return {}


_TABLES = ("models", "particles", "uncertainty", "chi_4", "lengths")
_SUMMARY = ("pcc_mean", "pcc_error", "pcc_pooled", "ceiling", "n_configurations")


def evaluate(predictions: Predictions, structures: Structures | None = None) -> Evaluation:
    """Score the configurations that training had not seen or, marked as such, those of a split that leaks.

    Bare structures are counted, not scored. Correlation lengths need the `structures` of what is scored. Raises
    `PredictionError` if nothing is left: scores on training data flatter, and are not given; or if structures are
    missing.
    """
    answered = predictions.answered
    if not answered.any():
        raise PredictionError(
            f"none of the {len(answered)} predicted configurations has draws: there is nothing to compare with",
            "Predict samples with draws to score a network; predictions of bare structures can be used as they are.",
        )
    leaked = "leaked" in predictions.roles
    unseen = np.array([role == ("leaked" if leaked else "test") for role in predictions.roles])
    if not unseen.any():
        raise PredictionError(
            f"all {len(unseen)} configurations were seen in training: there is nothing to score",
            "Predict configurations that the network has not seen.",
        )
    scored = unseen & answered
    if not scored.any():
        raise PredictionError(
            f"the {unseen.sum()} configurations that training had not seen have no draws: there is nothing to score",
            "Predict samples with draws that the network has not seen.",
        )
    _refuse_mixed(predictions, np.flatnonzero(scored), leaked)
    state_points = np.array(predictions.state_points)
    groups = sorted(set(state_points[scored]))
    chosen = {name: scored & (state_points == name) for name in groups}
    if len(groups) > 1:
        chosen[ALL] = scored
    rows = [row for name, group in chosen.items() for row in _rows(predictions, name, group, structures)]
    return Evaluation(
        predictions.network,
        predictions.parameter_hash,
        predictions.code_version,
        int((~unseen).sum()),
        tuple(rows),
        predictions.label_name,
        leaked,
        predictions.notices,
        int((unseen & ~answered).sum()),
    )


def _refuse_mixed(predictions: Predictions, scored: IntArray, leaked: bool) -> None:
    """Raise `PredictionError` if a structure would be scored twice, or one state point has several temperatures."""
    names, first = predictions.configurations, dict[str, int]()
    # Of a split that leaks, every draw of a structure is scored by itself.
    for place in scored.tolist() if predictions.fingerprints and not leaked else ():
        other = first.setdefault(predictions.fingerprints[place], place)
        if other != place:
            raise PredictionError(
                f"{names[other]} and {names[place]} are the same structure, which would be scored twice",
                "Predict every structure once.",
            )
    if predictions.temperature is None:
        return
    of_label: dict[str, int] = {}
    for place in scored[np.isfinite(predictions.temperature[scored])].tolist():
        label = predictions.state_points[place]
        other = of_label.setdefault(label, place)
        one, two = (float(predictions.temperature[row]) for row in (other, place))
        if not math.isclose(one, two, rel_tol=1e-9):
            raise PredictionError(
                f"{names[other]} and {names[place]} have the same label and do not belong together: temperature"
                f" {one:g} and {two:g}",
                "Give their state points different labels.",
            )


def _rows(predictions: Predictions, name: str, rows: Any, structures: Structures | None) -> list[Row]:
    """Return the rows of the state point `name` at all times."""
    found = [_row(predictions, name, rows, target) for target in range(len(predictions.times))]
    if predictions.particle_prediction is None or name == ALL:
        # Between state points means differ: that is no fluctuation of one liquid.
        return found
    found = [replace(row, chi_4=susceptibilities(predictions, rows, target)) for target, row in enumerate(found)]
    if structures is None:
        return found
    refuse_unknown(predictions, rows, structures)
    lengths = correlation_lengths(predictions, rows, structures)
    return [replace(row, lengths=one) for row, one in zip(found, lengths, strict=True)]


def _row(predictions: Predictions, name: str, rows: Any, target: int) -> Row:
    label = predictions.label[rows, target]
    noise = label_noise(predictions.draws[rows][:, :, target])
    return Row(
        state_point=name,
        time=float(predictions.times[target]),
        configurations=len(label),
        label_mean=float(label.mean()),
        label_std=float(label.std(ddof=1)) if len(label) > 1 else float("nan"),
        r2_ceiling=r_squared_ceiling(label, noise),
        models={model: _score(getattr(predictions, array)[rows, target], label) for model, array in MODELS.items()},
        particles=particle_scores(predictions, rows, target),
        uncertainty=uncertainty_scores(predictions, rows, target),
    )


def _score(prediction: FloatArray, label: FloatArray) -> ModelScore:
    return ModelScore(
        mean_absolute_error(prediction, label),
        bootstrap_error(mean_absolute_error, prediction, label),
        r_squared(prediction, label),
        bias(prediction, label),
    )


def without_nan(value: Any) -> Any:
    """Return `value`, tables and lists within it too, with None, which JSON has, for what is no finite number."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
