"""Neighbour lists of lockstep on a GPU, and when they are due; `cuda_kernels` describes threads and arrays.

An outer list is built from boxes that hold a particle in all draws, sorted into cells; an inner list is pruned from it
by an exact test of every draw.
"""

import math

import numpy as np
from numba import cuda, float64, int32

# Threads of a block.
WARP = 32
# The dynamics are unstable when a particle moves this far, squared, in a step; its vector then stays as it is.
LARGEST_STEP2 = 1.0
ZERO = np.float32(0)
# Columns of `clock`: the bound of how far anything went since the last pruning, the greatest squared move of this step
# and since the last outer list, the greatest of any step, and the scales when lists were pruned and built.
MOVED, STEP2, STRAYED2, GREATEST2, PRUNED_AT, BUILT_AT = range(6)


@cuda.jit(device=True)
def _pruning_is_due(v, clock, scale, longest, inner_skin):
    s = scale[v, 1]
    # Of unstable dynamics no list is made: it could have any length.
    if not max(clock[v, STEP2], clock[v, GREATEST2]) < LARGEST_STEP2:
        return False
    shrunk = max(0.0, 1 - s / clock[v, PRUNED_AT]) * (longest + inner_skin)
    return not 2 * s * (clock[v, MOVED] + math.sqrt(clock[v, STEP2])) + shrunk <= inner_skin


@cuda.jit(device=True)
def _building_is_due(v, clock, scale, longest, inner_skin, outer_skin):
    s = scale[v, 1]
    shrunk = max(0.0, 1 - s / clock[v, BUILT_AT]) * (longest + outer_skin)
    due = not 2 * s * math.sqrt(clock[v, STRAYED2]) + shrunk + inner_skin <= outer_skin
    return due and _pruning_is_due(v, clock, scale, longest, inner_skin)


@cuda.jit
def bound(u, u_then, reference, box, center, half, position, clock, scale, longest, inner_skin, outer_skin):
    """Where building is due: the box that holds a particle in all draws, `center` and `half`-widths (V, N, 3).

    Centers lie in the first periodic box; `position` is the reference position, moved with them. A row is a particle.
    """
    i, v = cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y, cuda.blockIdx.y
    lane, lanes = cuda.threadIdx.x, cuda.blockDim.x
    if not _building_is_due(v, clock, scale, longest, inner_skin, outer_skin):
        return
    if i < u.shape[1]:
        for axis in range(3):
            u_then[v, i, axis, lane] = u[v, i, axis, lane]
        # An axis each, as far as there are lanes.
        for axis in range(lane, 3, lanes):
            least = greatest = u[v, i, axis, 0]
            for k in range(1, lanes):
                least, greatest = min(least, u[v, i, axis, k]), max(greatest, u[v, i, axis, k])
            middle = reference[v, i, axis] + 0.5 * (float64(least) + float64(greatest))
            shift = math.floor(middle / box[v, axis]) * box[v, axis]
            center[v, i, axis] = middle - shift
            position[v, i, axis] = reference[v, i, axis] - shift
            half[v, i, axis] = 0.5 * (float64(greatest) - float64(least))


@cuda.jit(device=True)
def _cell_of(v, i, center, box, cells):
    cell = 0
    for axis in range(3):
        place = int32(center[v, i, axis] / box[v, axis] * cells[v, axis])
        cell = cell * cells[v, axis] + max(0, min(place, cells[v, axis] - 1))
    return cell


@cuda.jit
def sort(
    center, half, box, cells, starts, order, widest, clock, scale, longest, inner_skin, outer_skin,
):  # fmt: skip
    """Where building is due: particles by cell, `order` (V, N) from `starts` (V, 2, M), in the order of their numbers.

    `widest` (V, 3): greatest half-widths. A block of `WIDE` threads is a vector; starts[v, 1] is its scratch.
    """
    v, thread, threads = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
    if not _building_is_due(v, clock, scale, longest, inner_skin, outer_skin):
        return
    number, particles = cells[v, 0] * cells[v, 1] * cells[v, 2], center.shape[1]
    for cell in range(thread, number + 1, threads):
        starts[v, 0, cell] = 0
    if thread < 3:
        widest[v, thread] = 0.0
    cuda.syncthreads()
    for i in range(thread, particles, threads):
        cuda.atomic.add(starts, (v, 0, _cell_of(v, i, center, box, cells) + 1), 1)
        for axis in range(3):
            cuda.atomic.max(widest, (v, axis), half[v, i, axis])
    cuda.syncthreads()
    if thread == 0:
        for cell in range(number):
            starts[v, 1, cell] = starts[v, 0, cell]
            starts[v, 0, cell + 1] += starts[v, 0, cell]
    cuda.syncthreads()
    for i in range(thread, particles, threads):
        order[v, cuda.atomic.add(starts, (v, 1, _cell_of(v, i, center, box, cells)), 1)] = i
    cuda.syncthreads()
    for cell in range(thread, number, threads):
        for n in range(starts[v, 0, cell] + 1, starts[v, 0, cell + 1]):
            i, at = order[v, n], n
            while at > starts[v, 0, cell] and order[v, at - 1] > i:
                order[v, at] = order[v, at - 1]
                at -= 1
            order[v, at] = i


@cuda.jit(device=True)
def _apart(low, high, cell, edge, widest):
    """Distance along one axis between a stretch and the particles of a cell, which reach `widest` past its walls."""
    return max(cell * edge - widest - high, low - (cell + 1) * edge - widest, 0.0)


@cuda.jit(device=True)
def _near(v, i, j, shifts, center, half, limit):
    """Tell whether the boxes of i and of the image of j come within `limit` of each other."""
    gap2 = 0.0
    for axis in range(3):
        distance = abs(center[v, i, axis] - center[v, j, axis] - shifts[axis])
        gap = max(distance - half[v, i, axis] - half[v, j, axis], 0.0)
        gap2 += gap * gap
    return gap2 <= limit * limit


@cuda.jit(device=True)
def _list_cell(
    v, i, cell, shifts, near, found, hits, count, u, center, half, position, order, starts, species, reach,
    neighbors, separation, s,
):  # fmt: skip
    """Append those particles of one cell that are within `reach` of i in any draw; return how many i has then."""
    lane, row, lanes, rows = cuda.threadIdx.x, cuda.threadIdx.y, cuda.blockDim.x, cuda.blockDim.y
    thread, threads, room = row * lanes + lane, lanes * rows, neighbors.shape[2]
    for first in range(starts[v, 0, cell], starts[v, 0, cell + 1], threads):
        near[thread] = 0
        if first + thread < starts[v, 0, cell + 1]:
            j = order[v, first + thread]
            limit = reach[species[v, i], species[v, j]] / s * 1.000001
            if j != i and _near(v, i, j, shifts, center, half, limit):
                near[thread] = 1
        cuda.syncthreads()
        rank, total = 0, 0
        for k in range(threads):
            rank += near[k] if k < thread else 0
            total += near[k]
        if near[thread]:
            found[rank] = order[v, first + thread]
        cuda.syncthreads()
        for k in range(row, total + row, rows):
            if lane == 0:
                hits[row] = 0
            cuda.syncthreads()
            if k < total:
                j, distance2 = found[k], ZERO
                for axis in range(3):
                    d0 = position[v, i, axis] - position[v, j, axis] - shifts[axis]
                    d = s * (d0 + (u[v, i, axis, lane] - u[v, j, axis, lane]))
                    distance2 += d * d
                limit = reach[species[v, i], species[v, j]]
                if distance2 < limit * limit:
                    hits[row] = 1
            cuda.syncthreads()
            place = count
            for r in range(rows):
                place += hits[r] if r < row else 0
                count += hits[r]
            if k < total and hits[row] and lane == 0 and place < room:
                j = found[k]
                neighbors[v, i, place] = j
                for axis in range(3):
                    separation[v, i, place, axis] = position[v, i, axis] - position[v, j, axis] - shifts[axis]
            cuda.syncthreads()
    return count


@cuda.jit
def build(
    u, center, half, position, box, cells, starts, order, widest, species, reach, counts, neighbors, separation,
    needed, clock, scale, longest, inner_skin, outer_skin,
):  # fmt: skip
    """Where building is due: all neighbours within `reach` (S, S) in any draw, each image of a particle by itself.

    `needed` (V, 2): column 0 becomes the room needed where lists are too short.
    """
    i, v, lane, row = cuda.blockIdx.x, cuda.blockIdx.y, cuda.threadIdx.x, cuda.threadIdx.y
    if not _building_is_due(v, clock, scale, longest, inner_skin, outer_skin):
        return
    # A line each: the simulator tells shared arrays apart by their lines.
    near = cuda.shared.array(WARP, int32)
    found = cuda.shared.array(WARP, int32)
    hits = cuda.shared.array(WARP, int32)
    count, s = 0, scale[v, 1]
    extent = (longest + outer_skin) / s * 1.000001
    edges = box[v, 0] / cells[v, 0], box[v, 1] / cells[v, 1], box[v, 2] / cells[v, 2]
    lows = center[v, i, 0] - half[v, i, 0], center[v, i, 1] - half[v, i, 1], center[v, i, 2] - half[v, i, 2]
    highs = center[v, i, 0] + half[v, i, 0], center[v, i, 1] + half[v, i, 1], center[v, i, 2] + half[v, i, 2]
    wide = widest[v, 0], widest[v, 1], widest[v, 2]
    reaches = extent + wide[0], extent + wide[1], extent + wide[2]
    for x in range(
        int32(math.floor((lows[0] - reaches[0]) / edges[0])), int32(math.floor((highs[0] + reaches[0]) / edges[0])) + 1
    ):
        gap_x = _apart(lows[0], highs[0], x, edges[0], wide[0])
        x_wrap = int32(math.floor(x / cells[v, 0]))
        for y in range(
            int32(math.floor((lows[1] - reaches[1]) / edges[1])),
            int32(math.floor((highs[1] + reaches[1]) / edges[1])) + 1,
        ):
            gap_y = _apart(lows[1], highs[1], y, edges[1], wide[1])
            y_wrap = int32(math.floor(y / cells[v, 1]))
            for z in range(
                int32(math.floor((lows[2] - reaches[2]) / edges[2])),
                int32(math.floor((highs[2] + reaches[2]) / edges[2])) + 1,
            ):
                gap_z = _apart(lows[2], highs[2], z, edges[2], wide[2])
                z_wrap = int32(math.floor(z / cells[v, 2]))
                if gap_x * gap_x + gap_y * gap_y + gap_z * gap_z <= extent * extent:
                    cell = (x - x_wrap * cells[v, 0]) * cells[v, 1] + y - y_wrap * cells[v, 1]
                    cell = cell * cells[v, 2] + z - z_wrap * cells[v, 2]
                    shifts = x_wrap * box[v, 0], y_wrap * box[v, 1], z_wrap * box[v, 2]
                    count = _list_cell(
                        v, i, cell, shifts, near, found, hits, count, u, center, half, position, order, starts,
                        species, reach, neighbors, separation, s,
                    )  # fmt: skip
    if lane == 0 and row == 0:
        counts[v, i] = min(count, neighbors.shape[2])
        if count > neighbors.shape[2]:
            cuda.atomic.max(needed, (v, 0), count)


@cuda.jit
def prune(
    u, species, reach, counts, neighbors, separation, kept_counts, kept_neighbors, kept_separation, needed, clock,
    scale, longest, inner_skin,
):  # fmt: skip
    """Where pruning is due: keep what is within `reach` (S, S) in any draw; column 1 of `needed` as in `build`."""
    i, v = cuda.blockIdx.x, cuda.blockIdx.y
    if not _pruning_is_due(v, clock, scale, longest, inner_skin):
        return
    lane, row, rows = cuda.threadIdx.x, cuda.threadIdx.y, cuda.blockDim.y
    hits = cuda.shared.array(WARP, int32)
    room, count, s = kept_neighbors.shape[2], 0, scale[v, 1]
    for k in range(row, counts[v, i] + row, rows):
        if lane == 0:
            hits[row] = 0
        cuda.syncthreads()
        if k < counts[v, i]:
            j, distance2 = neighbors[v, i, k], ZERO
            for axis in range(3):
                d = s * (separation[v, i, k, axis] + (u[v, i, axis, lane] - u[v, j, axis, lane]))
                distance2 += d * d
            limit = reach[species[v, i], species[v, j]]
            if distance2 < limit * limit:
                hits[row] = 1
        cuda.syncthreads()
        place = count
        for r in range(rows):
            place += hits[r] if r < row else 0
            count += hits[r]
        if k < counts[v, i] and hits[row] and lane == 0 and place < room:
            kept_neighbors[v, i, place] = neighbors[v, i, k]
            for axis in range(3):
                kept_separation[v, i, place, axis] = separation[v, i, k, axis]
        cuda.syncthreads()
    if lane == 0 and row == 0:
        kept_counts[v, i] = min(count, room)
        if count > room:
            cuda.atomic.max(needed, (v, 1), count)


@cuda.jit(device=True)
def book(v, clock, scale, longest, inner_skin, outer_skin):
    """Book the step of vector v, of whose lists nothing is due any more."""
    if _pruning_is_due(v, clock, scale, longest, inner_skin):
        if _building_is_due(v, clock, scale, longest, inner_skin, outer_skin):
            clock[v, BUILT_AT] = scale[v, 1]
        clock[v, MOVED] = 0.0
        clock[v, PRUNED_AT] = scale[v, 1]
    else:
        clock[v, MOVED] += math.sqrt(clock[v, STEP2])
    clock[v, GREATEST2] = max(clock[v, GREATEST2], clock[v, STEP2])
    clock[v, STEP2] = clock[v, STRAYED2] = 0.0
    scale[v, 0] = scale[v, 1]
