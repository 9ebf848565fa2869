"""Energy and forces of all pairs, fast: a compiled loop over a Verlet list. `physics.pair` is the plain reference.

L. Verlet, Phys. Rev. 159, 98 (1967). The force on i is
F_ij = (a r^-12 - b r^-6 - c_1 r - 2 c_2 r^2 - 4 c_4 r^4) r_ij / r^2, with the terms of
`glassformer.physics.mixture.PairTerms`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.compiled import cached_njit
from glassformer.core.threads import Team, raise_if_stopped, stop_of_thread
from glassformer.physics.box import wrap
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture
from glassformer.physics.neighbors import copies_around, neighbor_rows
from glassformer.physics.pair import check_box

# Widening of the list, between these: it holds until a particle has moved by half of it.
NARROWEST, WIDEST = 0.1, 0.4
# A list takes as long as so many evaluations with one that is wider by 1: from timings at N = 4096.
LIST_COST = 20
# After every so many evaluations a list that is much wider than needed is replaced.
REVIEW = 200
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


class PairForces:
    """The forces between the particles of `configuration`, a `mixture`, at its positions and wherever they move.

    `evaluations` counts the calls. The numbers do not depend on `threads`: every particle sums its own neighbors.
    Raises `ConfigurationError` if the box is shorter than two cutoffs.
    """

    def __init__(self, configuration: Configuration, mixture: Mixture, threads: int = 1) -> None:
        check_box(configuration, mixture)
        self.evaluations = 0
        self._team = Team(threads)
        self._box, self._dimension = configuration.box, configuration.dimension
        self._species = configuration.species.astype(np.int64)
        terms, self._cutoff = mixture.pair_terms, mixture.cutoff
        self._table = np.stack([terms.a, terms.b, terms.cutoff**2, terms.shift], -1)
        # Compiled without these terms where there are none.
        self._polynomial = None if mixture.plain else np.stack([terms.linear, terms.square, terms.fourth], -1)
        self._list(configuration.positions, WIDEST)

    def __call__(self, positions: FloatArray) -> Field:
        """Return what acts at `positions` (N, 3), in whatever periodic images; NaN where they are not finite."""
        if not self._begin(positions):
            return Field(np.nan, np.full_like(positions, np.nan), np.nan)
        force, (energy, stiffness) = np.empty_like(positions), np.empty((2, len(positions)))
        self._run(positions, force, energy, stiffness, None)
        return Field(float(energy.sum()) / 2, force, 2 * float(stiffness.max()))

    def advance(
        self,
        before: FloatArray,
        now: FloatArray,
        start: FloatArray,
        start_force: FloatArray,
        factors: tuple[float, float, float, float, float],
    ) -> None:
        """Overwrite `before` with a sum of `start`, `start_force`, `now`, `before`, and the force at `now`, all (N, 3).

        `factors` are theirs, in this order. It is a stage of `glassformer.physics.inherent` in one loop, and counts as
        one evaluation. NaN where `now` is not finite.
        """
        if self._begin(now):
            self._run(now, before, None, None, (start, start_force, np.array(factors)))
        else:
            before[:] = np.nan

    def _begin(self, positions: FloatArray) -> bool:
        """Count an evaluation and see to the list; return whether forces can be computed at `positions`."""
        raise_if_stopped(stop_of_thread())
        self.evaluations += 1
        moved = np.sqrt(_farthest2(positions, self._listed_at))
        if not moved < ASTRAY:
            return False
        # The width of least cost, if particles go on as fast: narrow lists are read faster but made more often.
        used = self.evaluations - self._listed_after
        width = min(max(float(np.sqrt(LIST_COST * 2 * moved / used)), NARROWEST), WIDEST)
        if 2 * moved > self._skin or (used % REVIEW == 0 and self._skin > 1.5 * width):
            self._list(positions, width)
        return True

    def _run(self, positions: FloatArray, out: FloatArray, energy: Any, stiffness: Any, stage: Any) -> None:
        copies = np.empty((len(self._source), 3))
        _shift(positions, self._source, self._shift, copies)
        listed = self._rows, self._neighbors, self._species, self._table, self._polynomial
        start, start_force, factors = stage or (None, None, None)
        arguments = copies, *listed, energy, stiffness, positions, start, start_force, factors, out
        self._team.run(lambda first, last: _sum_pairs(first, last, *arguments), len(positions))

    def _list(self, positions: FloatArray, skin: float) -> None:
        """List every pair closer than its cutoff plus `skin`, for both its ends: by particle, then by species."""
        self._listed_at, self._listed_after, self._skin = positions.copy(), self.evaluations, skin
        margin, inside = float(self._cutoff.max()) + skin, wrap(positions, self._box)
        # With copies of what is near a face, no image needs to be sought for a pair.
        self._source, shift = copies_around(inside, self._box, margin, self._dimension)
        self._shift = shift + (inside - positions)[self._source]
        # A box around all of them, so wide that its own images are out of reach.
        everyone, species = inside[self._source] + shift + margin, self._species[self._source]
        self._rows, neighbors = neighbor_rows(
            everyone, species, self._box + 3.5 * margin, self._cutoff + skin, self._team, centers=len(positions)
        )
        # Loops are faster with indices that cannot be negative.
        self._neighbors = neighbors.view(np.uint32)


@cached_njit(nogil=True, error_model="numpy")
def _farthest2(positions: FloatArray, others: FloatArray) -> float:
    """Return the square of the longest way from any of `others` (N, 3) to its place in `positions`, or NaN."""
    most = 0.0
    for i in range(len(positions)):
        moved2 = 0.0
        for axis in range(3):
            moved2 += (positions[i, axis] - others[i, axis]) ** 2
        if not moved2 <= most:
            most = moved2
        if most != most:
            return most
    return most


@cached_njit(nogil=True, error_model="numpy")
def _shift(positions: FloatArray, source: Any, shift: FloatArray, shifted: Any) -> None:
    """Write the places of the particles and their copies to `shifted` (M, 3)."""
    for k in range(len(source)):
        for axis in range(3):
            shifted[k, axis] = positions[source[k], axis] + shift[k, axis]


# Sums may be reordered, so that they fit into vectors; NaN stays NaN.
@cached_njit(nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "arcp", "nsz"})
def _sum_pairs(
    first: int,
    last: int,
    copies: FloatArray,
    rows: Any,
    neighbors: Any,
    species: Any,
    table: FloatArray,
    polynomial: Any,
    energy: Any,
    stiffness: Any,
    positions: FloatArray,
    start: Any,
    start_force: Any,
    factors: Any,
    out: Any,
) -> None:
    """Write the forces on particles `first` to `last` - 1 to `out`; energies and stiffness, too, if these are given.

    With `factors`, `out` becomes the sum that `PairForces.advance` describes.

    u.H.u is the sum over pairs of (u_i - u_j).k_ij.(u_i - u_j) <= 2 u_i.k_ij.u_i + 2 u_j.k_ij.u_j, if negative parts of
    k_ij are left out: no eigenvalue exceeds twice the greatest of any K_i = sum_j k_ij. Of a 3 x 3 matrix with mean
    diagonal m, that is at most m + |K - m|_F sqrt(2/3) (H. Wolkowicz and G. P. H. Styan, Linear Algebra Appl. 29, 471
    (1980)).
    """
    kinds = table.shape[0]
    for i in range(first, last):
        x, y, z = copies[i, 0], copies[i, 1], copies[i, 2]
        fx, fy, fz, potential = 0.0, 0.0, 0.0, 0.0
        xx, yy, zz, xy, xz, yz, sideways = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for s in range(kinds):
            a, b, cutoff2, shift = table[species[i], s]
            for entry in range(rows[kinds * i + s], rows[kinds * i + s + 1]):
                j = neighbors[entry]
                dx, dy, dz = x - copies[j, 0], y - copies[j, 1], z - copies[j, 2]
                r2 = dx * dx + dy * dy + dz * dz
                inside = r2 < cutoff2
                inverse2 = 1 / r2
                inverse6 = inverse2 * inverse2 * inverse2
                push = inverse6 * (a * inverse6 - b) * inverse2 if inside else 0.0
                if polynomial is not None:
                    linear, square, fourth = polynomial[species[i], s]
                    r = np.sqrt(r2)
                    push -= linear / r + 2 * square + 4 * fourth * r2 if inside else 0.0
                fx, fy, fz = fx + push * dx, fy + push * dy, fz + push * dz
                if energy is not None:
                    potential += inverse6 * (a / 12 * inverse6 - b / 6) - shift if inside else 0.0
                    # V'' along the pair, over r^2; V' / r = -push across it.
                    along = max(inverse6 * (13 * a * inverse6 - 7 * b) * inverse2 * inverse2 if inside else 0.0, 0.0)
                    if polynomial is not None:
                        potential += linear * r + (square + fourth * r2) * r2 if inside else 0.0
                        bend = inverse6 * (13 * a * inverse6 - 7 * b) * inverse2 + 2 * square + 12 * fourth * r2
                        along = max(bend * inverse2 if inside else 0.0, 0.0)
                    sideways += max(-push, 0.0)
                    xx, yy, zz = xx + along * dx * dx, yy + along * dy * dy, zz + along * dz * dz
                    xy, xz, yz = xy + along * dx * dy, xz + along * dx * dz, yz + along * dy * dz
        if energy is not None:
            energy[i] = potential
            mean = (xx + yy + zz) / 3
            spread = (xx - mean) ** 2 + (yy - mean) ** 2 + (zz - mean) ** 2 + 2 * (xy * xy + xz * xz + yz * yz)
            stiffness[i] = mean + np.sqrt(spread * 2 / 3) + sideways
        if factors is not None:
            fx = (
                factors[4] * fx + factors[3] * out[i, 0] + factors[2] * positions[i, 0] + factors[1] * start_force[i, 0]
            )
            fy = (
                factors[4] * fy + factors[3] * out[i, 1] + factors[2] * positions[i, 1] + factors[1] * start_force[i, 1]
            )
            fz = (
                factors[4] * fz + factors[3] * out[i, 2] + factors[2] * positions[i, 2] + factors[1] * start_force[i, 2]
            )
            fx, fy, fz = fx + factors[0] * start[i, 0], fy + factors[0] * start[i, 1], fz + factors[0] * start[i, 2]
        out[i, 0], out[i, 1], out[i, 2] = fx, fy, fz
