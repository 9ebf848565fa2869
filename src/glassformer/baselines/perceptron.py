"""A small multilayer perceptron on descriptors of particles, as a baseline beside ridge regression.

The first layer is linear and narrow, so that few combinations of the descriptors are learned, and the others mix
these: the layout of G. Jung, G. Biroli and L. Berthier, Phys. Rev. Lett. 130, 238202 (2023). The squared error plus a
quadratic penalty of the weights is minimised over all particles at once, with L-BFGS.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from glassformer.baselines.ridge import standardisation
from glassformer.core.arrays import FloatArray
from glassformer.core.seeds import generator, named_seed

# Nodes of the linear layer and of the two layers behind it.
WIDTHS = (4, 10, 10)
ITERATIONS = 200
PENALTY = 1e-2


@dataclass(frozen=True, eq=False)
class Perceptron:
    """Weights and offsets of each layer, for columns (x - center) . factor and targets in units of their spread."""

    center: FloatArray
    factor: FloatArray
    target_mean: FloatArray
    target_spread: FloatArray
    layers: tuple[tuple[FloatArray, FloatArray], ...]

    def predict(self, columns: NDArray[np.floating[Any]]) -> FloatArray:
        """Return the predictions (N, K) for `columns` (N, F)."""
        values = ((columns - self.center) * self.factor).astype(np.float32)
        found: FloatArray = _forward(values, self.layers)[-1] * self.target_spread + self.target_mean
        return found


def fit_perceptron(
    columns: Sequence[NDArray[np.floating[Any]]], targets: Sequence[FloatArray], scales: FloatArray
) -> Perceptron:
    """Return the perceptron of training configurations, with `columns` (N, F) and `targets` (N, K) of each.

    `scales` (F,): see `glassformer.baselines.ridge.Ridge.fit`. The penalty is `PENALTY` times the sum of squares of all
    weights, beside half the mean square error of standardised targets. Weights start from a fixed seed.
    """
    x, y = np.concatenate(columns), np.concatenate(targets)
    center, factor = standardisation(x, scales)
    mean, spread = y.mean(0), np.maximum(y.std(0), 1e-30)
    values, wanted = ((x - center) * factor).astype(np.float32), ((y - mean) / spread).astype(np.float32)
    start = _start(values.shape[1], wanted.shape[1])

    def loss(flat: FloatArray) -> tuple[float, FloatArray]:
        return _loss(_layers(flat, start), values, wanted)

    flat = np.concatenate([part.ravel() for layer in start for part in layer])
    found = minimize(loss, flat, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    return Perceptron(center, factor, mean, spread, _layers(found.x, start))


def _start(columns: int, targets: int) -> tuple[tuple[FloatArray, FloatArray], ...]:
    random, sizes = generator(named_seed(0, "perceptron")), (columns, *WIDTHS, targets)
    return tuple((random.normal(0, one**-0.5, (one, other)), np.zeros(other)) for one, other in pairwise(sizes))


def _layers(
    flat: FloatArray, like: Sequence[tuple[FloatArray, FloatArray]]
) -> tuple[tuple[FloatArray, FloatArray], ...]:
    """Return the weights and offsets in `flat`, in the shapes of `like`."""
    parts = np.split(flat, np.cumsum([part.size for layer in like for part in layer])[:-1])
    return tuple(
        (parts[2 * place].reshape(weights.shape), parts[2 * place + 1]) for place, (weights, _) in enumerate(like)
    )


def _forward(values: NDArray[np.float32], layers: Sequence[tuple[FloatArray, FloatArray]]) -> list[NDArray[np.float32]]:
    """Return the outputs of all layers, the columns first; those between the first and the last pass through ELU."""
    outputs = [values]
    for place, (weights, offset) in enumerate(layers):
        found = outputs[-1] @ weights.astype(np.float32) + offset.astype(np.float32)
        if 0 < place < len(layers) - 1:
            found = np.where(found > 0, found, np.expm1(np.minimum(found, 0)))
        outputs.append(found)
    return outputs


def _loss(
    layers: Sequence[tuple[FloatArray, FloatArray]], values: NDArray[np.float32], wanted: NDArray[np.float32]
) -> tuple[float, FloatArray]:
    """Return half the mean square error with the penalty, and its gradient in the order of `_layers`."""
    outputs = _forward(values, layers)
    rest = outputs[-1] - wanted
    slope: NDArray[np.float32] = rest / np.float32(rest.size)
    gradients: list[FloatArray] = []
    for place in reversed(range(len(layers))):
        weights, _ = layers[place]
        if 0 < place < len(layers) - 1:
            # The derivative of ELU: 1 above 0, and exp(x) = ELU(x) + 1 below.
            slope = slope * np.minimum(outputs[place + 1] + 1, 1)
        by_weights = (outputs[place].T @ slope).astype(np.float64) + 2 * PENALTY * weights
        gradients = [by_weights.ravel(), slope.sum(0).astype(np.float64), *gradients]
        slope = slope @ weights.T.astype(np.float32)
    penalty = PENALTY * sum(float((weights**2).sum()) for weights, _ in layers)
    return 0.5 * float((rest.astype(np.float64) ** 2).mean()) + penalty, np.concatenate(gradients)
