"""From a prediction file to its scores, a row per state point and target time."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import PredictionError
from glassformer.dataset.predictions import Predictions
from glassformer.evaluate.scores import (
    bias,
    bootstrap_error,
    label_noise,
    mean_absolute_error,
    pearson,
    r_squared,
    r_squared_ceiling,
)

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
class ParticleScore:
    """Pearson's correlation over the particles of one species, the mean over configurations.

    With its standard error (bootstrap over configurations), and what perfect predictions would reach, given the noise
    of few draws; NaN where the data do not tell.
    """

    pearson: float
    pearson_error: float
    pearson_ceiling: float


@dataclass(frozen=True)
class Row:
    """Scores at one state point, or 'all', and one target time; `particles` by the names of species."""

    state_point: str
    time: float
    configurations: int
    label_mean: float
    label_std: float
    r2_ceiling: float
    models: dict[str, ModelScore]
    particles: dict[str, ParticleScore] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """All rows of one prediction file, and how many configurations were left out because training had seen them.

    `without_draws`: how many others were left out because nothing is known of their dynamics.
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
        """Return plain values, with null for NaN."""
        rows = [
            vars(row)
            | {part: {name: vars(one) for name, one in getattr(row, part).items()} for part in ("models", "particles")}
            for row in self.rows
        ]
        values = {name: value for name, value in vars(self).items() if name != "rows"} | {"rows": rows}
        plain: dict[str, Any] = without_nan(values)
        return plain


def evaluate(predictions: Predictions) -> Evaluation:
    """Score the configurations that training had not seen or, marked as such, those of a split that leaks.

    Bare structures are counted, not scored. Raises `PredictionError` if nothing is left: scores on training data
    flatter, and are not given.
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
    state_points = np.array(predictions.state_points)
    groups = sorted(set(state_points[scored]))
    chosen = {name: scored & (state_points == name) for name in groups}
    if len(groups) > 1:
        chosen[ALL] = scored
    rows = [
        _row(predictions, name, rows, target)
        for name, rows in chosen.items()
        for target in range(len(predictions.times))
    ]
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
    )


def particle_scores(predictions: Predictions, rows: Any, target: int) -> dict[str, ParticleScore]:
    """Correlate over the particles of each configuration, species by species, then average over configurations.

    `rows`: which configurations, a mask or indices. GlassBench's rule: G. Jung et al., Nat. Rev. Phys. 7, 91 (2025).
    """
    if predictions.particle_prediction is None:
        return {}
    assert predictions.particle_label is not None
    assert predictions.particle_species is not None
    assert predictions.particle_ceiling is not None
    chosen: list[int] = np.arange(len(predictions.configurations))[rows].tolist()
    scores = {}
    for species, name in enumerate(predictions.species_names):
        found, ceilings = [], []
        for row in chosen:
            place = predictions.of_particles(row)
            kind = predictions.particle_species[place] == species
            said, truth = (
                array[place][kind, target] for array in (predictions.particle_prediction, predictions.particle_label)
            )
            if len(said) and not np.isnan(said).all():
                found.append(pearson(said, truth))
                ceilings.append(predictions.particle_ceiling[row, species, target])
        if found:
            values = np.array(found)
            ceiling = float(np.mean(ceilings))
            scores[name] = ParticleScore(float(values.mean()), bootstrap_error(_mean, values, values), ceiling)
    return scores


def _mean(values: FloatArray, _: FloatArray) -> float:
    return float(values.mean())


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
