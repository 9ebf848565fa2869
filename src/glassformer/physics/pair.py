"""Plain float64 reference for pair energies, forces and virials: obvious rather than fast."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError
from glassformer.physics.box import minimum_image
from glassformer.physics.checks import check_positions
from glassformer.physics.configuration import Configuration
from glassformer.physics.kob_andersen import PairPotential


@dataclass(frozen=True, eq=False)
class Interactions:
    """Per particle: energy (N,), half of every pair's; force (N, 3); virial (N,), half of every pair's r . F."""

    energy: FloatArray
    force: FloatArray
    virial: FloatArray


def interactions(configuration: Configuration, potential: PairPotential) -> Interactions:
    """Return energy, force and virial of every particle of `configuration` under `potential`.

    With s = (sigma / r)^6: pair energy 4 eps (s^2 - s) - shift, force on i from j 24 eps (2 s^2 - s) r_ij / r^2, virial
    r . F = 24 eps (2 s^2 - s). Sum of the energies: total U; pressure: P = rho T + sum(virial) / (3 V).

    Raises `ConfigurationError` for a bad configuration, or if the box is shorter than two cutoffs (minimum images would
    not be enough).
    """
    check_positions(configuration.positions, configuration.species, configuration.box)
    check_box(configuration, potential)
    box, longest = configuration.box, float(potential.cutoff.max())
    tree = cKDTree(configuration.positions, boxsize=box)
    i, j = tree.query_pairs(longest, output_type="ndarray").T
    separation = minimum_image(configuration.positions[i] - configuration.positions[j], box)
    distance_sq = (separation**2).sum(1)
    pair_species = configuration.species[i], configuration.species[j]
    epsilon, sigma, cutoff = (table[pair_species] for table in (potential.epsilon, potential.sigma, potential.cutoff))
    inside = distance_sq < cutoff**2
    sixth = (sigma**2 / distance_sq) ** 3
    sixth_at_cutoff = (sigma / cutoff) ** 6
    energy = np.where(inside, 4 * epsilon * (sixth**2 - sixth - sixth_at_cutoff**2 + sixth_at_cutoff), 0.0)
    virial = np.where(inside, 24 * epsilon * (2 * sixth**2 - sixth), 0.0)
    force = (virial / distance_sq)[:, None] * separation
    return Interactions(
        _share(i, j, energy / 2, energy / 2, configuration.particles),
        np.stack([_share(i, j, force[:, axis], -force[:, axis], configuration.particles) for axis in range(3)], 1),
        _share(i, j, virial / 2, virial / 2, configuration.particles),
    )


def check_box(configuration: Configuration, potential: PairPotential) -> None:
    """Raise `ConfigurationError` if the box is shorter than two cutoffs: then a particle could meet two images."""
    longest = float(potential.cutoff.max())
    if configuration.box.min() < 2 * longest:
        raise ConfigurationError(
            f"got box edges {configuration.box.round(3).tolist()}; expected at least two cutoffs, {2 * longest:g}",
            "Use more particles.",
        )


def _share(i: np.ndarray, j: np.ndarray, to_first: FloatArray, to_second: FloatArray, particles: int) -> FloatArray:
    shared = np.bincount(i, to_first, particles) + np.bincount(j, to_second, particles)
    return shared.astype(np.float64)
