"""Ridge regression of the propensities of one species, at one temperature or across several.

Columns x and propensities y are standardised with the means and spreads of the training particles at the same
temperature, x~ and y~. What is learned is y~ = g(x~ . w + tau x~ . v), with tau the temperature, scaled to -1 to 1; v
is left out where there is one temperature only. The response g is monotone: the highest and the lowest propensities lie
closer to the mean than a linear fit puts them. Between temperatures means are interpolated linearly, and those of y
geometrically. Nothing is taken from the configuration that is predicted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from glassformer.baselines.ridge import PENALTIES, Moments, fit_ridge, predict_left_out, standardisation
from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError

# Quantiles of the prediction between which the response and the error are interpolated.
BINS = 12
# Beyond the outermost quantiles the response goes on with its slope over the last of them.
_ENDS = 3
# Fewest predictions from which a response is made, and the smallest range of them, in units of the spread. Of 4,800
# predictions, as in the demo, noise made the response worse than none: 29 instead of 31 of 32 cases ahead.
_FEWEST, _RANGE = 6500, 1e-3
# The share of the linear fit in the response: without it particles would tie where the response is flat.
_LINEAR = 0.1
_FLAT = "the predictions do not vary: descriptors and propensities are not related in these data"


@dataclass(frozen=True, eq=False)
class Level:
    """Means at G temperatures, of F columns (G, F) and K propensities (G, K), and their spreads.

    `scale` (G, F) is the inverse of a column's spread, 0 for a column that does not vary.
    """

    temperatures: FloatArray
    mean: FloatArray
    scale: FloatArray
    target_mean: FloatArray
    target_spread: FloatArray

    @classmethod
    def of(
        cls, temperatures: Sequence[float], columns: Sequence[NDArray[np.floating[Any]]], targets: Sequence[FloatArray]
    ) -> "Level":
        """Return those of training configurations at `temperatures`, with `columns` (N, F) and `targets` (N, K)."""
        known = np.unique(np.asarray(temperatures, np.float64))
        rows: list[list[FloatArray]] = []
        for temperature in known:
            there = [index for index, one in enumerate(temperatures) if one == temperature]
            y = np.concatenate([targets[index] for index in there])
            mean, scale = standardisation(np.concatenate([columns[index] for index in there]), 1.0)
            rows.append([mean, scale, y.mean(0), y.std(0)])
        return cls(known, *(np.stack(parts) for parts in zip(*rows, strict=True)))

    def at(self, temperature: float) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return means and scales of the columns (F,), and means and spreads of the propensities (K,).

        Beyond the range of temperatures they are those of the nearest.
        """
        place = float(np.interp(temperature, self.temperatures, np.arange(len(self.temperatures))))
        low = min(int(place), max(len(self.temperatures) - 2, 0))
        high, share = min(low + 1, len(self.temperatures) - 1), place - low

        def between(values: FloatArray) -> FloatArray:
            found: FloatArray = (1 - share) * values[low] + share * values[high]
            return found

        mean, spread = (np.exp(between(np.log(values))) for values in (self.target_mean, self.target_spread))
        return between(self.mean), between(self.scale), mean, spread

    def standardised(self, columns: NDArray[np.floating[Any]], temperature: float) -> FloatArray:
        """Return the columns (N, F) in units of their spread, from their mean."""
        mean, scale, _, _ = self.at(temperature)
        result: FloatArray = (columns - mean) * scale
        return result

    def units(self, targets: FloatArray, temperature: float) -> FloatArray:
        """Return propensities (N, K) in units of their spread, from their mean."""
        _, _, mean, spread = self.at(temperature)
        result: FloatArray = (targets - mean) / spread
        return result

    def of_moments(self, moments: Moments, temperature: float) -> Moments:
        """Return the moments of standardised columns and propensities in their units."""
        mean, scale, target_mean, target_spread = self.at(temperature)
        return moments.shifted(mean, scale, target_mean, 1 / target_spread)

    def scaled(self, temperature: float) -> float:
        """Return the temperature as -1 to 1; 0 where there is one only."""
        first, last = self.temperatures[[0, -1]]
        return 0.0 if first == last else float(2 * (temperature - first) / (last - first) - 1)


@dataclass(frozen=True, eq=False)
class Response:
    """A monotone function of K predictions: at `places` (BINS, K) it is `values` (BINS, K), and linear between."""

    places: FloatArray
    values: FloatArray

    @classmethod
    def of(cls, predictions: FloatArray, targets: FloatArray) -> "Response":
        """Return the one that is closest to `targets` (P, K): means over bins, made monotone.

        `predictions` (P, K) must be of configurations that the fit had not seen. Of too few, or such that hardly vary,
        it is the predictions themselves.
        """
        if len(predictions) < _FEWEST or (np.ptp(predictions, axis=0) < _RANGE).any():
            return cls.none(predictions.shape[1])
        which = _bins(predictions)
        places, means = _means(which, predictions), _means(which, targets)
        if (np.diff(places, axis=0) <= 0).any():
            return cls.none(predictions.shape[1])
        monotone = np.stack([isotonic_regression(column).x for column in means.T], 1)
        return cls(places, (1 - _LINEAR) * monotone + _LINEAR * places)

    @classmethod
    def none(cls, targets: int) -> "Response":
        """Return the function that changes nothing, of K = `targets` predictions."""
        places = np.repeat(np.linspace(-1, 1, BINS)[:, None], targets, 1)
        return cls(places, places)

    def __call__(self, predictions: FloatArray) -> FloatArray:
        """Return the function of `predictions` (N, K)."""
        columns = []
        for one, x, y in zip(predictions.T, self.places.T, self.values.T, strict=True):
            below = (y[_ENDS - 1] - y[0]) / (x[_ENDS - 1] - x[0]) * np.minimum(one - x[0], 0)
            above = (y[-1] - y[-_ENDS]) / (x[-1] - x[-_ENDS]) * np.maximum(one - x[-1], 0)
            columns.append(np.interp(one, x, y) + below + above)
        return np.stack(columns, 1)


def _response(
    temperatures: Sequence[float], predictions: Sequence[FloatArray], targets: Sequence[FloatArray]
) -> Response:
    """Return the response of configurations left out, except those that were alone at their temperature.

    A fit without any configuration of a temperature extrapolates, and its errors are others.
    """
    known = [place for place, one in enumerate(temperatures) if list(temperatures).count(one) > 1]
    if not known:
        return Response.none(targets[0].shape[1])
    return Response.of(
        np.concatenate([predictions[place] for place in known]), np.concatenate([targets[place] for place in known])
    )


def _bins(predictions: FloatArray) -> list[NDArray[np.int64]]:
    """Return for each column the number of the quantile bin of every prediction; bins are of equal size."""
    ranks = np.argsort(np.argsort(predictions, axis=0, kind="stable"), axis=0, kind="stable")
    return list((ranks * BINS // len(predictions)).T)


def _means(which: Sequence[NDArray[np.int64]], values: FloatArray) -> FloatArray:
    """Return the means of `values` (P, K) in the bins, (BINS, K)."""
    columns = []
    for bins, one in zip(which, values.T, strict=True):
        columns.append(np.bincount(bins, one, BINS) / np.maximum(np.bincount(bins, minlength=BINS), 1))
    return np.stack(columns, 1)


@dataclass(frozen=True, eq=False)
class TemperatureRidge:
    """The fit of one species: `weights` w and `tilt` v, (F, K), for columns in units of `level`, and the response g.

    `knots` and `error` (BINS, K): the root mean square error for predictions of this size, in units of the spread;
    zero until `with_errors`. `share`: of predictions by others in the mean with these.
    """

    level: Level
    weights: FloatArray
    tilt: FloatArray
    response: Response
    knots: FloatArray
    error: FloatArray
    share: float = 0.0

    @classmethod
    def fit(
        cls,
        temperatures: Sequence[float],
        columns: Sequence[NDArray[np.floating[Any]]],
        targets: Sequence[FloatArray],
        scales: FloatArray,
        penalties: Sequence[float] = PENALTIES,
        further: Sequence[Moments | None] = (),
    ) -> "TemperatureRidge":
        """Fit training configurations at `temperatures`, each with `columns` (N, F) and `targets` (N, K).

        `scales` (F,): see `glassformer.baselines.ridge.Ridge.fit`. `further`: of each configuration, moments of
        further particles that are learned from wherever it is, but not scored: neither penalties nor the response are
        chosen by them. Raises `ConfigurationError` for fewer than two configurations.
        """
        level = Level.of(temperatures, columns, targets)
        several = len(level.temperatures) > 1
        x, y, moments = [], [], []
        more = further or [None] * len(columns)
        for temperature, of_one, target, others in zip(temperatures, columns, targets, more, strict=True):
            standard = level.standardised(of_one, temperature).astype(np.float32)
            units, tilt = level.units(target, temperature), [1.0, level.scaled(temperature)][: 1 + several]
            known = Moments.of(standard, units)
            if others is not None:
                known = known.with_(level.of_moments(others, temperature))
            moments.append(known.repeated(tilt))
            x.append(np.concatenate([factor * standard for factor in tilt], 1))
            y.append(units)
        both = np.tile(scales, 2 if several else 1)
        ridge = fit_ridge(x, y, both, penalties, moments)
        response = _response(temperatures, predict_left_out(x, moments, ridge.penalty, both), y)
        number = columns[0].shape[1]
        change = ridge.weights[number:] if several else np.zeros_like(ridge.weights)
        nothing = np.zeros((BINS, targets[0].shape[1]))
        return cls(level, ridge.weights[:number], change, response, nothing, nothing)

    def standardised(
        self, columns: NDArray[np.floating[Any]], temperature: float, others: FloatArray | None = None
    ) -> FloatArray:
        """Return the prediction (N, K) in units of the spread of training's propensities at `temperature`.

        `others` (N, K): predictions in the same units, averaged with these. Of them only the deviations from their mean
        over the N particles count, which are those of one configuration: a network's mean is further from the truth.
        """
        weights = self.weights + self.level.scaled(temperature) * self.tilt
        found = self.response(self.level.standardised(columns, temperature) @ weights)
        if others is None:
            return found
        centred: FloatArray = others - others.mean(0) + found.mean(0)
        return (1 - self.share) * found + self.share * centred

    def mean(
        self, columns: NDArray[np.floating[Any]], temperature: float, others: FloatArray | None = None
    ) -> FloatArray:
        """Return the propensities (N, K), at least a tenth of their mean. `others`: see `standardised`."""
        _, _, mean, spread = self.level.at(temperature)
        return np.maximum(mean + spread * self.standardised(columns, temperature, others), 0.1 * mean)

    def predict(
        self, columns: NDArray[np.floating[Any]], temperature: float, others: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Return the propensities (N, K) and their standard errors. `others`: see `standardised`."""
        mean = self.mean(columns, temperature, others)
        return mean, self.errors(mean, temperature)

    def errors(self, mean: FloatArray, temperature: float) -> FloatArray:
        """Return the standard errors (N, K) of predicted propensities."""
        standard, spread = self.level.units(mean, temperature), self.level.at(temperature)[3]
        error = np.stack([np.interp(z, k, e) for z, k, e in zip(standard.T, self.knots.T, self.error.T, strict=True)])
        return error.T * spread

    def with_errors(self, predictions: FloatArray, targets: FloatArray) -> "TemperatureRidge":
        """Return the same with errors as those of `predictions` of `targets`, (P, K), in units of the spread.

        They must be predictions for configurations that the fit had not seen. Raises `ConfigurationError` if they do
        not vary.
        """
        which = _bins(predictions)
        knots, error = _means(which, predictions), np.sqrt(_means(which, (predictions - targets) ** 2))
        if (knots[-1] <= knots[0]).any():
            raise ConfigurationError(_FLAT, "Give more configurations, or other times.")
        return replace(self, knots=knots, error=error)
