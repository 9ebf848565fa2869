"""Velocity draws of the isoconfigurational ensemble."""

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.seeds import generator


def maxwell_boltzmann(seed: int, masses: FloatArray, temperature: float, dimension: int = 3) -> FloatArray:
    """Return velocities (N, 3) of one draw: Gaussian, total momentum zero, kinetic energy exactly (d N - d) T / 2.

    `masses` (N,); in two dimensions the third component is 0. As in LAMMPS's `velocity create ... mom yes dist
    gaussian`, the velocities are scaled to the exact temperature after the momentum is removed, so that the draws of a
    configuration all have the same total energy: they differ in direction, not in heat. A canonical draw would vary by
    a relative sqrt(2 / (d N)) in kinetic energy.
    """
    particles, weights = len(masses), masses[:, None]
    velocities = generator(seed).standard_normal((particles, dimension))
    if (masses == 1).all():
        velocities -= velocities.mean(0)
        twice_kinetic = (velocities**2).sum()
    else:
        velocities /= np.sqrt(weights)
        velocities -= (weights * velocities).sum(0) / masses.sum()
        twice_kinetic = (weights * velocities**2).sum()
    velocities *= np.sqrt((dimension * particles - dimension) * temperature / twice_kinetic)
    return np.pad(velocities, ((0, 0), (0, 3 - dimension)))
