"""Rescaled dynamics as a plain loop over all pairs in float64: what the CUDA engine is compared with."""

import math

import numpy as np
from numba import njit

from glassformer.core.arrays import FloatArray
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture
from glassformer.simulate.lockstep import coupling
from glassformer.simulate.lockstep.kernel import pair_table

_rescaling, _pressure_of, _strain = map(njit, (coupling.rescaling, coupling.pressure_of, coupling.strain))


@njit(error_model="numpy")
def _forces(q, box, s, species, table, f):  # type: ignore[no-untyped-def]
    f[:] = 0.0
    energy, virial = 0.0, 0.0
    for i in range(len(q)):
        for j in range(i):
            dx, dy, dz = q[i, 0] - q[j, 0], q[i, 1] - q[j, 1], q[i, 2] - q[j, 2]
            dx = s * (dx - box[0] * round(dx / box[0]))
            dy = s * (dy - box[1] * round(dy / box[1]))
            dz = s * (dz - box[2] * round(dz / box[2]))
            r2 = dx * dx + dy * dy + dz * dz
            a, b, cutoff2, shift = table[species[i], species[j]]
            if r2 < cutoff2:
                inverse6 = 1 / r2**3
                g = (a * inverse6 - b) * inverse6 / r2
                energy += (a / 12 * inverse6 - b / 6) * inverse6 - shift
                virial += g * r2
                f[i, 0] += g * dx
                f[i, 1] += g * dy
                f[i, 2] += g * dz
                f[j, 0] -= g * dx
                f[j, 1] -= g * dy
                f[j, 2] -= g * dz
    return energy, virial


@njit(error_model="numpy")
def _run(q, v, box, species, table, time_step, noise, every, decay, mobility):  # type: ignore[no-untyped-def]
    f = np.zeros_like(q)
    freedoms, volume = 3 * (len(q) - 1), box[0] * box[1] * box[2]
    energy, virial = _forces(q, box, 1.0, species, table, f)
    seen = np.empty((len(noise), 3))
    before = now = 1.0
    for n in range(len(noise)):
        for _ in range(every):
            v += f * (time_step / 2)
            q += v * (time_step / before)
            v *= before / now
            before = now
            energy, virial = _forces(q, box, now, species, table, f)
            v += f * (time_step / 2)
        kinetic = 0.5 * (v * v).sum()
        normal, normal_of_volume, rest, temperature, pressure = noise[n]
        alpha = _rescaling(kinetic, temperature, freedoms, decay, normal, rest)
        v *= alpha
        seen[n] = kinetic, volume * now**3, energy
        if mobility > 0:
            internal = _pressure_of(kinetic * alpha * alpha, virial, volume * now**3, 3)
            change = _strain(internal, pressure, temperature, volume * now**3, mobility, normal_of_volume)
            now *= math.exp(change / 3)
    return seen


def run_coupled(
    start: Configuration,
    mixture: Mixture,
    velocities: FloatArray,
    time_step: float,
    noise: FloatArray,
    every: int,
    decay: float,
    mobility: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return scaled positions and velocities (N, 3) at the end, and K, V and U before every coupling, (n, 3).

    `noise` (n, 5) as `cuda_kernels.couple` reads it; all masses are 1, and the potential is plain.
    """
    q, v, table = start.positions.copy(), velocities.copy(), pair_table(mixture, np.float64)
    seen = _run(q, v, start.box, start.species.astype(np.int64), table, time_step, noise, every, decay, mobility)
    return q, v, seen


def forces_of(
    start: Configuration, scale: float, mixture: Mixture, positions: FloatArray
) -> tuple[FloatArray, float, float]:
    """Return forces (N, 3), U and the sum of r . F where `positions` in the box of `start` are stretched by `scale`."""
    force = np.zeros_like(positions)
    table = pair_table(mixture, np.float64)
    energy, virial = _forces(positions, start.box, scale, start.species.astype(np.int64), table, force)
    return force, float(energy), float(virial)
