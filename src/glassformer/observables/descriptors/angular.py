"""Bond-order parameters in shells: how the neighbors at each distance are arranged around a particle."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.compiled import cached_njit
from glassformer.core.threads import in_blocks
from glassformer.observables.descriptors.neighbors import Neighbors
from glassformer.observables.descriptors.radial import TAIL, Shells
from glassformer.observables.descriptors.table import Descriptors

# Where fewer neighbors than this lie in a shell, its order is zero: the ratio would be one of rounded tails.
LEAST_WEIGHT = 1e-3


def default_angular_shells() -> Shells:
    """Return the shells of Boattini et al. (2021): centers 1.0, 1.1, ..., 2.5, all of width 0.1."""
    return Shells(np.array([1.0 + 0.1 * number for number in range(16)]), np.full(16, 0.1))


def bond_orders(
    neighbors: Neighbors,
    shells: Shells,
    degrees: Sequence[int] = tuple(range(1, 13)),
    chosen: Sequence[int] | None = None,
    label: str = "all",
    threads: int = 1,
) -> Descriptors:
    """Return q_l(i, r_k) of degrees l in shells.

    q_lm = sum_j w_ij Y_lm(r_ij) / sum_j w_ij with w_ij = exp(-(r_ij - r_k)^2 / (2 delta_k^2)), and
    q_l = [4 pi / (2 l + 1) sum_m |q_lm|^2]^(1/2). In two dimensions q_l = |sum_j w_ij exp(i l theta_ij)| / sum_j w_ij.
    Zero where sum_j w_ij < 0.001. Only neighbors of the species `chosen` count, by default all; the columns' names hold
    `label`. E. Boattini, F. Smallenburg and L. Filion, Phys. Rev. Lett. 127, 088007 (2021), equation 3; P. J.
    Steinhardt, D. R. Nelson and M. Ronchetti, Phys. Rev. B 28, 784 (1983).
    """
    neighbors.check_reach(shells.reach, "the bond orders")
    counted = np.ones(256, np.bool_)
    if chosen is not None:
        counted[:] = False
        counted[list(chosen)] = True
    wanted = np.array(degrees, np.int64)
    values = np.zeros((neighbors.particles, len(shells.centers), len(wanted)), np.float32)
    listed = _Listed(neighbors.rows, neighbors.indices, neighbors.positions, neighbors.species, neighbors.box, counted)
    wide = _Wide(shells.centers, shells.widths)
    if neighbors.dimension == 2:
        in_blocks(lambda a, b: _flat(a, b, listed, wide, wanted, values), neighbors.particles, threads)
    else:
        factors = _recursion(int(wanted.max()))
        in_blocks(lambda a, b: _solid(a, b, listed, wide, wanted, factors, values), neighbors.particles, threads)
    names = tuple(f"bond_order.{label}.{degree}.{center:.3f}" for center in shells.centers for degree in degrees)
    return Descriptors(names, values.reshape(neighbors.particles, -1))


class _Listed(NamedTuple):
    """Arrays of `Neighbors`, and which species count, (256,)."""

    rows: Any
    indices: Any
    positions: Any
    species: Any
    box: Any
    counted: Any


class _Wide(NamedTuple):
    """Arrays of `Shells`."""

    centers: Any
    widths: Any


class _Recursion(NamedTuple):
    """Factors of p_lm = a_lm (z p_(l-1)m - b_lm p_(l-2)m); on the diagonal a_mm of p_mm."""

    a: FloatArray
    b: FloatArray


def _recursion(largest: int) -> _Recursion:
    """Return the factors up to the degree `largest`."""
    a, b = np.zeros((2, largest + 1, largest + 1))
    a[0, 0] = np.sqrt(1 / (4 * np.pi))
    for m in range(largest + 1):
        if m:
            a[m, m] = -np.sqrt((2 * m + 1) / (2 * m)) * a[m - 1, m - 1]
        for degree in range(m + 1, largest + 1):
            a[degree, m] = np.sqrt((4 * degree**2 - 1) / (degree**2 - m**2))
            if degree > m + 1:
                b[degree, m] = np.sqrt(((degree - 1) ** 2 - m**2) / (4 * (degree - 1) ** 2 - 1))
    return _Recursion(a, b)


_compiled = cached_njit(nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})


@_compiled
def _harmonics(x: float, y: float, z: float, factors: Any, p: Any, harmonics: Any) -> None:
    """Write Y_lm(x, y, z) = p_lm(z) (x + i y)^m on the unit sphere: its parts, degree by degree for every m."""
    a, b = factors.a, factors.b
    real, imaginary, place = 1.0, 0.0, 0
    for m in range(len(a)):
        for degree in range(m, len(a)):
            if degree == m:
                p[m, m] = a[m, m]
            elif degree == m + 1:
                p[degree, m] = a[degree, m] * z * p[m, m]
            else:
                p[degree, m] = a[degree, m] * (z * p[degree - 1, m] - b[degree, m] * p[degree - 2, m])
            harmonics[place] = p[degree, m] * real
            harmonics[place + 1] = p[degree, m] * imaginary
            place += 2
        real, imaginary = real * x - imaginary * y, real * y + imaginary * x


@_compiled
def _add(distance: float, wide: Any, widest: float, harmonics: Any, sums: Any, weights: Any) -> None:
    """Add a neighbor at `distance` to the shells that count it."""
    centers, widths = wide.centers, wide.widths
    k = np.searchsorted(centers, distance - widest)
    while k < len(centers) and centers[k] < distance + widest:
        scaled = (distance - centers[k]) / widths[k]
        if abs(scaled) < TAIL:
            weight = np.exp(-0.5 * scaled * scaled)
            weights[k] += weight
            for term in range(len(harmonics)):
                sums[k, term] += weight * harmonics[term]
        k += 1


@_compiled
def _order(degree: int, largest: int, sums: Any) -> float:
    """Return q_l from the sums of a shell, but for their weight."""
    total, offset = 0.0, 0
    for m in range(degree + 1):
        place = offset + 2 * (degree - m)
        square = sums[place] ** 2 + sums[place + 1] ** 2
        total += square if m == 0 else 2 * square
        offset += 2 * (largest + 1 - m)
    return float(np.sqrt(4 * np.pi / (2 * degree + 1) * total))


@_compiled
def _solid(first: int, last: int, listed: Any, wide: Any, degrees: Any, factors: Any, values: Any) -> None:
    """Write q_l of particles `first` to `last` - 1."""
    largest, shells, positions, box = len(factors.a) - 1, len(wide.centers), listed.positions, listed.box
    size = (largest + 1) * (largest + 2)
    sums, weights = np.empty((shells, size)), np.empty(shells)
    harmonics, p = np.empty(size), np.zeros((largest + 1, largest + 1))
    widest, d = TAIL * wide.widths.max(), np.empty(3)
    for i in range(first, last):
        sums[:] = 0
        weights[:] = 0
        for entry in range(listed.rows[i], listed.rows[i + 1]):
            j = listed.indices[entry]
            for axis in range(3):
                d[axis] = positions[j, axis] - positions[i, axis]
                d[axis] -= box[axis] * np.rint(d[axis] / box[axis])
            distance = np.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
            outside = distance >= wide.centers[-1] + widest or distance <= wide.centers[0] - widest
            if outside or not listed.counted[listed.species[j]]:
                continue
            _harmonics(d[0] / distance, d[1] / distance, d[2] / distance, factors, p, harmonics)
            _add(distance, wide, widest, harmonics, sums, weights)
        for k in range(shells):
            if weights[k] >= LEAST_WEIGHT:
                for number in range(len(degrees)):
                    values[i, k, number] = _order(degrees[number], largest, sums[k]) / weights[k]


@cached_njit(nogil=True, error_model="numpy")
def _flat(first: int, last: int, listed: Any, wide: Any, degrees: Any, values: Any) -> None:
    """Write |psi_l| of particles `first` to `last` - 1 in the plane."""
    positions, box, centers = listed.positions, listed.box, wide.centers
    sums, weights = np.empty((len(centers), len(degrees)), np.complex128), np.empty(len(centers))
    for i in range(first, last):
        sums[:] = 0
        weights[:] = 0
        for entry in range(listed.rows[i], listed.rows[i + 1]):
            j = listed.indices[entry]
            x, y = positions[j, 0] - positions[i, 0], positions[j, 1] - positions[i, 1]
            x, y = x - box[0] * np.rint(x / box[0]), y - box[1] * np.rint(y / box[1])
            distance, angle = np.sqrt(x * x + y * y), np.arctan2(y, x)
            if not listed.counted[listed.species[j]]:
                continue
            for k in range(len(centers)):
                scaled = (distance - centers[k]) / wide.widths[k]
                if abs(scaled) < TAIL:
                    weight = np.exp(-0.5 * scaled * scaled)
                    weights[k] += weight
                    for number in range(len(degrees)):
                        sums[k, number] += weight * np.exp(1j * degrees[number] * angle)
        for k in range(len(centers)):
            if weights[k] >= LEAST_WEIGHT:
                for number in range(len(degrees)):
                    values[i, k, number] = np.abs(sums[k, number]) / weights[k]
