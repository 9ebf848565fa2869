"""Dynamic heterogeneity in the predictions beside that in the data: correlation lengths and chi_4."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassformer.core.arrays import FloatArray, IntArray
from glassformer.core.errors import PredictionError
from glassformer.dataset.predictions import Predictions
from glassformer.evaluate.particles import Group, Rows, groups_by_species
from glassformer.observables.mobility_correlation import (
    FARTHEST_PART,
    correlation_length,
    mobility_correlation,
)
from glassformer.observables.overlap import dynamic_susceptibility
from glassformer.physics.configuration import Configuration

# The structures of configurations by their fingerprints.
Structures = Mapping[str, Configuration]


@dataclass(frozen=True)
class Susceptibility:
    """chi_4 = N (<q^2> - <q>^2) over configurations, q being the mean over the N particles of one species.

    Of the predicted and the simulated quantity, with standard errors (jackknife over configurations). `label` holds
    that of structures and, in addition, `noise`: N <var_draws q> / D, what is left of the fluctuation between draws in
    a mean over D of them; NaN where the draws were not kept. A perfect prediction has `label` - `noise`. The
    fluctuation between draws of one configuration is no part of this chi_4: no structure can predict it.
    """

    prediction: float
    prediction_error: float
    label: float
    label_error: float
    noise: float
    n_configurations: int


@dataclass(frozen=True)
class Lengths:
    """Correlation length of the predicted and of the simulated mobility of one species, in sigma_AA.

    From G_4(r) averaged over configurations (`observables.mobility_correlation`), with standard errors (jackknife over
    configurations, NaN for fewer than two). NaN where neighbors are not correlated.
    """

    prediction: float
    prediction_error: float
    label: float
    label_error: float
    n_configurations: int


def susceptibilities(predictions: Predictions, rows: Rows, target: int) -> dict[str, Susceptibility]:
    """Return chi_4 at time number `target` over the configurations `rows` of one state point, by names of species.

    Empty for fewer than two configurations, between which nothing fluctuates.
    """
    found = {}
    for name, groups in groups_by_species(predictions, rows):
        if len(groups) < 2:
            continue
        particles = float(np.mean([len(group.label) for group in groups]))
        noise = _noise(predictions, groups, target) * particles if name == predictions.species else float("nan")
        said, simulated = (
            _chi_4_and_error(np.array([getattr(group, field)[:, target].mean() for group in groups]), particles)
            for field in ("prediction", "label")
        )
        found[name] = Susceptibility(*said, *simulated, noise, len(groups))
    return found


def correlation_lengths(predictions: Predictions, rows: Rows, structures: Structures) -> list[dict[str, Lengths]]:
    """Return the correlation lengths over the configurations `rows` of one state point, a table for each time.

    By names of species. `structures` must hold these configurations: see `refuse_unknown`.
    """
    times = len(predictions.times)
    found: list[dict[str, Lengths]] = [{} for _ in range(times)]
    for name, groups in groups_by_species(predictions, rows):
        of_groups = [structures[predictions.fingerprints[group.row]] for group in groups]
        dimension = of_groups[0].dimension
        farthest = min(float(one.edges.min()) for one in of_groups) * FARTHEST_PART
        box = np.mean([one.box for one in of_groups], 0)
        parts = [_correlation(group, one, farthest) for group, one in zip(groups, of_groups, strict=True)]
        for target in range(times):
            # Of predictions at all times, then of labels.
            said, simulated = (
                _length_and_error([(r, fields[field], pairs) for r, fields, pairs in parts], box, dimension)
                for field in (target, times + target)
            )
            found[target][name] = Lengths(*said, *simulated, len(groups))
    return found


def refuse_unknown(predictions: Predictions, rows: Rows, structures: Structures) -> None:
    """Raise `PredictionError` unless `structures` holds every configuration of `rows`."""
    chosen = np.arange(len(predictions.configurations))[rows].tolist()
    if not predictions.fingerprints:
        raise PredictionError(
            "the prediction file holds no fingerprints: its structures cannot be found in a dataset",
            "It was written by an older version: predict again, or evaluate without --data.",
        )
    missing = [predictions.configurations[row] for row in chosen if predictions.fingerprints[row] not in structures]
    if missing:
        raise PredictionError(
            f"the structures of {len(missing)} of {len(chosen)} scored configurations are not in the dataset, first"
            f" {missing[0]}",
            "Name the dataset that was predicted, with --data.",
        )


def jackknife(statistic: Callable[[Any], float], values: FloatArray | IntArray) -> float:
    """Return the standard error of a `statistic` of `values` (n, ...) by leaving out one at a time.

    sqrt((n - 1) / n sum (s_i - <s>)^2); NaN for fewer than two. B. Efron and C. Stein, Ann. Stat. 9, 586 (1981).
    """
    number = len(values)
    if number < 2:
        return float("nan")
    found = np.array([statistic(np.delete(values, one, 0)) for one in range(number)])
    return float(np.sqrt((number - 1) / number * ((found - found.mean()) ** 2).sum()))


def _chi_4_and_error(means: FloatArray, particles: float) -> tuple[float, float]:
    def chi_4(some: FloatArray) -> float:
        return float(dynamic_susceptibility(some[:, None], particles)[0])

    return chi_4(means), jackknife(chi_4, means)


def _noise(predictions: Predictions, groups: Sequence[Group], target: int) -> float:
    """Return the mean over configurations of the variance that D draws leave in the mean over particles."""
    draws = predictions.draws[[group.row for group in groups], :, target]
    number = np.isfinite(draws).sum(1)
    if (number < 2).any():
        return float("nan")
    return float((np.nanvar(draws, 1, ddof=1) / number).mean())


# Distances, G_4 and numbers of pairs.
_Correlation = tuple[FloatArray, FloatArray, IntArray]


def _correlation(group: Group, structure: Configuration, farthest: float) -> _Correlation:
    mobilities = np.concatenate([group.prediction, group.label], 1)
    positions = structure.positions[group.members]
    return mobility_correlation(positions, mobilities, structure.box, farthest, structure.dimension)


def _length_and_error(parts: Sequence[_Correlation], box: FloatArray, dimension: int) -> tuple[float, float]:
    """Return the correlation length of G_4 averaged over configurations, every pair counting alike, and its error."""
    distances = parts[0][0]
    # A field that does not vary is not correlated.
    fields, pairs = np.nan_to_num([part[1] for part in parts]), np.array([part[2] for part in parts])

    def length(chosen: IntArray) -> float:
        number = pairs[chosen].sum(0)
        mean = (fields[chosen] * pairs[chosen]).sum(0) / np.maximum(number, 1)
        return correlation_length(distances, mean, number, box, dimension)

    everything = np.arange(len(parts))
    return length(everything), jackknife(length, everything)
