"""Local energies, and how they vary from neighbor to neighbor."""

from dataclasses import dataclass

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.observables.descriptors.neighbors import Neighbors
from glassformer.observables.descriptors.table import Descriptors, table_of
from glassformer.physics.mixture import Mixture


@dataclass(frozen=True, eq=False)
class PairValues:
    """V, V' / r and V'' of every listed pair, (P,), zero beyond the cutoff; and the distances r, (P,)."""

    energy: FloatArray
    slope: FloatArray
    curvature: FloatArray
    distance: FloatArray


def pair_values(neighbors: Neighbors, mixture: Mixture) -> PairValues:
    """Return the potential of `mixture` and its derivatives for the listed pairs, as in `physics.mixture.PairTerms`.

    Raises `ConfigurationError` if the list is shorter than the potential's cutoff.
    """
    neighbors.check_reach(mixture.longest_cutoff, "the energies")
    distance = neighbors.distances
    kinds = neighbors.species[neighbors.centers], neighbors.species[neighbors.indices]
    a, b, cutoff, shift, linear, square, fourth = (table[kinds] for table in mixture.pair_terms)
    inside, r2 = distance < cutoff, distance**2
    sixth = r2**-3
    energy = (a / 12 * sixth - b / 6) * sixth - shift + linear * distance + (square + fourth * r2) * r2
    slope = -(a * sixth - b) * sixth / r2 + linear / distance + 2 * square + 4 * fourth * r2
    curvature = (13 * a * sixth - 7 * b) * sixth / r2 + 2 * square + 12 * fourth * r2
    energy, slope, curvature = (np.where(inside, values, 0.0) for values in (energy, slope, curvature))
    return PairValues(energy, slope, curvature, distance)


def local_energies(neighbors: Neighbors, mixture: Mixture, near: float = 2.0) -> Descriptors:
    """Return local energies, their spread among neighbors, virials and the mean curvature of each particle's potential.

    `energy`: half the energy of every pair of i, e_i; `energy.<species>`: the part with neighbors of one species;
    `energy_variance`: sum_j (e_j - e_i)^2 over the neighbors closer than `near`, over their number (G. Jung, G. Biroli
    and L. Berthier, Phys. Rev. Lett. 130, 238202 (2023)); `virial`: half of sum_j r_ij F(r_ij), which sum to
    d V (P - rho T); `curvature`: trace of the Hessian of the energy in r_i, sum_j V'' + (d - 1) V' / r.
    """
    values, number = pair_values(neighbors, mixture), neighbors.particles
    centers, kinds = neighbors.centers, neighbors.species[neighbors.indices]

    def summed(of_pairs: FloatArray) -> FloatArray:
        return np.bincount(centers, of_pairs, number).astype(np.float64)

    parts = [summed(np.where(kinds == kind, values.energy / 2, 0.0)) for kind in range(mixture.kinds)]
    energy = np.sum(parts, 0)
    close = values.distance < near
    squares = np.where(close, (energy[neighbors.indices] - energy[centers]) ** 2, 0.0)
    variance = summed(squares) / np.maximum(summed(close.astype(np.float64)), 1)
    virial = -summed(values.slope * values.distance**2) / 2
    curvature = summed(values.curvature + (neighbors.dimension - 1) * values.slope)
    names = ("energy", *(f"energy.{name}" for name in mixture.species), "energy_variance", "virial", "curvature")
    return table_of(names, [energy, *parts, variance, virial, curvature])
