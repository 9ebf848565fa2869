"""A soft wall around the cage of every particle, the same for all draws: `kernel.push_back` has the equation."""

from dataclasses import dataclass

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError

# Force constant of the wall in epsilon_AA / sigma_AA^2. At T = 0.44 particles enter it by 0.02.
STIFFNESS = 1000.0


@dataclass(frozen=True, eq=False)
class Wall:
    """Spheres of `radius` around `centers` (N, 3), displacements from the reference positions; `stiffness` k.

    Raises `ConfigurationError` unless the centers are finite and the numbers positive.
    """

    centers: FloatArray
    radius: float
    stiffness: float = STIFFNESS

    def __post_init__(self) -> None:
        if not (self.radius > 0 and self.stiffness > 0 and np.isfinite([self.radius, self.stiffness]).all()):
            raise ConfigurationError(
                f"got a wall of radius {self.radius:g} and stiffness {self.stiffness:g}; expected positive numbers"
            )
        if self.centers.ndim != 2 or self.centers.shape[1] != 3 or not np.isfinite(self.centers).all():
            raise ConfigurationError(f"got centers of cages of shape {self.centers.shape}; expected (N, 3), finite")
