"""Forces and time steps of all draws at once.

| symbol | variable | meaning |
|---|---|---|
| u_i | `u` | displacement of particle i from its reference position, a vector over the draws |
| d0_ij | `separation` | reference position of i less that of j, nearest image: one scalar triple for all draws |
| d_ij | `dx, dy, dz` | d0_ij + u_i - u_j, separation of the pair in every draw |
| w_i | `w` | velocity of i half a step before the present |
| F_i | `f` | force on i |

Arrays of particles lie in memory as `[particle][xyz][draw]`: component `axis` of i starts at (3 i + axis) lanes.
Pairs, with the terms of `glassformer.physics.mixture.PairTerms`, for r < r_c:
V = a r^-12 / 12 - b r^-6 / 6 - shift + c_1 r + c_2 r^2 + c_4 r^4 and
F_ij = (a r^-12 - b r^-6 - c_1 r - 2 c_2 r^2 - 4 c_4 r^4) r^-2 d_ij. Where c_1, c_2 and c_4 are all zero, their part
is not compiled.
"""

from typing import Any

import numpy as np

from glassformer.core.compiled import cached_njit
from glassformer.physics.mixture import Mixture
from glassformer.simulate.lockstep.simd import (
    broadcast,
    fetch,
    horizontal_maximum,
    load,
    maximum,
    square_root,
    store,
    which_less,
    width,
    zero_unless_less,
)


def pair_table(mixture: Mixture, dtype: Any) -> np.ndarray:
    """Return a, b, r_c^2 and the energy shift of every species pair, (S, S, 4)."""
    terms = mixture.pair_terms
    return np.stack([terms.a, terms.b, terms.cutoff**2, terms.shift], -1).astype(dtype)


def polynomial_table(mixture: Mixture, dtype: Any) -> np.ndarray | None:
    """Return c_1, c_2 and c_4 of every species pair, (S, S, 3), or None where all are zero."""
    terms = mixture.pair_terms
    return None if mixture.plain else np.stack([terms.linear, terms.square, terms.fourth], -1).astype(dtype)


@cached_njit(nogil=True, error_model="numpy")
def forces(u, f, pairs, species, table, polynomial, energy, virial):
    """Add the pair forces to `f`; with `energy` and `virial` not None, write the pair sums of each particle there.

    `pairs` is a `PairList`: every pair is there once. `energy`, `virial` (N * lanes,): the pairs listed with i.
    """
    lanes, rows, neighbors, separation = width(u), pairs.rows, pairs.neighbors, pairs.separation
    one, zero = u.dtype.type(1), u.dtype.type(0)
    twelfth, sixth, four = u.dtype.type(1 / 12), u.dtype.type(1 / 6), u.dtype.type(4)
    kinds = table.shape[0]
    for i in range(species.shape[0]):
        a = i * 3 * lanes
        xi, yi, zi = load(u, a), load(u, a + lanes), load(u, a + 2 * lanes)
        fx, fy, fz = broadcast(u, zero), broadcast(u, zero), broadcast(u, zero)
        energy_i, virial_i = broadcast(u, zero), broadcast(u, zero)
        for s in range(kinds):
            repulsion, attraction, cutoff2, shift = table[species[i], s]
            for k in range(rows[i * kinds + s, 0], rows[i * kinds + s, 1]):
                b = fetch(neighbors, k) * 3 * lanes
                dx = xi - load(u, b) + fetch(separation, 3 * k)
                dy = yi - load(u, b + lanes) + fetch(separation, 3 * k + 1)
                dz = zi - load(u, b + 2 * lanes) + fetch(separation, 3 * k + 2)
                r2 = dx * dx + dy * dy + dz * dz
                inverse2 = one / r2
                inverse6 = inverse2 * inverse2 * inverse2
                push = inverse2 * inverse6 * (inverse6 * repulsion - attraction)
                if polynomial is not None:
                    linear, square, fourth = polynomial[species[i], s]
                    r = square_root(r2)
                    push = push - (r * inverse2 * linear + (square + square) + r2 * (four * fourth))
                g = zero_unless_less(push, r2, cutoff2)
                gx, gy, gz = g * dx, g * dy, g * dz
                fx, fy, fz = fx + gx, fy + gy, fz + gz
                store(f, b, load(f, b) - gx)
                store(f, b + lanes, load(f, b + lanes) - gy)
                store(f, b + 2 * lanes, load(f, b + 2 * lanes) - gz)
                if energy is not None:
                    potential = inverse6 * (inverse6 * (repulsion * twelfth) - attraction * sixth) - shift
                    if polynomial is not None:
                        potential = potential + (r * linear + (r2 * fourth + square) * r2)
                    energy_i = energy_i + zero_unless_less(potential, r2, cutoff2)
                    virial_i = virial_i + g * r2
        store(f, a, load(f, a) + fx)
        store(f, a + lanes, load(f, a + lanes) + fy)
        store(f, a + 2 * lanes, load(f, a + 2 * lanes) + fz)
        if energy is not None:
            store(energy, i * lanes, energy_i)
            store(virial, i * lanes, virial_i)


@cached_njit(nogil=True, error_model="numpy")
def leap(u, low, w, f, kick, time_step):
    """Leap w and u over one step, empty `f` for the next forces, and return the greatest speed of any draw.

    Infinity if any velocity is not finite. `kick` (N,) is dt / m_i, or None where all masses are 1.

    w(t + dt/2) = w(t - dt/2) + F(t) dt / m and u(t + dt) = u(t) + w(t + dt/2) dt: velocity Verlet, its two half kicks
    taken together (W. C. Swope et al., J. Chem. Phys. 76, 637 (1982)). `low` holds what rounding cut off u (W.
    Kahan, Commun. ACM 8, 40 (1965)), so that u + low accumulates to about twice u's digits.
    """
    lanes, zero = width(u), u.dtype.type(0)
    fastest, total = broadcast(u, zero), broadcast(u, zero)
    for i in range(u.size // (3 * lanes)):
        speed2 = broadcast(u, zero)
        push = time_step if kick is None else kick[i]
        for axis in range(3):
            k = (3 * i + axis) * lanes
            velocity = load(w, k) + load(f, k) * push
            store(w, k, velocity)
            store(f, k, broadcast(u, zero))
            before = load(u, k)
            step = velocity * time_step + load(low, k)
            after = before + step
            store(low, k, step - (after - before))
            store(u, k, after)
            speed2 = speed2 + velocity * velocity
        fastest, total = maximum(fastest, speed2), total + speed2
    # Comparisons drop a NaN; a sum keeps it.
    if which_less(total, u.dtype.type(np.inf)) != (1 << lanes) - 1:
        return np.inf
    return np.float64(np.sqrt(horizontal_maximum(fastest)))


@cached_njit(nogil=True, error_model="numpy")
def push_back(u, f, centers, radius, stiffness, energy):
    """Add the force of walls around cages to `f`; with `energy` (N * lanes,) not None, write their energy there.

    V(d) = k (d - R)^2 / 2 for d = |u_i - c_i| > R, else 0, with k = `stiffness` and R = `radius`. `centers` c, the same
    for all draws, is flat: `[particle][xyz]`.
    """
    lanes, zero, half = width(u), broadcast(u, u.dtype.type(0)), u.dtype.type(0.5)
    at_wall = broadcast(u, radius)
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
