"""Distribution of the separations between particles at two times, by pair of species."""

import numpy as np

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.errors import ConfigurationError
from glassformer.observables.pair_counts import count_pairs
from glassformer.observables.species import number_of_species, species_pairs
from glassformer.physics.box import wrap
from glassformer.physics.checks import check_dimension, check_positions, check_vectors

# Volume of the sphere, area of the circle, of radius 1.
_UNIT_BALL = {2: np.pi, 3: 4 / 3 * np.pi}


def pair_distribution(
    start: FloatArray,
    end: FloatArray,
    species: ByteArray,
    box: FloatArray,
    edges: FloatArray,
    kinds: int | None = None,
    dimension: int = 3,
) -> FloatArray:
    """Return how often the separation of i at `start` and another particle j at `end` is r, relative to an ideal gas.

    For species a of i and b of j: counts(a, b) / [N_pairs V_shell / V], with N_pairs = N_a (N_a - 1) ordered pairs for
    a = b and N_a N_b for two species: exactly 1 on average for uniform, independent points. `start` and `end` (N, 3)
    may be unwrapped; bin i holds edges[i] < r <= edges[i + 1] of `edges` (bins + 1,), in sigma_AA, and r = 0 belongs to
    a first bin that starts at 0. Returns the pairs of `species_pairs`, (S (S + 1) / 2, bins), two species averaged over
    both orders; NaN where there is no such pair. `kinds`: S, as in `number_of_species`. V_shell is
    4 pi (r_2^3 - r_1^3) / 3 in three dimensions, and pi (r_2^2 - r_1^2) in two, where V is the area.

    Raises `ConfigurationError` if `edges` do not rise from zero or more to at most half the shortest box edge, or for
    positions, species or a box of another form or dimension.
    """
    check_positions(start, species, box)
    check_vectors("positions", end, species)
    check_dimension("positions", start, dimension, box)
    check_dimension("positions", end, dimension)
    _check_edges(edges, box[:dimension])
    number = number_of_species(species, kinds)
    wrapped = [[wrap(points[species == kind], box) for kind in range(number)] for points in (start, end)]
    shells = _UNIT_BALL[dimension] * np.diff(edges**dimension) / np.prod(box)
    kinds_of_rows = species_pairs(number)
    found = np.full((len(kinds_of_rows), len(edges) - 1), np.nan)
    for row, (a, b) in zip(found, kinds_of_rows, strict=True):
        counts = count_pairs(wrapped[0][a], wrapped[1][b], box, edges, a == b)
        pairs = len(wrapped[0][a]) * (len(wrapped[1][b]) - (a == b))
        if a != b:
            counts = counts + count_pairs(wrapped[0][b], wrapped[1][a], box, edges, False)
            pairs = 2 * pairs
        if pairs:
            row[:] = counts / (pairs * shells)
    return found


def _check_edges(edges: FloatArray, box: FloatArray) -> None:
    if len(edges) < 2 or edges[0] < 0 or (np.diff(edges) <= 0).any():
        raise ConfigurationError("got bin edges that are not increasing distances", "Give two or more, from 0 upwards.")
    # Half of a box edge that was itself computed may be a rounding error too long.
    if edges[-1] > box.min() / 2 * (1 + 1e-9):
        raise ConfigurationError(
            f"got bin edges up to {edges[-1]:g}; expected at most half the shortest box edge, {box.min() / 2:g}",
            "Use more particles, or shorter distances.",
        )
