"""Energy and forces of all pairs, fast: a compiled loop over a Verlet list. `physics.pair` is the plain reference.

L. Verlet, Phys. Rev. 159, 98 (1967). The force on i is
F_ij = (a r^-12 - b r^-6 - c_1 r - 2 c_2 r^2 - 4 c_4 r^4) r_ij / r^2, with the terms of
`glassformer.physics.mixture.PairTerms`.
"""

import threading
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from scipy.spatial import cKDTree

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import EngineError
from glassformer.physics.box import minimum_image, wrap
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture
from glassformer.physics.pair import check_box

# Widening of the list: it holds until a particle has moved by half of this.
SKIN = 0.4
# Who asks for forces that far from the last place made a step too long.
ASTRAY = 1e6


@dataclass(frozen=True, eq=False)
class Field:
    """Potential energy U of the whole system, force (N, 3), and a bound on the eigenvalues of the Hessian of U."""

    energy: float
    force: FloatArray
    stiffness: float

    @property
    def greatest(self) -> float:
        """Magnitude of the greatest force on a particle."""
        return float(np.sqrt((self.force**2).sum(1).max()))


_thread = threading.local()


def stop_thread_on(stop: threading.Event) -> None:
    """Let every evaluation of forces in this thread raise `EngineError` once another thread has set `stop`.

    A minimisation may take minutes; Ctrl-C should not have to wait for it.
    """
    _thread.stop = stop


class PairForces:
    """The forces between the particles of `configuration`, a `mixture`, at its positions and wherever they move.

    `evaluations` counts the calls. Raises `ConfigurationError` if the box is shorter than two cutoffs.
    """

    def __init__(self, configuration: Configuration, mixture: Mixture) -> None:
        check_box(configuration, mixture)
        self.evaluations = 0
        self._box, self._species = configuration.box, configuration.species.astype(np.int64)
        terms, self._reach, self._kinds = mixture.pair_terms, mixture.cutoff + SKIN, mixture.kinds
        self._table = np.stack([terms.a, terms.b, terms.cutoff**2, terms.shift], -1)
        # Compiled without these terms where there are none.
        self._polynomial = None if mixture.plain else np.stack([terms.linear, terms.square, terms.fourth], -1)
        self._list(configuration.positions)

    def __call__(self, positions: FloatArray) -> Field:
        """Return what acts at `positions` (N, 3), in whatever periodic images; NaN where they are not finite."""
        stop: threading.Event | None = getattr(_thread, "stop", None)
        if stop is not None and stop.is_set():
            raise EngineError("stopped", "Run the same command again.")
        self.evaluations += 1
        moved2 = float(((positions - self._listed_at) ** 2).sum(1).max())
        if not moved2 < ASTRAY**2:
            return Field(np.nan, np.full_like(positions, np.nan), np.nan)
        if moved2 > (SKIN / 2) ** 2:
            self._list(positions)
        force = np.empty_like(positions)
        energy, stiffness = _compiled(
            positions, self._rows, self._neighbors, self._species, self._box, self._table, self._polynomial, force
        )
        return Field(float(energy), force, float(stiffness))

    def _list(self, positions: FloatArray) -> None:
        """List every pair closer than its cutoff plus the skin, for both its ends: by particle, then by species."""
        species, inside = self._species, wrap(positions, self._box)
        pairs = cKDTree(inside, boxsize=self._box).query_pairs(self._reach.max(), output_type="ndarray")
        first, second = pairs.T
        separation = minimum_image(inside[first] - inside[second], self._box)
        near = (separation**2).sum(1) < self._reach[species[first], species[second]] ** 2
        first, second = np.concatenate([pairs[near], pairs[near, ::-1]]).T
        row = self._kinds * first + species[second]
        self._neighbors = second[np.argsort(row * len(species) + second)].astype(np.int32)
        self._rows = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=self._kinds * len(species)))])
        self._listed_at = positions.copy()


def _sum_pairs(
    positions: FloatArray,
    rows: Any,
    neighbors: Any,
    species: Any,
    box: FloatArray,
    table: FloatArray,
    polynomial: Any,
    force: Any,
) -> tuple[float, float]:
    """Write the forces to `force`; return U and the bound on the Hessian's eigenvalues.

    u.H.u is the sum over pairs of (u_i - u_j).k_ij.(u_i - u_j) <= 2 u_i.k_ij.u_i + 2 u_j.k_ij.u_j, if negative parts of
    k_ij are left out: no eigenvalue exceeds twice the greatest of any K_i = sum_j k_ij. Of a 3 x 3 matrix with mean
    diagonal m, that is at most m + |K - m|_F sqrt(2/3) (H. Wolkowicz and G. P. H. Styan, Linear Algebra Appl. 29, 471
    (1980)).
    """
    energy, stiffness, kinds = 0.0, 0.0, table.shape[0]
    inverse_x, inverse_y, inverse_z = 1 / box[0], 1 / box[1], 1 / box[2]
    for i in range(len(species)):
        x, y, z = positions[i]
        fx, fy, fz = 0.0, 0.0, 0.0
        xx, yy, zz, xy, xz, yz, sideways = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for s in range(kinds):
            a, b, cutoff2, shift = table[species[i], s]
            for entry in range(rows[kinds * i + s], rows[kinds * i + s + 1]):
                j = neighbors[entry]
                dx, dy, dz = x - positions[j, 0], y - positions[j, 1], z - positions[j, 2]
                dx -= box[0] * np.rint(dx * inverse_x)
                dy -= box[1] * np.rint(dy * inverse_y)
                dz -= box[2] * np.rint(dz * inverse_z)
                r2 = dx * dx + dy * dy + dz * dz
                inside = r2 < cutoff2
                inverse2 = 1 / r2
                inverse6 = inverse2 * inverse2 * inverse2
                energy += inverse6 * (a / 12 * inverse6 - b / 6) - shift if inside else 0.0
                push = inverse6 * (a * inverse6 - b) * inverse2 if inside else 0.0
                if polynomial is not None:
                    linear, square, fourth = polynomial[species[i], s]
                    r = np.sqrt(r2)
                    energy += linear * r + (square + fourth * r2) * r2 if inside else 0.0
                    push -= linear / r + 2 * square + 4 * fourth * r2 if inside else 0.0
                fx, fy, fz = fx + push * dx, fy + push * dy, fz + push * dz
                # V'' along the pair, over r^2; V' / r = -push across it.
                along = max(inverse6 * (13 * a * inverse6 - 7 * b) * inverse2 * inverse2 if inside else 0.0, 0.0)
                if polynomial is not None:
                    bend = inverse6 * (13 * a * inverse6 - 7 * b) * inverse2 + 2 * square + 12 * fourth * r2
                    along = max(bend * inverse2 if inside else 0.0, 0.0)
                sideways += max(-push, 0.0)
                xx, yy, zz = xx + along * dx * dx, yy + along * dy * dy, zz + along * dz * dz
                xy, xz, yz = xy + along * dx * dy, xz + along * dx * dz, yz + along * dy * dz
        force[i, 0], force[i, 1], force[i, 2] = fx, fy, fz
        mean = (xx + yy + zz) / 3
        spread = (xx - mean) ** 2 + (yy - mean) ** 2 + (zz - mean) ** 2 + 2 * (xy * xy + xz * xz + yz * yz)
        stiffness = max(stiffness, mean + np.sqrt(spread * 2 / 3) + sideways)
    return energy / 2, 2 * stiffness


# Sums may be reordered, so that they fit into vectors; NaN stays NaN.
_compiled: Any = numba.njit(nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "arcp", "nsz"})(
    _sum_pairs
)
