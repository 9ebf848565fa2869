"""Velocity draws of the isoconfigurational ensemble."""

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.seeds import generator


def maxwell_boltzmann(seed: int, particles: int, temperature: float) -> FloatArray:
    """Return velocities (N, 3) of one draw: Gaussian, total momentum zero, kinetic energy exactly (3N - 3) T / 2.

    Masses are 1. As in LAMMPS's `velocity create ... mom yes dist gaussian`, the velocities are scaled to the exact
    temperature after the momentum is removed, so that the draws of a configuration all have the same total energy:
    they differ in direction, not in heat. A canonical draw would vary by a relative sqrt(2 / 3N) in kinetic energy.
    """
    velocities = generator(seed).standard_normal((particles, 3))
    velocities -= velocities.mean(0)
    velocities *= np.sqrt((3 * particles - 3) * temperature / (velocities**2).sum())
    return velocities
