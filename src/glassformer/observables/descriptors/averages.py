"""Averages of descriptors over neighbors: recursive ones, and fields smoothed over several lengths."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from glassformer.core.compiled import cached_njit
from glassformer.core.threads import in_blocks
from glassformer.observables.descriptors.neighbors import Neighbors
from glassformer.observables.descriptors.table import Descriptors, join

# Columns that are averaged at one time, so that memory does not grow with their number.
_COLUMNS = 64


def averaging_matrix(neighbors: Neighbors, length: float) -> csr_array:
    """Return the matrix (N, N) of weights exp(-r_ij / length) for r_ij < length, and of i itself, rows summing to 1."""
    neighbors.check_reach(length, "averages over neighbors")
    distance, centers = neighbors.distances, neighbors.centers
    near = distance < length
    number = neighbors.particles
    rows = np.concatenate([np.arange(number), centers[near]])
    columns = np.concatenate([np.arange(number), neighbors.indices[near]])
    weights = np.concatenate([np.ones(number), np.exp(-distance[near] / length)])
    weights /= np.bincount(rows, weights, number)[rows]
    return csr_array((weights.astype(np.float32), (rows, columns)), (number, number))


def recursive_averages(
    table: Descriptors, neighbors: Neighbors, length: float = 2.1, generations: int = 2
) -> Descriptors:
    """Return `table` and its averages of the generations 1, 2, ..., `generations`, with names ending in '@1', '@2', ...

    x_i^(n) = sum_j exp(-r_ij / r_c) x_j^(n-1) / sum_j exp(-r_ij / r_c) over j with r_ij < r_c = `length`, and j = i.
    E. Boattini, F. Smallenburg and L. Filion, Phys. Rev. Lett. 127, 088007 (2021), equation 4.
    """
    matrix = averaging_matrix(neighbors, length)
    tables = [table]
    for generation in range(1, generations + 1):
        names = tuple(f"{name}@{generation}" for name in table.names)
        before = tables[-1].values
        values = np.empty_like(before)
        for first in range(0, before.shape[1], _COLUMNS):
            values[:, first : first + _COLUMNS] = matrix @ np.ascontiguousarray(before[:, first : first + _COLUMNS])
        tables.append(Descriptors(names, values))
    return join(*tables)


def coarse_grained_fields(
    table: Descriptors,
    neighbors: Neighbors,
    lengths: Sequence[float],
    species: Sequence[str],
    threads: int = 1,
) -> Descriptors:
    """Return the density of each species and the fields of `table`, smoothed over each of `lengths`.

    rho_i(L, s) = sum_j exp(-r_ij / L) and x_i(L, s) = sum_j exp(-r_ij / L) x_j / rho_i(L, s) over the neighbors j of
    species s within the cutoff of `neighbors`, and i itself if it is of this species; x_i = 0 where there are none.
    After G. Jung, G. Biroli and L. Berthier, Phys. Rev. Lett. 130, 238202 (2023).
    """
    fields = np.ascontiguousarray(table.values, np.float64)
    shape = neighbors.particles, len(species), len(lengths)
    density, smooth = np.zeros(shape, np.float32), np.zeros((*shape, fields.shape[1]), np.float32)
    listed = neighbors.rows, neighbors.indices, neighbors.positions, neighbors.species, neighbors.box
    scales = np.array(lengths, np.float64)
    in_blocks(lambda a, b: _smooth(a, b, *listed, scales, fields, density, smooth), neighbors.particles, threads)
    places = [f"{name}.{length:g}" for name in species for length in lengths]
    names = [f"field.density.{place}" for place in places]
    names += [f"field.{column}.{place}" for place in places for column in table.names]
    flat = [values.reshape(neighbors.particles, -1) for values in (density, smooth)]
    return Descriptors(tuple(names), np.concatenate(flat, 1))


@cached_njit(nogil=True, error_model="numpy")
def _smooth(
    first: int,
    last: int,
    rows: Any,
    indices: Any,
    positions: Any,
    species: Any,
    box: Any,
    lengths: Any,
    fields: Any,
    density: Any,
    smooth: Any,
) -> None:
    weights, sums = np.empty(density.shape[1:]), np.empty(smooth.shape[1:])
    for i in range(first, last):
        weights[:] = 0
        sums[:] = 0
        for entry in range(rows[i] - 1, rows[i + 1]):
            j = i if entry < rows[i] else indices[entry]
            distance2 = 0.0
            for axis in range(3):
                d = positions[j, axis] - positions[i, axis]
                d -= box[axis] * np.rint(d / box[axis])
                distance2 += d * d
            distance = np.sqrt(distance2)
            for k in range(len(lengths)):
                weight = np.exp(-distance / lengths[k])
                weights[species[j], k] += weight
                for column in range(fields.shape[1]):
                    sums[species[j], k, column] += weight * fields[j, column]
        for kind in range(weights.shape[0]):
            for k in range(len(lengths)):
                density[i, kind, k] = weights[kind, k]
                if weights[kind, k] > 0:
                    smooth[i, kind, k] = sums[kind, k] / weights[kind, k]
