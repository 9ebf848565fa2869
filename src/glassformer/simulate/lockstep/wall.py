"""A soft wall around the cage of every particle, the same for all draws.

| symbol | variable | meaning |
|---|---|---|
| u_i | `u` | displacement of particle i from its reference position, a vector over the draws |
| c_i | `centers` | displacement at the center of its cage, a scalar triple |
| R, k | `radius`, `stiffness` | V(d) = k (d - R)^2 / 2 for d = abs(u_i - c_i) > R, else 0 |
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError
from glassformer.simulate.lockstep.simd import broadcast, fetch, load, maximum, square_root, store, width

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


@njit(nogil=True, error_model="numpy")
def push_back(u, f, centers, radius, stiffness, energy):
    """Add the wall's force -k (d - R) (u_i - c_i) / d to `f`; with `energy` (N * lanes,) not None, write V(d) there.

    `centers` is flat, `[particle][xyz]`.
    """
    lanes, zero, half = width(u), broadcast(u.dtype.type(0)), u.dtype.type(0.5)
    at_wall = broadcast(radius)
    for i in range(centers.shape[0] // 3):
        a = i * 3 * lanes
        dx = load(u, a) - fetch(centers, 3 * i)
        dy = load(u, a + lanes) - fetch(centers, 3 * i + 1)
        dz = load(u, a + 2 * lanes) - fetch(centers, 3 * i + 2)
        d = square_root(dx * dx + dy * dy + dz * dz)
        beyond = maximum(d - radius, zero)
        # Nothing is divided by the distance from a center that a particle sits on.
        push = beyond * stiffness / maximum(d, at_wall)
        store(f, a, load(f, a) - push * dx)
        store(f, a + lanes, load(f, a + lanes) - push * dy)
        store(f, a + 2 * lanes, load(f, a + 2 * lanes) - push * dz)
        if energy is not None:
            store(energy, i * lanes, beyond * beyond * (half * stiffness))
