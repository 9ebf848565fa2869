"""Softness: the distance of a particle's surroundings from the plane that separates mobile from immobile particles.

A linear support vector machine tells the most from the least mobile particles of training by their descriptors, and a
particle's softness is its signed distance from the plane. E. D. Cubuk et al., Phys. Rev. Lett. 114, 108001 (2015);
S. S. Schoenholz et al., Nat. Phys. 12, 469 (2016). Propensities are the regression on softness.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from glassformer.baselines.ridge import standardisation
from glassformer.core.arrays import FloatArray

# The share of the particles at either end that the plane is to separate.
EXTREME = 0.1
PENALTY = 0.03
ITERATIONS = 200


@dataclass(frozen=True, eq=False)
class Softness:
    """Planes (x - center) . normals + offset = 0 for K targets, and the regression of the targets on the distance."""

    center: FloatArray
    normals: FloatArray
    offset: FloatArray
    slope: FloatArray
    level: FloatArray

    def softness(self, columns: NDArray[np.floating[Any]]) -> FloatArray:
        """Return the softness (N, K) for `columns` (N, F), positive on the side of the mobile particles."""
        found: FloatArray = (columns - self.center) @ self.normals + self.offset
        return found

    def predict(self, columns: NDArray[np.floating[Any]]) -> FloatArray:
        """Return the targets (N, K) that go with the softness on average."""
        return self.softness(columns) * self.slope + self.level


def fit_softness(
    columns: Sequence[NDArray[np.floating[Any]]], targets: Sequence[FloatArray], scales: FloatArray
) -> Softness:
    """Return the planes of training configurations, with `columns` (N, F) and `targets` (N, K) of each.

    For each target w and b minimise <max(0, 1 - y (w . z + b))^2> / 2 + `PENALTY` |w|^2 over the `EXTREME` most
    (y = 1) and least (y = -1) mobile particles, z the standardised columns times `scales`.
    """
    x, y = np.concatenate(columns), np.concatenate(targets)
    center, factor = standardisation(x, scales)
    values = ((x - center) * factor).astype(np.float32)
    planes = [_plane(values, column) for column in y.T]
    normals, offset = np.stack([w for w, _ in planes], 1), np.array([b for _, b in planes])
    soft = values @ normals + offset
    fits = [np.polyfit(one, column, 1) for one, column in zip(soft.T, y.T, strict=True)]
    return Softness(
        center, normals * factor[:, None], offset, np.array([a for a, _ in fits]), np.array([b for _, b in fits])
    )


def _plane(values: NDArray[np.float32], target: FloatArray) -> tuple[FloatArray, float]:
    low, high = np.quantile(target, [EXTREME, 1 - EXTREME])
    chosen = (target <= low) | (target >= high)
    z, side = values[chosen], np.where(target[chosen] >= high, 1.0, -1.0)

    def loss(flat: FloatArray) -> tuple[float, FloatArray]:
        weights, offset = flat[:-1], flat[-1]
        short = np.maximum(1 - side * (z @ weights + offset), 0)
        slope = -short * side / len(side)
        gradient = np.append(slope @ z + 2 * PENALTY * weights, slope.sum())
        return float(0.5 * (short**2).mean() + PENALTY * (weights**2).sum()), gradient

    found = minimize(
        loss, np.zeros(values.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS}
    ).x
    return found[:-1], float(found[-1])
