"""Harmonic motion about an energy minimum: how far each particle swings, with its surroundings held fixed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.compiled import cached_njit
from glassformer.core.errors import ConfigurationError
from glassformer.core.threads import in_blocks
from glassformer.observables.descriptors.energies import pair_values
from glassformer.observables.descriptors.neighbors import Neighbors
from glassformer.observables.descriptors.table import Descriptors, table_of
from glassformer.physics.mixture import Mixture


def harmonic_amplitudes(
    neighbors: Neighbors, mixture: Mixture, radii: Sequence[float], threads: int = 1
) -> Descriptors:
    """Return <u_i^2> / T in the harmonic approximation, where only the particles closer than R to i move.

    `harmonic.<R>`: trace of the block (i, i) of the inverse of the Hessian of these particles, the others held fixed;
    R = 0: particle i alone moves (Einstein's crystal). For R beyond the box it is the Debye-Waller factor over T;
    A. Widmer-Cooper and P. Harrowell, Phys. Rev. Lett. 96, 185701 (2006) measure it by dynamics. `neighbors` must be
    those of an energy minimum. Elsewhere, and for particles without neighbors, the block may have no inverse, and
    `ConfigurationError` is raised.
    """
    neighbors.check_reach(max(radii), "harmonic amplitudes")
    blocks, own = hessian_blocks(neighbors, mixture)
    listed = neighbors.rows, neighbors.indices, neighbors.positions, neighbors.box
    columns = []
    for radius in radii:
        amplitude = np.empty(neighbors.particles)
        try:
            _run(listed, (blocks, own), (float(radius), neighbors.dimension), amplitude, threads)
        except np.linalg.LinAlgError:
            raise ConfigurationError(
                "some particles have no neighbors that hold them in place; harmonic amplitudes need them",
                "Check the box and the units of the positions: is the density that of a liquid?",
            ) from None
        if not (amplitude > 0).all():
            raise ConfigurationError(
                f"{int((~(amplitude > 0)).sum())} particles are not at an energy minimum; harmonic amplitudes need one",
                "Give the inherent structure.",
            )
        columns.append(amplitude)
    return table_of([f"harmonic.{radius:g}" for radius in radii], columns)


def _run(listed: Any, hessian: Any, settings: Any, amplitude: FloatArray, threads: int) -> None:
    in_blocks(lambda a, b: _amplitudes(a, b, *listed, *hessian, *settings, amplitude), len(amplitude), threads)


def hessian_blocks(neighbors: Neighbors, mixture: Mixture) -> tuple[FloatArray, FloatArray]:
    """Return the blocks d^2 U / dr_i dr_j of the listed pairs, (P, 3, 3), and those of i = j, (N, 3, 3).

    d^2 U / dr_i dr_j = -[(V'' - V' / r) r^ r^ + V' / r], and d^2 U / dr_i^2 = -sum_j of these.
    """
    values = pair_values(neighbors, mixture)
    unit = neighbors.separations / values.distance[:, None]
    blocks = -(values.curvature - values.slope)[:, None, None] * unit[:, :, None] * unit[:, None, :]
    blocks -= values.slope[:, None, None] * np.eye(3)
    columns = blocks.reshape(-1, 9).T
    own = -np.stack([np.bincount(neighbors.centers, column, neighbors.particles) for column in columns], 1)
    return blocks, own.reshape(-1, 3, 3).astype(np.float64)


@cached_njit(nogil=True, error_model="numpy")
def _amplitudes(
    first: int,
    last: int,
    rows: Any,
    indices: Any,
    positions: Any,
    box: Any,
    blocks: Any,
    own: Any,
    radius: float,
    dimension: int,
    amplitude: Any,
) -> None:
    place = np.full(len(positions), -1)
    for i in range(first, last):
        members = np.empty(rows[i + 1] - rows[i] + 1, np.int64)
        members[0], number = i, 1
        for entry in range(rows[i], rows[i + 1]):
            distance2 = 0.0
            for axis in range(3):
                d = positions[indices[entry], axis] - positions[i, axis]
                d -= box[axis] * np.rint(d / box[axis])
                distance2 += d * d
            if distance2 < radius * radius:
                members[number] = indices[entry]
                number += 1
        for a in range(number):
            place[members[a]] = a
        matrix = np.zeros((dimension * number, dimension * number))
        for a in range(number):
            j = members[a]
            for x in range(dimension):
                for y in range(dimension):
                    matrix[dimension * a + x, dimension * a + y] = own[j, x, y]
            for entry in range(rows[j], rows[j + 1]):
                b = place[indices[entry]]
                if b >= 0:
                    for x in range(dimension):
                        for y in range(dimension):
                            matrix[dimension * a + x, dimension * b + y] = blocks[entry, x, y]
        for a in range(number):
            place[members[a]] = -1
        forces = np.zeros((dimension * number, dimension))
        for x in range(dimension):
            forces[x, x] = 1.0
        response = np.linalg.solve(matrix, forces)
        amplitude[i] = 0.0
        for x in range(dimension):
            amplitude[i] += response[x, x]
