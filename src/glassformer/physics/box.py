"""Periodic boxes: wrapping and minimum images, for orthorhombic boxes with edges (Lx, Ly, Lz)."""

import numpy as np

from glassformer.core.arrays import FloatArray

# Relative rounding of an edge: (150 / 1.2)^(1/3) is 4.999999999999999.
EDGE_ROUNDING = 1e-12


def holds(edge: float, length: float) -> bool:
    """Tell whether a box edge is at least `length`, but for rounding."""
    return edge >= length * (1 - EDGE_ROUNDING)


def wrap(positions: FloatArray, box: FloatArray) -> FloatArray:
    """Return `positions` (N, 3) moved by whole periods into [0, L), whatever rounding does."""
    wrapped = positions - box * np.floor(positions / box)
    # The product rounds: a coordinate that is a whole number of periods can come out just below zero.
    wrapped = np.where(wrapped < 0, wrapped + box, wrapped)
    # A coordinate just below zero rounds to L itself, which is outside [0, L).
    return np.where(wrapped >= box, 0.0, wrapped)


def minimum_image(separations: FloatArray, box: FloatArray) -> FloatArray:
    """Return the shortest periodic image of `separations` (..., 3): r - L rint(r / L)."""
    return separations - box * np.rint(separations / box)


def number_density(particles: int, box: FloatArray) -> float:
    """Return rho = N / (Lx Ly Lz)."""
    return float(particles / np.prod(box))
