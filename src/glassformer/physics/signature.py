"""Which structures are the same: by what they are, whatever their origin, numbering, orientation or rounding.

A structure is told by the moduli of its density modes, |rho_a(k)| / sqrt(N_a), rho_a(k) = sum_{j in a} exp(i k . r_j)
(J.-P. Hansen and I. R. McDonald, Theory of Simple Liquids, chapter 4). They do not change when all particles are
shifted or renumbered; when particles are displaced by delta they change by k delta at most. The wave vectors are taken
by stars, all that the 48 symmetries of a cube, or the 8 of a square, make of one, and the moduli of a star are sorted:
a rotated or mirrored copy has the same. Between configurations of one liquid sorted moduli differ by 0.05 or more, the
root of the mean square; among 4.5 million pairs with independent Gaussian modes the smallest difference was 0.03, and
in two dimensions 0.12.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.physics.box import wrap

# One wave vector of each star, in units of 2 pi / L; of k and -k only one is taken, which leaves 24 per star in three
# dimensions and 4 in two: 48 moduli for each species in both.
STARS = ((1, 2, 3), (1, 2, 4))
SQUARE_STARS = (
    (1, 2), (1, 3), (2, 3), (1, 4), (2, 4), (3, 4), (1, 5), (2, 5), (3, 5), (4, 5), (1, 6), (2, 6),
)  # fmt: skip
# Largest difference of the sorted moduli, the root of the mean square, at which structures count as one: displacements
# of DISPLACEMENT (sigma_AA) times the typical wave number, but TOLERANCE at least. Coordinates rounded to 0.01 make
# about 0.003 times the wave number, as a step of the dynamics does. BOX_TOLERANCE is relative: edges of four digits.
TOLERANCE, DISPLACEMENT, BOX_TOLERANCE = 0.01, 0.004, 1e-4
# Neighbors whose distances tell perfect crystals apart, in which these modes vanish.
NEIGHBORS = 12
# Moduli of each species.
_MODULI = 48
# Particles whose phase factors, and signatures whose differences, are held at one time.
_BLOCK, _ROWS = 4096, 512


def _wave_vectors(stars: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Return the wave vectors of every star in units of 2 pi / L, one of k and -k, (stars, vectors, 3)."""
    return np.array(
        [
            [
                (first, *(sign * number for sign, number in zip(signs, others, strict=True)), *(0,) * (3 - len(star)))
                for first, *others in itertools.permutations(star)
                for signs in itertools.product((1, -1), repeat=len(star) - 1)
            ]
            for star in stars
        ]
    )


_WAVES = {2: _wave_vectors(SQUARE_STARS), 3: _wave_vectors(STARS)}
_TYPICAL = {dimension: float(np.sqrt((waves**2).sum(2).mean())) for dimension, waves in _WAVES.items()}


def signature(positions: FloatArray, species: ByteArray, box: FloatArray, dimension: int = 3) -> FloatArray:
    """Return the signature (F,) of a structure: numbers of particles, sorted box edges, moduli of every species, and,
    where they all vanish as in perfect crystals, the mean distances of the nearest neighbors.

    `positions` are (N, 3), wrapped or not; `species` (N,), counted from 0; `box` (3,), of which d = `dimension` edges
    count. The moduli are dimensionless. Of a species without particles they are 0. The number of species S is the
    greatest of `species` plus 1, but at least 2; F = 49 S + d + 12 tells both S and d.
    """
    waves = _WAVES[dimension]
    counts, moduli = [], []
    for kind in range(max(int(species.max(initial=0)) + 1, 2)):
        members = positions[species == kind]
        modes = sum(
            (_modes(block / box, waves) for block in _blocks(members)), np.zeros(waves.shape[:2], np.complex128)
        )
        counts.append(len(members))
        moduli.append(np.sort(np.abs(modes), axis=1).ravel() / np.sqrt(max(len(members), 1)))
    crystal = max(float(one.max()) for one in moduli) < TOLERANCE
    distances = _neighbor_distances(positions, box) if crystal else np.zeros(NEIGHBORS)
    return np.concatenate([counts, np.sort(box[:dimension]), *moduli, distances])


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


def _modes(fractions: FloatArray, waves: np.ndarray) -> np.ndarray:
    """Return rho(k) of every wave vector from positions in units of the box: a product of one factor per axis."""
    first = np.exp(2j * np.pi * fractions.T)
    powers = np.cumprod(np.repeat(first[None], waves.max(), 0), 0)
    # exp(2 pi i n x) by n, which may be negative: the list is read from its end.
    by_number = np.concatenate([np.ones_like(powers[:1]), powers, powers[::-1].conj()])
    x, y, z = (by_number[waves[..., axis], axis] for axis in range(3))
    modes: np.ndarray = np.einsum("swn,swn,swn->sw", x, y, z)
    return modes


def same_structure(first: FloatArray, second: FloatArray) -> bool:
    """Tell whether two signatures are those of one structure: never with other numbers of species or dimensions."""
    return len(first) == len(second) and bool(_alike(first, second[None])[0])


def together(signatures: Sequence[FloatArray]) -> FloatArray:
    """Return `signatures` as one table (C, F'); NaN follows those of fewer species or dimensions than the longest."""
    longest = max(map(len, signatures))
    return np.stack([np.pad(one, (0, longest - len(one)), constant_values=np.nan) for one in signatures])


def find_same(wanted: FloatArray, known: FloatArray) -> int | None:
    """Return the number of the first structure that is the `wanted` one (F,) among the `known`, or None.

    `known` (C, F') is a table that `together` makes.
    """
    rows = np.flatnonzero((~np.isnan(known)).sum(1) == len(wanted))
    if not len(rows):
        return None
    found = rows[_alike(wanted, known[rows, : len(wanted)])]
    return int(found[0]) if len(found) else None


def first_of_each(signatures: Sequence[FloatArray]) -> list[int]:
    """Return for every structure the number of the first one that is the same: its own, if there is none before.

    The signatures may be of any numbers of species and dimensions.
    """
    first = list(range(len(signatures)))
    for length in {len(one) for one in signatures}:
        numbers = [number for number, one in enumerate(signatures) if len(one) == length]
        for number, found in zip(numbers, _first_of_each(np.stack([signatures[n] for n in numbers])), strict=True):
            first[number] = numbers[found]
    return first


def _first_of_each(table: FloatArray) -> list[int]:
    """Return the same for signatures (C, F) of one number of species and dimensions."""
    moduli = table[:, _layout(table)[1] :]
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
    kinds, begin = _layout(signatures)
    wave_numbers = 2 * np.pi * _TYPICAL[begin - kinds] / signatures[:, kinds:begin].mean(1)
    tolerances: FloatArray = np.maximum(TOLERANCE, DISPLACEMENT * wave_numbers)
    return tolerances


def _alike(one: FloatArray, table: FloatArray) -> np.ndarray:
    kinds, begin = _layout(table)
    counts, boxes, moduli = (table[:, part] for part in (slice(kinds), slice(kinds, begin), slice(begin, None)))
    boxes_differ = np.abs(boxes - one[kinds:begin]) > BOX_TOLERANCE * one[kinds:begin]
    distance = np.sqrt(((moduli - one[begin:]) ** 2).mean(1))
    alike: np.ndarray = (counts == one[:kinds]).all(1) & ~boxes_differ.any(1) & (distance <= _tolerance(one[None]))
    return alike


def _layout(table: FloatArray) -> tuple[int, int]:
    """Return the number of species S of signatures (C, F), and where the moduli begin, after S counts and d edges."""
    kinds, more = divmod(table.shape[1] - NEIGHBORS - 2, _MODULI + 1)
    return kinds, kinds + 2 + more
