"""Ridge regression on descriptors of particles, from sums over configurations.

Fits of every subset of the configurations follow from the sums of each: X^T X, X^T y, and means. So leaving
configurations out, to choose the regularisation or to test, costs a solution of the normal equations and no pass over
the data. A. E. Hoerl and R. W. Kennard, Technometrics 12, 55 (1970).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError

# Penalties that are tried, in units of the mean square of a standardised column.
PENALTIES: tuple[float, ...] = tuple(10.0 ** np.arange(-3.0, 0.6, 0.5))
# Groups of configurations left out in turn when the penalty is chosen.
INNER_FOLDS = 4
# Columns whose spread is below this share of their magnitude do not vary.
_CONSTANT = 1e-6


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over particles of columns (F) and targets (K): their number or weight, means, and centered products."""

    number: float
    mean: FloatArray
    target_mean: FloatArray
    products: FloatArray
    target_products: FloatArray

    @classmethod
    def of(cls, columns: NDArray[np.floating[Any]], targets: FloatArray) -> "Moments":
        """Return those of `columns` (N, F) and `targets` (N, K), of one species of one configuration."""
        if columns.ndim != 2 or targets.shape[:1] != columns.shape[:1] or targets.ndim != 2 or not len(columns):
            raise ConfigurationError(
                f"got descriptors {columns.shape} and targets {targets.shape}; expected (N, F) and (N, K)",
                "Give those of the same particles.",
            )
        values = np.asarray(columns, np.float64)
        mean, target_mean = values.mean(0), targets.mean(0)
        centered = values - mean
        return cls(len(values), mean, target_mean, centered.T @ centered, centered.T @ (targets - target_mean))

    def select(self, columns: NDArray[np.int64]) -> "Moments":
        """Return those of some `columns`, by their numbers."""
        return Moments(
            self.number,
            self.mean[columns],
            self.target_mean,
            self.products[np.ix_(columns, columns)],
            self.target_products[columns],
        )

    def weighted(self, weight: float) -> "Moments":
        """Return those of the same particles, each counted `weight` times."""
        return Moments(
            weight * self.number,
            self.mean,
            self.target_mean,
            np.multiply(self.products, weight, dtype=np.float64),
            np.multiply(self.target_products, weight, dtype=np.float64),
        )

    def shifted(
        self, center: FloatArray, factor: FloatArray, target_center: FloatArray, target_factor: FloatArray
    ) -> "Moments":
        """Return those of columns (x - center) * factor and targets (y - target_center) * target_factor."""
        return Moments(
            self.number,
            (self.mean - center) * factor,
            (self.target_mean - target_center) * target_factor,
            self.products * np.outer(factor, factor),
            self.target_products * np.outer(factor, target_factor),
        )

    def repeated(self, factors: Sequence[float]) -> "Moments":
        """Return those of the columns beside one another once for every factor, multiplied by it."""
        by = np.asarray(factors, np.float64)

        def beside(values: FloatArray, factors: FloatArray) -> FloatArray:
            return np.asarray(np.kron(factors, values), np.float64)

        return Moments(
            self.number,
            beside(self.mean, by),
            self.target_mean,
            beside(self.products, np.outer(by, by)),
            beside(self.target_products, by[:, None]),
        )

    def with_(self, other: "Moments") -> "Moments":
        """Return the moments of both sets of particles together (T. F. Chan, G. H. Golub and R. J. LeVeque, 1979)."""
        number = self.number + other.number
        share = self.number * other.number / number
        apart, target_apart = other.mean - self.mean, other.target_mean - self.target_mean
        return Moments(
            number,
            self.mean + apart * other.number / number,
            self.target_mean + target_apart * other.number / number,
            self.products + other.products + share * np.outer(apart, apart),
            self.target_products + other.target_products + share * np.outer(apart, target_apart),
        )


def together(parts: Sequence[Moments]) -> Moments:
    """Return the moments of all `parts`."""
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.with_(part)
    return whole


def standardisation(columns: NDArray[np.floating[Any]], scales: FloatArray | float) -> tuple[FloatArray, FloatArray]:
    """Return the means (F,) of `columns` (N, F) and scales over spreads (F,), 0 for a column that does not vary."""
    mean = columns.mean(0, dtype=np.float64)
    return mean, _factor(mean, columns.std(0, dtype=np.float64), scales)


def _factor(mean: FloatArray, spread: FloatArray, scales: FloatArray | float) -> FloatArray:
    varies = spread > _CONSTANT * np.maximum(np.abs(mean), 1e-30)
    factor: FloatArray = np.where(varies, scales / np.where(varies, spread, 1.0), 0.0)
    return factor


@dataclass(frozen=True, eq=False)
class Ridge:
    """Predictions level + (x - center) . weights, from columns x (F,) to K targets; `penalty` (K,) of each."""

    center: FloatArray
    weights: FloatArray
    level: FloatArray
    penalty: FloatArray

    @classmethod
    def fit(cls, moments: Moments, penalty: FloatArray, scales: FloatArray | None = None) -> "Ridge":
        """Minimise <(y - y_0 - sum_f w_f z_f)^2> + penalty sum_f (w_f / s_f)^2, z the columns standardised, per target.

        `scales` (F,): s_f, by default 1; a column with a small one is used only where it explains much. Means and
        spreads are those of `moments`. Columns that do not vary have no weight.
        """
        spread = np.sqrt(np.diag(moments.products) / moments.number)
        factor = _factor(moments.mean, spread, 1.0 if scales is None else scales)
        matrix = moments.products / moments.number * np.outer(factor, factor)
        right = moments.target_products / moments.number * factor[:, None]
        weights = np.empty_like(right)
        for value in np.unique(penalty):
            columns = penalty == value
            lifted = matrix + value * np.eye(len(matrix))
            solution = cho_solve(cho_factor(lifted, lower=True, overwrite_a=True), right[:, columns])
            weights[:, columns] = solution * factor[:, None]
        return cls(moments.mean, weights, moments.target_mean, np.asarray(penalty, np.float64))

    def predict(self, columns: NDArray[np.floating[Any]]) -> FloatArray:
        """Return the predictions (N, K) for `columns` (N, F)."""
        predicted: FloatArray = columns @ self.weights + (self.level - self.center @ self.weights)
        return predicted


def choose_penalty(
    columns: Sequence[NDArray[np.floating[Any]]],
    targets: Sequence[FloatArray],
    moments: Sequence[Moments],
    scales: FloatArray | None = None,
    penalties: Sequence[float] = PENALTIES,
) -> FloatArray:
    """Return for each target the penalty that explains most of the variance within configurations left out, (K,).

    `columns`, `targets` and `moments` are those of each training configuration; they are left out in `INNER_FOLDS`
    groups, one group at a time. Raises `ConfigurationError` for fewer than two configurations.
    """
    scores = np.zeros((len(penalties), targets[0].shape[1]))
    for left_out, kept in _folds(moments):
        for place, penalty in enumerate(penalties):
            model = Ridge.fit(kept, np.full(scores.shape[1], penalty), scales)
            for index in left_out:
                scores[place] += _explained(model.predict(columns[index]), targets[index])
    best: FloatArray = np.asarray(penalties, np.float64)[scores.argmax(0)]
    return best


def predict_left_out(
    columns: Sequence[NDArray[np.floating[Any]]],
    moments: Sequence[Moments],
    penalty: FloatArray,
    scales: FloatArray | None = None,
) -> list[FloatArray]:
    """Return predictions (N, K) for each configuration by a fit to those of the other groups.

    Arguments, groups and errors are those of `choose_penalty`; `penalty` (K,).
    """
    found: dict[int, FloatArray] = {}
    for left_out, kept in _folds(moments):
        model = Ridge.fit(kept, penalty, scales)
        found |= {index: model.predict(columns[index]) for index in left_out}
    return [found[index] for index in range(len(moments))]


def _folds(moments: Sequence[Moments]) -> Iterator[tuple[range, Moments]]:
    """Yield each group that is left out, and the moments of the others. Raises `ConfigurationError`."""
    number = len(moments)
    if number < 2:
        raise ConfigurationError(
            f"got {number} configurations to choose the regularisation with; expected two or more",
            "Give more, or the penalty.",
        )
    groups = min(INNER_FOLDS, number)
    for group in range(groups):
        left_out = range(group, number, groups)
        yield left_out, together([moments[index] for index in range(number) if index not in left_out])


def fit_ridge(
    columns: Sequence[NDArray[np.floating[Any]]],
    targets: Sequence[FloatArray],
    scales: FloatArray | None = None,
    penalties: Sequence[float] = PENALTIES,
    moments: Sequence[Moments] | None = None,
) -> Ridge:
    """Return the ridge regression of training configurations, `columns` (N, F) and `targets` (N, K) of each.

    The penalty is chosen by `choose_penalty`, for each target. `moments`, one per configuration, save their sums.
    """
    known = [Moments.of(x, y) for x, y in zip(columns, targets, strict=True)] if moments is None else list(moments)
    penalty = (
        np.full(targets[0].shape[1], penalties[0])
        if len(penalties) == 1
        else choose_penalty(columns, targets, known, scales, penalties)
    )
    return Ridge.fit(together(known), penalty, scales)


def _explained(prediction: FloatArray, target: FloatArray) -> FloatArray:
    """Return the share of the targets' variance that is explained, (K,), but for the mean; 0 if they do not vary."""
    rest, whole = (prediction - target).var(0), target.var(0)
    explained: FloatArray = np.where(whole > 0, 1 - np.divide(rest, whole, out=np.ones_like(whole), where=whole > 0), 0)
    return explained
