"""Scores of predicted propensities: correlations over the particles of a species, beside what noise allows."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import PredictionError
from glassformer.evaluate.scores import pearson


@dataclass(frozen=True)
class PropensityScore:
    """Correlations of predictions with labels over the particles of one species, configurations counting alike.

    `pcc_mean`: Pearson's, per configuration, averaged (GlassBench's rule: G. Jung et al., Nat. Rev. Phys. 7, 91
    (2025)), with its standard error over configurations, `pcc_error`; `pcc_pooled`: over all particles of all
    configurations together, which flatters where configurations differ; `spearman`: of ranks, averaged. `ceiling`: mean
    over configurations of the Pearson correlation that a perfect prediction would have; `ratio`: of `pcc_mean` to it.
    """

    pcc_mean: float
    pcc_error: float
    pcc_pooled: float
    spearman: float
    ceiling: float
    ratio: float
    n_configurations: int

    def as_json(self) -> dict[str, Any]:
        """Return all of it, None for what is not known."""
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(self).items()
        }


def score_propensities(
    predictions: Sequence[FloatArray], labels: Sequence[FloatArray], ceilings: Sequence[float] | None = None
) -> PropensityScore:
    """Score `predictions` against `labels`, each (n,), of one species, time and configuration per item.

    `ceilings`: the noise ceiling of each configuration (`observables.propensity`), NaN where it is not known. A
    prediction that does not vary within a configuration has the correlation 0. Raises `PredictionError` for no
    configurations or other shapes.
    """
    shapes_fit = len(predictions) == len(labels) and all(
        p.shape == y.shape and p.ndim == 1 for p, y in zip(predictions, labels, strict=False)
    )
    if not labels or not shapes_fit:
        raise PredictionError(
            "got no predictions, or not one for every label", "Give the same particles of the same configurations."
        )
    each = np.array([correlation(p, y) for p, y in zip(predictions, labels, strict=True)])
    ranks = [correlation(rankdata(p), rankdata(y)) for p, y in zip(predictions, labels, strict=True)]
    ceiling = float(np.mean(ceilings)) if ceilings is not None and len(ceilings) else math.nan
    mean = float(each.mean())
    return PropensityScore(
        mean,
        standard_error(each),
        correlation(np.concatenate(predictions), np.concatenate(labels)),
        float(np.mean(ranks)),
        ceiling,
        mean / ceiling if ceiling > 0 else math.nan,
        len(each),
    )


def correlation(prediction: FloatArray, label: FloatArray) -> float:
    """Return Pearson's correlation, 0 for a prediction that does not vary: it tells nothing about the particles."""
    if np.ptp(prediction) == 0 and np.ptp(label) > 0:
        return 0.0
    return pearson(prediction, label)


def standard_error(values: FloatArray) -> float:
    """Return the standard error of the mean of `values` (n,); NaN for fewer than two."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else math.nan


def paired(values: FloatArray, reference: FloatArray) -> tuple[float, float]:
    """Return the mean of `values` - `reference`, (n,) of the same configurations, and its standard error."""
    differences = values - reference
    return float(differences.mean()), standard_error(differences)
