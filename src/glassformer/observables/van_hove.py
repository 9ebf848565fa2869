"""Self and distinct parts of the van Hove correlation function."""

import numpy as np

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.observables.pairs import pair_distribution
from glassformer.observables.species import number_of_species
from glassformer.physics.checks import check_positions, check_vectors


def self_van_hove(
    displacements: FloatArray, species: ByteArray, edges: FloatArray, kinds: int | None = None
) -> FloatArray:
    """Return the probability density of r = |r(t) - r(0)| for each species, (S, bins).

    It is 4 pi r^2 G_s(r, t) in three dimensions, and 2 pi r G_s(r, t) in two, where z = 0.
    `displacements` (N, 3) are unwrapped; `edges` (bins + 1,) rise, in sigma_AA. All particles of a species count, so
    that the integral over r is the share of them whose displacement lies within `edges`. `kinds`: S, as in
    `number_of_species`. NaN for a species that is absent. L. Van Hove, Phys. Rev. 95, 249 (1954).
    """
    check_vectors("displacements", displacements, species)
    distances = np.sqrt((displacements**2).sum(1))
    found = np.full((number_of_species(species, kinds), len(edges) - 1), np.nan)
    for kind in np.unique(species):
        members = distances[species == kind]
        found[kind] = np.histogram(members, edges)[0] / (len(members) * np.diff(edges))
    return found


def distinct_van_hove(
    start: FloatArray,
    displacements: FloatArray,
    species: ByteArray,
    box: FloatArray,
    edges: FloatArray,
    kinds: int | None = None,
    dimension: int = 3,
) -> FloatArray:
    """Return G_d(r, t) / rho_b of every pair of species, the distribution of r = |r_j(t) - r_i(0)| for i != j.

    At t = 0 it is g(r); long after, 1. `start` (N, 3) are the positions at time 0, `displacements` (N, 3) the unwrapped
    ways since then, `edges` (bins + 1,) in sigma_AA. Rows (S (S + 1) / 2, bins), normalisation, `kinds` and `dimension`
    are those of `pair_distribution`; two species are averaged over both orders. NaN for a species that is absent.
    L. Van Hove, Phys. Rev. 95, 249 (1954).

    Raises `ConfigurationError` as `pair_distribution` does.
    """
    check_positions(start, species, box)
    check_vectors("displacements", displacements, species)
    return pair_distribution(start, start + displacements, species, box, edges, kinds, dimension)
