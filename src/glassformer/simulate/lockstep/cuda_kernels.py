"""The lockstep structure on a GPU: a block of one warp is a particle, its threads are draws and entries of its list.

A vector is up to `lanes` draws of one configuration that share a list; a warp of 32 threads has `lanes` columns, the
draws, and 32 / lanes rows, which share out the list: 32 draws use one row, 8 draws four, a single trajectory 32.
Grids are (particles, vectors), or (particles / rows, vectors) where a row is a particle.

Arrays: displacements u, what rounding cut off them `low`, half-step velocities w, forces f, each (V, N, 3, lanes), in
float32 or float64; `scale` (V, 2), how much boxes and positions are stretched, before and after the last coupling:
separations are s (d0 + u_i - u_j). Lists hold every pair twice and have fixed room: `counts` (V, N), `neighbors`
(V, N, K), `separation` (V, N, K, 3). `clock` (V, 6) float64 decides on the device what is due, so no kernel waits for
the host. Vectors never read each other's data: what one does depends on no other. Symbols are those of `kernel.py`.
"""

import math

import numpy as np
from numba import cuda, float64, uint32

from glassformer.simulate.lockstep import coupling
from glassformer.simulate.lockstep.cuda_lists import GREATEST2, LARGEST_STEP2, STEP2, STRAYED2, WARP, ZERO, book

# Threads of a block that serves a whole vector.
WIDE = 256
ONE, HALF, TWO, FOUR = np.float32(1), np.float32(0.5), np.float32(2), np.float32(4)


@cuda.jit(device=True)
def _keep_greatest(value, target, v, column):
    """Raise `target[v, column]` to the greatest `value` of the block's threads."""
    thread = cuda.threadIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    values = cuda.shared.array(WARP, float64)
    values[thread] = value
    cuda.syncthreads()
    if thread == 0:
        greatest = values[0]
        for k in range(1, cuda.blockDim.x * cuda.blockDim.y):
            # A NaN must not be passed over.
            if not values[k] <= greatest:
                greatest = values[k]
        if greatest != greatest:
            greatest = math.inf
        cuda.atomic.max(target, (v, column), greatest)
    cuda.syncthreads()


@cuda.jit
def leap(u, low, w, f, u_then, kick, time_step, scale, clock):
    """w += F dt / m, u += w dt / s, compensated; a coupling's new scale divides w. A row is a particle."""
    i, v = cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y, cuda.blockIdx.y
    lane = cuda.threadIdx.x
    moved2, strayed2 = ZERO, ZERO
    if i < u.shape[1] and clock[v, GREATEST2] < LARGEST_STEP2:
        stretch, shrink = time_step / scale[v, 0], scale[v, 0] / scale[v, 1]
        for axis in range(3):
            velocity = w[v, i, axis, lane] + f[v, i, axis, lane] * kick[v, i]
            before = u[v, i, axis, lane]
            step = velocity * stretch + low[v, i, axis, lane]
            after = before + step
            low[v, i, axis, lane] = step - (after - before)
            u[v, i, axis, lane] = after
            w[v, i, axis, lane] = velocity * shrink
            strayed = after - u_then[v, i, axis, lane]
            moved2 += step * step
            strayed2 += strayed * strayed
    _keep_greatest(moved2, clock, v, STEP2)
    _keep_greatest(strayed2, clock, v, STRAYED2)


@cuda.jit
def forces(
    u, f, counts, neighbors, separation, species, table, plain, energy, virial, clock, scale, longest, inner_skin,
    outer_skin,
):  # fmt: skip
    """Write the force on every particle in every draw, and half its pairs' energy and r . F, (V, N, lanes) each.

    Also books the step in `clock`, which it does not read otherwise.
    """
    i, v = cuda.blockIdx.x, cuda.blockIdx.y
    lane, row, lanes, rows = cuda.threadIdx.x, cuda.threadIdx.y, cuda.blockDim.x, cuda.blockDim.y
    x, y, z, s = u[v, i, 0, lane], u[v, i, 1, lane], u[v, i, 2, lane], scale[v, 1]
    fx, fy, fz, total, outward = ZERO, ZERO, ZERO, ZERO, ZERO
    # For a quarter fewer instructions: the start of each array is found once, and an index without a sign is not
    # compared with zero.
    listed, apart, displaced, kinds, pairs = neighbors[v, i], separation[v, i], u[v], species[v], table[species[v, i]]
    for signed in range(row, counts[v, i], rows):
        k = uint32(signed)
        j = uint32(listed[k])
        dx = s * (apart[k, 0] + (x - displaced[j, 0, lane]))
        dy = s * (apart[k, 1] + (y - displaced[j, 1, lane]))
        dz = s * (apart[k, 2] + (z - displaced[j, 2, lane]))
        r2 = dx * dx + dy * dy + dz * dz
        pair = pairs[uint32(kinds[j])]
        if r2 < pair[2]:
            inverse2 = ONE / r2
            inverse6 = inverse2 * inverse2 * inverse2
            g = inverse2 * inverse6 * (inverse6 * pair[0] - pair[1])
            if not plain:
                r = math.sqrt(r2)
                linear, square, fourth = pair[6], pair[7], pair[8]
                g -= linear / r + TWO * square + FOUR * fourth * r2
                total += linear * r + (square + fourth * r2) * r2
            fx, fy, fz = fx + g * dx, fy + g * dy, fz + g * dz
            total += inverse6 * (inverse6 * pair[4] - pair[5]) - pair[3]
            outward += g * r2
    if rows == 1:
        f[v, i, 0, lane], f[v, i, 1, lane], f[v, i, 2, lane] = fx, fy, fz
        energy[v, i, lane], virial[v, i, lane] = HALF * total, HALF * outward
    else:
        parts = cuda.shared.array((5, WARP), float64)
        thread = row * lanes + lane
        parts[0, thread], parts[1, thread], parts[2, thread] = fx, fy, fz
        parts[3, thread], parts[4, thread] = HALF * total, HALF * outward
        cuda.syncthreads()
        for quantity in range(row, 5, rows):
            whole = 0.0
            for r in range(rows):
                whole += parts[quantity, r * lanes + lane]
            if quantity < 3:
                f[v, i, quantity, lane] = whole
            elif quantity == 3:
                energy[v, i, lane] = whole
            else:
                virial[v, i, lane] = whole
    if i == 0 and row == 0 and lane == 0:
        book(v, clock, scale, longest, inner_skin, outer_skin)


_rescaling = cuda.jit(device=True)(coupling.rescaling)
_pressure_of = cuda.jit(device=True)(coupling.pressure_of)
_strain = cuda.jit(device=True)(coupling.strain)
# Columns of `noise`: two standard normal numbers, a chi-squared one, temperature and pressure to hold.
NORMAL, NORMAL_OF_VOLUME, REST, TEMPERATURE, PRESSURE = range(5)


@cuda.jit
def couple(
    w, f, masses, half_kick, virial, noise, counter, volume, kinetic, factor, scale, decay, mobility, freedoms,
    dimension,
):  # fmt: skip
    """Decide the velocities' `factor` (V,) and the next `scale` of vectors of one draw; `couple` number `counter` (V,).

    `volume` (V, 2): volume at scale 1, and ln of the scale; `kinetic` (V,): K before. A block of `WIDE` threads is a
    vector. With `decay` 1 the temperature is left alone, with `mobility` 0 the volume.
    """
    v, thread, threads = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
    energies = cuda.shared.array(WIDE, float64)
    outwards = cuda.shared.array(WIDE, float64)
    energy, outward = 0.0, 0.0
    for i in range(thread, w.shape[1], threads):
        for axis in range(3):
            velocity = float64(w[v, i, axis, 0]) + float64(f[v, i, axis, 0]) * half_kick[v, i]
            energy += 0.5 * masses[v, i] * velocity * velocity
        outward += virial[v, i, 0]
    energies[thread], outwards[thread] = energy, outward
    cuda.syncthreads()
    if thread == 0:
        for k in range(1, threads):
            energy += energies[k]
            outward += outwards[k]
        n = counter[v]
        temperature = noise[n, v, TEMPERATURE]
        alpha = _rescaling(energy, temperature, freedoms, decay, noise[n, v, NORMAL], noise[n, v, REST])
        kinetic[v], factor[v], counter[v] = energy, alpha, n + 1
        if mobility > 0:
            now = volume[v, 0] * math.exp(dimension * volume[v, 1])
            internal = _pressure_of(energy * alpha * alpha, outward, now, dimension)
            wanted, normal = noise[n, v, PRESSURE], noise[n, v, NORMAL_OF_VOLUME]
            volume[v, 1] += _strain(internal, wanted, temperature, now, mobility, normal) / dimension
            scale[v, 1] = math.exp(volume[v, 1])


@cuda.jit
def rescale(w, f, half_kick, factor):
    """Multiply the present velocities, w + F dt / (2 m), by `factor` (V,). A row is a particle."""
    i, v = cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y, cuda.blockIdx.y
    if i < w.shape[1] and factor[v] != 1:
        for axis in range(3):
            kick = f[v, i, axis, 0] * half_kick[v, i]
            w[v, i, axis, 0] = factor[v] * (w[v, i, axis, 0] + kick) - kick
