"""Which structures are the same: by what they are, whatever their origin, numbering, orientation or rounding.

A structure is told by the moduli of its density modes, |rho_a(k)| / sqrt(N_a), rho_a(k) = sum_{j in a} exp(i k . r_j)
(J.-P. Hansen and I. R. McDonald, Theory of Simple Liquids, chapter 4). They do not change when all particles are
shifted or renumbered; when particles are displaced by delta they change by k delta at most. The wave vectors are taken
by stars, all that the 48 symmetries of a cube make of one, and the moduli of a star are sorted: a rotated or mirrored
copy has the same. Between configurations of one liquid sorted moduli differ by 0.05 or more, the root of the mean
square; among 4.5 million pairs with independent Gaussian modes the smallest difference was 0.03.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.physics.box import wrap

# One wave vector of each star, in units of 2 pi / L; of k and -k only one is taken, which leaves 24 per star.
STARS = ((1, 2, 3), (1, 2, 4))
# Largest difference of the sorted moduli, the root of the mean square, at which structures count as one: displacements
# of DISPLACEMENT (sigma_AA) times the typical wave number, but TOLERANCE at least. Coordinates rounded to 0.01 make
# about 0.003 times the wave number, as a step of the dynamics does. BOX_TOLERANCE is relative: edges of four digits.
TOLERANCE, DISPLACEMENT, BOX_TOLERANCE = 0.01, 0.004, 1e-4
# Neighbors whose distances tell perfect crystals apart, in which these modes vanish.
NEIGHBORS = 12
# Where the moduli begin in a signature.
_MODULI = 5
# Particles whose phase factors, and signatures whose differences, are held at one time.
_BLOCK, _ROWS = 4096, 512


def _wave_vectors() -> list[list[tuple[int, int, int]]]:
    """Return the wave vectors of every star in units of 2 pi / L, one of k and -k."""
    return [
        [
            (x, sign_y * y, sign_z * z)
            for x, y, z in itertools.permutations(star)
            for sign_y, sign_z in itertools.product((1, -1), repeat=2)
        ]
        for star in STARS
    ]


_WAVES = np.array(_wave_vectors())
_TYPICAL = float(np.sqrt((np.array(STARS) ** 2).sum(1).mean()))


def signature(positions: FloatArray, species: ByteArray, box: FloatArray) -> FloatArray:
    """Return the signature (F,) of a structure: N_A, N_B, the sorted box edges, the moduli of A and of B, and,
    where they all vanish as in perfect crystals, the mean distances of the nearest neighbors.

    `positions` are (N, 3), wrapped or not; `species` (N,), 0 = A and 1 = B; `box` (3,). The moduli are dimensionless.
    Of a species without particles they are 0.
    """
    counts, moduli = [], []
    for kind in (0, 1):
        members = positions[species == kind]
        modes = sum((_modes(block / box) for block in _blocks(members)), np.zeros(_WAVES.shape[:2], np.complex128))
        counts.append(len(members))
        moduli.append(np.sort(np.abs(modes), axis=1).ravel() / np.sqrt(max(len(members), 1)))
    crystal = max(float(one.max()) for one in moduli) < TOLERANCE
    distances = _neighbor_distances(positions, box) if crystal else np.zeros(NEIGHBORS)
    return np.concatenate([counts, np.sort(box), *moduli, distances])


def _neighbor_distances(positions: FloatArray, box: FloatArray) -> FloatArray:
    """Return the mean distances of the nearest neighbors, nearest first, (12,); 0 where there are fewer."""
    number = min(NEIGHBORS, len(positions) - 1)
    found = np.zeros(NEIGHBORS)
    if number > 0:
        inside = wrap(positions, box)
        distances = cKDTree(inside, boxsize=box).query(inside, k=number + 1)[0]
        found[:number] = np.asarray(distances)[:, 1:].mean(0)
    return found


def _blocks(positions: FloatArray) -> list[FloatArray]:
    return [positions[first : first + _BLOCK] for first in range(0, len(positions), _BLOCK)]


def _modes(fractions: FloatArray) -> np.ndarray:
    """Return rho(k) of every wave vector from positions in units of the box: a product of one factor per axis."""
    first = np.exp(2j * np.pi * fractions.T)
    powers = np.cumprod(np.repeat(first[None], _WAVES.max(), 0), 0)
    # exp(2 pi i n x) by n, which may be negative: the list is read from its end.
    by_number = np.concatenate([np.ones_like(powers[:1]), powers, powers[::-1].conj()])
    x, y, z = (by_number[_WAVES[..., axis], axis] for axis in range(3))
    modes: np.ndarray = np.einsum("swn,swn,swn->sw", x, y, z)
    return modes


def same_structure(first: FloatArray, second: FloatArray) -> bool:
    """Tell whether two signatures are those of one structure."""
    return bool(_alike(first, second[None])[0])


def find_same(wanted: FloatArray, known: FloatArray) -> int | None:
    """Return the number of the first structure that is the `wanted` one (F,) among the `known` (C, F), or None."""
    found = np.flatnonzero(_alike(wanted, known))
    return int(found[0]) if len(found) else None


def first_of_each(signatures: Sequence[FloatArray]) -> list[int]:
    """Return for every structure the number of the first one that is the same: its own, if there is none before."""
    table = np.stack(signatures) if len(signatures) else np.empty((0, _MODULI))
    moduli = table[:, _MODULI:]
    squares = (moduli**2).sum(1)
    first = list(range(len(table)))
    for begin in range(0, len(table), _ROWS):
        rows = slice(begin, begin + _ROWS)
        # A product of matrices finds the few candidates among all pairs: faster than all differences.
        distances = squares[rows, None] + squares - 2 * moduli[rows] @ moduli.T
        near = np.argwhere(distances <= 1.1 * _tolerance(table[rows])[:, None] ** 2 * moduli.shape[1] + 1e-9)
        for row, other in near.tolist():
            if other < first[begin + row] and same_structure(table[begin + row], table[other]):
                first[begin + row] = other
    return first


def _tolerance(signatures: FloatArray) -> FloatArray:
    """Return the largest difference of moduli at which structures count as one, (C,)."""
    wave_numbers = 2 * np.pi * _TYPICAL / signatures[:, 2:_MODULI].mean(1)
    tolerances: FloatArray = np.maximum(TOLERANCE, DISPLACEMENT * wave_numbers)
    return tolerances


def _alike(one: FloatArray, table: FloatArray) -> np.ndarray:
    counts, boxes, moduli = (table[:, part] for part in (slice(2), slice(2, _MODULI), slice(_MODULI, None)))
    boxes_differ = np.abs(boxes - one[2:_MODULI]) > BOX_TOLERANCE * one[2:_MODULI]
    distance = np.sqrt(((moduli - one[_MODULI:]) ** 2).mean(1))
    alike: np.ndarray = (counts == one[:2]).all(1) & ~boxes_differ.any(1) & (distance <= _tolerance(one[None]))
    return alike
