"""Whether the uncertainties that a model states of its predictions are those of its errors."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from glassformer.dataset.predictions import Predictions
from glassformer.evaluate.particles import Group, Rows, groups_by_species
from glassformer.evaluate.propensity_scores import correlation


@dataclass(frozen=True)
class UncertaintyScore:
    """Stated standard deviations s beside errors e = prediction - label of the particles of one species.

    `within_1_sigma`, `within_2_sigma`: share of particles with |e| < s and |e| < 2 s; .683 and .954 for a Gaussian
    error of the stated width. `mean_squared_z`: <(e / s)^2>, 1 for the right width, above 1 if it is stated too small.
    `rank_correlation`: Spearman's, of s with |e|, 0 if s does not tell which particles are predicted badly. All are
    means over the n configurations in which every particle has a stated uncertainty.

    The label is a mean over few draws: its own noise is part of e, and has to be part of s.
    """

    within_1_sigma: float
    within_2_sigma: float
    mean_squared_z: float
    rank_correlation: float
    n_configurations: int


def uncertainty_scores(predictions: Predictions, rows: Rows, target: int) -> dict[str, UncertaintyScore]:
    """Return the scores of the uncertainties at time number `target`, by the names of species.

    Empty where none are stated. `rows`: which configurations, a mask or indices.
    """
    scores = {}
    for name, groups in groups_by_species(predictions, rows):
        each = [found for group in groups if (found := _of_configuration(group, target)) is not None]
        if each:
            within_1, within_2, squared_z, ranks = np.mean(each, 0).tolist()
            scores[name] = UncertaintyScore(within_1, within_2, squared_z, ranks, len(each))
    return scores


def _of_configuration(group: Group, target: int) -> tuple[float, float, float, float] | None:
    """Return the first four numbers of the score of one configuration, or None where uncertainties are missing."""
    if group.uncertainty is None or np.isnan(group.uncertainty[:, target]).any():
        return None
    stated = group.uncertainty[:, target]
    error = np.abs(group.prediction[:, target] - group.label[:, target])
    z = error / stated
    ranks = correlation(rankdata(stated), rankdata(error))
    return float((z < 1).mean()), float((z < 2).mean()), float((z**2).mean()), ranks
