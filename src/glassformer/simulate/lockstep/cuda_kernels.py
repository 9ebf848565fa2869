"""The lockstep structure on a GPU: a warp is a particle, its 32 threads are the draws, blocks run over particles.

Grids are (particles, configurations) of 32 threads, so `cuda.syncthreads_or` asks all draws of a particle at once.
Arrays: displacements u, what rounding cut off them `low`, half-step velocities w, forces f, each (C, N, 3, 32) float32;
lists are whole ones, of fixed room: `counts` (C, N), `neighbors` (C, N, K), `separation` (C, N, K, 3). `box` (C, 3) and
`reference` (C, N, 3) are float64. What happens in a step is decided on the device, from `moved` (C,), the bound of how
far anything went since the last pruning, `speed2` (C,) and `strayed2` (C,), the greatest squared speed of this step and
move since the last outer list: no kernel waits for the host. Symbols are those of `kernel.py`.
"""

import math

import numpy as np
from numba import cuda, float32, int32

LANES = 32
ZERO, ONE, HALF, TWO, FOUR = np.float32(0), np.float32(1), np.float32(0.5), np.float32(2), np.float32(4)


@cuda.jit(device=True)
def _pruning_is_due(c, moved, speed2, time_step, inner_skin):
    return 2 * (moved[c] + math.sqrt(speed2[c]) * time_step) > inner_skin


@cuda.jit(device=True)
def _building_is_due(c, moved, speed2, strayed2, time_step, inner_skin, outer_skin):
    due = 2 * math.sqrt(strayed2[c]) + inner_skin > outer_skin
    return due and _pruning_is_due(c, moved, speed2, time_step, inner_skin)


@cuda.jit(device=True)
def _keep_greatest(value, target, c):
    """Raise `target[c]` to the greatest `value` of the block's threads."""
    lane = cuda.threadIdx.x
    values = cuda.shared.array(LANES, float32)
    values[lane] = value
    cuda.syncthreads()
    if lane == 0:
        greatest = values[0]
        for k in range(1, LANES):
            greatest = max(greatest, values[k])
        cuda.atomic.max(target, c, greatest)


@cuda.jit
def leap(u, low, w, f, kick, time_step, speed2):
    """w += F dt / m, u += w dt, compensated; the greatest squared speed goes to `speed2`."""
    i, c, lane = cuda.blockIdx.x, cuda.blockIdx.y, cuda.threadIdx.x
    total = ZERO
    for axis in range(3):
        velocity = w[c, i, axis, lane] + f[c, i, axis, lane] * kick[c, i]
        before = u[c, i, axis, lane]
        step = velocity * time_step + low[c, i, axis, lane]
        after = before + step
        low[c, i, axis, lane] = step - (after - before)
        u[c, i, axis, lane] = after
        w[c, i, axis, lane] = velocity
        total += velocity * velocity
    _keep_greatest(total, speed2, c)


@cuda.jit
def stray(u, u_then, moved, speed2, strayed2, time_step, inner_skin):
    """Where pruning is due: how far the particle is from where it was when the outer list was built."""
    i, c, lane = cuda.blockIdx.x, cuda.blockIdx.y, cuda.threadIdx.x
    if not _pruning_is_due(c, moved, speed2, time_step, inner_skin):
        return
    total = ZERO
    for axis in range(3):
        difference = u[c, i, axis, lane] - u_then[c, i, axis, lane]
        total += difference * difference
    _keep_greatest(total, strayed2, c)


@cuda.jit
def bound(u, u_then, reference, bounds, moved, speed2, strayed2, time_step, inner_skin, outer_skin):
    """Where building is due: the box that holds the particle in all draws, centre and half-width, to `bounds`."""
    i, c, lane = cuda.blockIdx.x, cuda.blockIdx.y, cuda.threadIdx.x
    if not _building_is_due(c, moved, speed2, strayed2, time_step, inner_skin, outer_skin):
        return
    values = cuda.shared.array(LANES, float32)
    for axis in range(3):
        values[lane] = u[c, i, axis, lane]
        u_then[c, i, axis, lane] = values[lane]
        cuda.syncthreads()
        if lane == 0:
            least, greatest = values[0], values[0]
            for k in range(1, LANES):
                least, greatest = min(least, values[k]), max(greatest, values[k])
            bounds[c, i, axis] = reference[c, i, axis] + 0.5 * (np.float64(least) + np.float64(greatest))
            bounds[c, i, 3 + axis] = 0.5 * (np.float64(greatest) - np.float64(least))
        cuda.syncthreads()


@cuda.jit
def build(
    u, reference, bounds, box, species, reach, counts, neighbors, separation, needed, too_far,
    moved, speed2, strayed2, time_step, inner_skin, outer_skin,
):  # fmt: skip
    """Where building is due: all neighbours within `reach` (S, S) in any draw.

    `needed` (C,) becomes the room needed where lists are too short, `too_far` (C,) 1 where draws are so far apart that
    two images of a neighbour could matter.
    """
    i, c, lane = cuda.blockIdx.x, cuda.blockIdx.y, cuda.threadIdx.x
    if not _building_is_due(c, moved, speed2, strayed2, time_step, inner_skin, outer_skin):
        return
    particles, room = u.shape[1], neighbors.shape[2]
    near = cuda.shared.array(LANES, int32)
    count = 0
    for first in range(0, particles, LANES):
        near[lane] = 0
        j = first + lane
        if j < particles and j != i:
            limit, gap2 = reach[species[c, i], species[c, j]], 0.0
            for axis in range(3):
                edge, wide = box[c, axis], bounds[c, i, 3 + axis] + bounds[c, j, 3 + axis]
                distance = bounds[c, i, axis] - bounds[c, j, axis]
                distance -= edge * round(distance / edge)
                gap = max(abs(distance) - wide, 0.0)
                gap2 += gap * gap
                if wide + limit > 0.5 * edge:
                    too_far[c] = 1
            if gap2 < limit * limit:
                near[lane] = 1
        cuda.syncthreads()
        for n in range(min(LANES, particles - first)):
            if near[n]:
                j = first + n
                limit, distance2 = reach[species[c, i], species[c, j]], ZERO
                for axis in range(3):
                    images = round((bounds[c, i, axis] - bounds[c, j, axis]) / box[c, axis])
                    d0 = np.float32(reference[c, i, axis] - reference[c, j, axis] - images * box[c, axis])
                    d = d0 + (u[c, i, axis, lane] - u[c, j, axis, lane])
                    distance2 += d * d
                    if lane == 0 and count < room:
                        separation[c, i, count, axis] = d0
                if cuda.syncthreads_or(int32(distance2 < limit * limit)):
                    if lane == 0 and count < room:
                        neighbors[c, i, count] = j
                    count += 1
        cuda.syncthreads()
    if lane == 0:
        counts[c, i] = min(count, room)
        if count > room:
            cuda.atomic.max(needed, c, count)


@cuda.jit
def prune(
    u, species, reach, counts, neighbors, separation, kept_counts, kept_neighbors, kept_separation, needed,
    moved, speed2, time_step, inner_skin,
):  # fmt: skip
    """Where pruning is due: keep the neighbours within `reach` (S, S) in any draw."""
    i, c, lane = cuda.blockIdx.x, cuda.blockIdx.y, cuda.threadIdx.x
    if not _pruning_is_due(c, moved, speed2, time_step, inner_skin):
        return
    room, count = kept_neighbors.shape[2], 0
    for k in range(counts[c, i]):
        j = neighbors[c, i, k]
        limit, distance2 = reach[species[c, i], species[c, j]], ZERO
        for axis in range(3):
            d = separation[c, i, k, axis] + (u[c, i, axis, lane] - u[c, j, axis, lane])
            distance2 += d * d
        if cuda.syncthreads_or(int32(distance2 < limit * limit)):
            if lane < 3 and count < room:
                kept_separation[c, i, count, lane] = separation[c, i, k, lane]
                kept_neighbors[c, i, count] = j
            count += 1
    if lane == 0:
        kept_counts[c, i] = min(count, room)
        if count > room:
            cuda.atomic.max(needed, c, count)


@cuda.jit
def forces(u, f, counts, neighbors, separation, species, table, plain, energy):
    """Write the force on every particle in every draw, and to `energy` (C, N, 32) half its pairs' energies."""
    i, c, lane = cuda.blockIdx.x, cuda.blockIdx.y, cuda.threadIdx.x
    x, y, z = u[c, i, 0, lane], u[c, i, 1, lane], u[c, i, 2, lane]
    fx, fy, fz, total = ZERO, ZERO, ZERO, ZERO
    for k in range(counts[c, i]):
        j = neighbors[c, i, k]
        dx = separation[c, i, k, 0] + (x - u[c, j, 0, lane])
        dy = separation[c, i, k, 1] + (y - u[c, j, 1, lane])
        dz = separation[c, i, k, 2] + (z - u[c, j, 2, lane])
        r2 = dx * dx + dy * dy + dz * dz
        a, b = species[c, i], species[c, j]
        if r2 < table[a, b, 2]:
            inverse2 = ONE / r2
            inverse6 = inverse2 * inverse2 * inverse2
            g = inverse2 * inverse6 * (inverse6 * table[a, b, 0] - table[a, b, 1])
            if not plain:
                r = math.sqrt(r2)
                linear, square, fourth = table[a, b, 6], table[a, b, 7], table[a, b, 8]
                g -= linear / r + TWO * square + FOUR * fourth * r2
                total += linear * r + (square + fourth * r2) * r2
            fx, fy, fz = fx + g * dx, fy + g * dy, fz + g * dz
            total += inverse6 * (inverse6 * table[a, b, 4] - table[a, b, 5]) - table[a, b, 3]
    f[c, i, 0, lane], f[c, i, 1, lane], f[c, i, 2, lane] = fx, fy, fz
    energy[c, i, lane] = HALF * total


@cuda.jit
def finish(moved, speed2, strayed2, fastest2, time_step, inner_skin):
    """Book the step, one thread per configuration; `fastest2` (C,) is the greatest squared speed so far."""
    c = cuda.grid(1)
    if c < moved.shape[0]:
        if _pruning_is_due(c, moved, speed2, time_step, inner_skin):
            moved[c] = 0.0
            strayed2[c] = ZERO
        else:
            moved[c] += math.sqrt(speed2[c]) * time_step
        fastest2[c] = max(fastest2[c], speed2[c])
        speed2[c] = ZERO
