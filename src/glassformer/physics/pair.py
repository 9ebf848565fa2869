"""Plain float64 reference for pair energies, forces and virials: obvious rather than fast."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError
from glassformer.physics.box import holds, minimum_image
from glassformer.physics.checks import check_positions
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture


@dataclass(frozen=True, eq=False)
class Interactions:
    """Per particle: energy (N,), half of every pair's; force (N, 3); virial (N,), half of every pair's r . F."""

    energy: FloatArray
    force: FloatArray
    virial: FloatArray


def interactions(configuration: Configuration, mixture: Mixture) -> Interactions:
    """Return energy, force and virial of every particle of `configuration`, whose liquid is `mixture`.

    With V and F = -V' as in `glassformer.physics.mixture`: pair energy V(r), force on i from j F(r) r_ij / r, virial
    r F(r). Sum of the energies: total U; pressure in d dimensions: P = rho T + sum(virial) / (d V).

    Raises `ConfigurationError` for a bad configuration, or if the box is shorter than two cutoffs (minimum images would
    not be enough).
    """
    check_positions(configuration.positions, configuration.species, configuration.box)
    check_box(configuration, mixture)
    box, terms = configuration.box, mixture.pair_terms
    tree = cKDTree(configuration.positions, boxsize=box)
    i, j = tree.query_pairs(mixture.longest_cutoff, output_type="ndarray").T
    separation = minimum_image(configuration.positions[i] - configuration.positions[j], box)
    distance_sq = (separation**2).sum(1)
    pair_species = configuration.species[i], configuration.species[j]
    a, b, cutoff, shift, linear, square, fourth = (table[pair_species] for table in terms)
    inside, sixth, distance = distance_sq < cutoff**2, distance_sq**-3, np.sqrt(distance_sq)
    polynomial = linear * distance + (square + fourth * distance_sq) * distance_sq
    energy = np.where(inside, (a / 12 * sixth - b / 6) * sixth - shift + polynomial, 0.0)
    slope = linear * distance + (2 * square + 4 * fourth * distance_sq) * distance_sq
    virial = np.where(inside, (a * sixth - b) * sixth - slope, 0.0)
    force = (virial / distance_sq)[:, None] * separation
    return Interactions(
        _share(i, j, energy / 2, energy / 2, configuration.particles),
        np.stack([_share(i, j, force[:, axis], -force[:, axis], configuration.particles) for axis in range(3)], 1),
        _share(i, j, virial / 2, virial / 2, configuration.particles),
    )


def check_box(configuration: Configuration, mixture: Mixture) -> None:
    """Raise `ConfigurationError` if the configuration is not the mixture's, or its box too short for minimum images.

    Its dimension and the number of species must be the mixture's; the box must be as long as two cutoffs, else a
    particle could meet two images of another.
    """
    if configuration.dimension != mixture.dimension:
        raise ConfigurationError(
            f"got a configuration in {configuration.dimension} dimensions; {mixture.name} is a mixture in"
            f" {mixture.dimension}",
            "Name the mixture that the configuration is made of.",
        )
    if configuration.species.max(initial=0) >= mixture.kinds:
        raise ConfigurationError(
            f"got particles of {int(configuration.species.max()) + 1} species; {mixture.name} has {mixture.kinds}",
            "Name the mixture that the configuration is made of.",
        )
    longest = mixture.longest_cutoff
    if not holds(float(configuration.edges.min()), 2 * longest):
        raise ConfigurationError(
            f"got box edges {configuration.edges.round(3).tolist()}; expected at least two cutoffs, {2 * longest:g}",
            "Use more particles.",
        )


def _share(i: np.ndarray, j: np.ndarray, to_first: FloatArray, to_second: FloatArray, particles: int) -> FloatArray:
    shared = np.bincount(i, to_first, particles) + np.bincount(j, to_second, particles)
    return shared.astype(np.float64)
