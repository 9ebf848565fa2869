"""All draws of one configuration, as many as a vector has lanes, advanced together.

Draws share positions at the start and a neighbour list for as long as their particles stay in the same cages. Kept are
displacements from the reference positions, so precision is that of displacements, not of coordinates.
"""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from glassformer.core.arrays import FloatArray, IntArray
from glassformer.core.errors import ConfigurationError, UnstableError
from glassformer.physics.configuration import Configuration, check_configuration
from glassformer.physics.mixture import Mixture
from glassformer.physics.pair import check_box
from glassformer.simulate.lockstep.kernel import forces, leap, pair_table, polynomial_table, push_back
from glassformer.simulate.lockstep.neighbors import (
    CELL,
    build,
    empty_list,
    empty_near,
    greatest_move,
    prune,
)
from glassformer.simulate.lockstep.simd import aligned_zeros, check_host, lanes
from glassformer.simulate.lockstep.wall import Wall

# Widening of the inner list, which the forces use, and of the outer list, which the inner one is pruned from. At
# N = 4096, T = 0.44 the forces take longer with wider skins, the lists with narrower ones; these are near the least.
INNER_SKIN = 0.2
OUTER_SKIN = 0.7
# Pairs per particle for which lists have room at first, and the factor by which too small ones grow.
FIRST_ROOM = 110
GROWTH = 1.25
# Vectors of particles near a cell for which there is room at first.
FIRST_NEAR = 64
# Edge of the cells in whose order particles are kept in memory.
SORTING_CELL = 1.9
# The dynamics are unstable when a particle moves this far in a step.
LARGEST_STEP = 1.0


class Lockstep:
    """The draws of `configuration`, a `mixture`, that start with `velocities` (D, N, 3).

    D is at most the number of lanes of a vector of `dtype`; half of them or fewer take half of the time. Unused lanes
    repeat the last draw. All results are in the
    order of the draws and of the configuration's particles, in float64. A `wall` keeps every particle in its cage.

    Raises `ConfigurationError` for a bad configuration, a box shorter than two cutoffs, or too many draws;
    `EngineError` where the host has no vectors.
    """

    def __init__(
        self,
        configuration: Configuration,
        mixture: Mixture,
        time_step: float,
        velocities: FloatArray,
        dtype: DTypeLike = np.float32,
        wall: Wall | None = None,
    ) -> None:
        check_host()
        check_configuration(configuration, "the start of a simulation")
        check_box(configuration, mixture)
        self.draws, most = len(velocities), lanes(dtype)
        # Half a vector takes half the time.
        self._half = self.draws <= most // 2
        self._lanes = most // 2 if self._half else most
        if not 0 < self.draws <= most or velocities.shape[1:] != (configuration.particles, 3):
            raise ConfigurationError(
                f"got velocities of shape {velocities.shape}; expected 1 to {most} draws of"
                f" {configuration.particles} particles in 3 dimensions"
            )
        self.particles, self.builds, self.prunes, self.steps = configuration.particles, 0, 0, 0
        self._dtype: np.dtype[Any] = np.dtype(dtype)
        self._time_step = float(time_step)
        self._order = _spatial_order(configuration)
        self._reference = np.ascontiguousarray(configuration.positions[self._order])
        self._species = configuration.species[self._order].astype(np.int64)
        self._box = configuration.box.copy()
        self._cutoff, self.dimension = mixture.cutoff, mixture.dimension
        if self.dimension == 2:
            # So thick that no image above or below the plane is within reach.
            self._box[2] = 2 * (mixture.longest_cutoff + OUTER_SKIN)
            self._reference[:, 2] = self._box[2] / 2
        self._cells = np.maximum((self._box / CELL).astype(np.int64), 1)
        self._table, self._polynomial = pair_table(mixture, self._dtype), polynomial_table(mixture, self._dtype)
        self._masses = mixture.masses_of(configuration.species)
        self._kick = self._time_step / self._masses[self._order]
        self._u, self._low, self._w, self._f, self._u_then = (self._zeros(3) for _ in range(5))
        kinds, room = len(self._cutoff), configuration.particles * FIRST_ROOM
        self._outer, self._inner = (empty_list(self.particles, kinds, room, self._dtype) for _ in range(2))
        self._near = empty_near(FIRST_NEAR * most, self._dtype)
        self._wall = wall
        if wall is not None:
            if len(wall.centers) != self.particles:
                raise ConfigurationError(f"got {len(wall.centers)} cages; expected {self.particles}, one per particle")
            self._centers = wall.centers[self._order].astype(self._dtype).ravel()
        self.set_velocities(velocities)

    def advance(self, steps: int) -> None:
        """Advance every draw by `steps` of velocity Verlet. Raises `EngineError` if the dynamics become unstable."""
        time_step = np.asarray(self._time_step, self._dtype)[()]
        kick = None if (self._masses == 1).all() else self._kick.astype(self._dtype)
        for _ in range(steps):
            moved = leap(self._u, self._low, self._w, self._f, kick, time_step) * self._time_step
            if not moved < LARGEST_STEP:
                raise UnstableError(
                    f"the dynamics became unstable: a particle moved {moved:.3g} in one step",
                    "Use a smaller time_step.",
                    self._unstable(),
                )
            self._moved += moved
            if 2 * self._moved > INNER_SKIN:
                self._renew_inner()
            self._force()
        self.steps += steps

    def _unstable(self) -> tuple[int, ...]:
        """Return the draws in which a particle moves too far in a step."""
        farthest = np.abs(self.velocities()).max((1, 2)) * self._time_step
        return tuple(np.flatnonzero(~(farthest < LARGEST_STEP / np.sqrt(3))).tolist())

    def refresh(self) -> None:
        """Make the lists and the forces again from the present positions: what follows depends on `state` alone."""
        self._renew_outer()
        self._renew_inner()
        self._f[:] = 0
        self._force()

    def set_velocities(self, velocities: FloatArray) -> None:
        """Let the draws continue from where they are with `velocities` (D, N, 3)."""
        self._w[:] = self._to_lanes(velocities)
        self.refresh()
        # The kernel keeps velocities half a step back.
        self._w -= self._f * self._half_kick()

    def displacements(self) -> FloatArray:
        """Return the displacements from the start, (D, N, 3)."""
        return self._from_lanes(self._u.astype(np.float64) + self._low)

    def velocities(self) -> FloatArray:
        """Return the velocities at the present time, (D, N, 3)."""
        half = self._f.astype(np.float64) * self._half_kick(np.float64)
        return self._from_lanes(self._w.astype(np.float64) + half)

    def forces(self) -> FloatArray:
        """Return the forces at the present positions, (D, N, 3)."""
        return self._from_lanes(self._f)

    def potential_energy(self) -> FloatArray:
        """Return the potential energy U of every draw, (D,)."""
        return self._sums()[0]

    def wall_energy(self) -> FloatArray:
        """Return the potential energy of the wall in every draw, (D,), which is no part of the others."""
        energy = self._zeros(1)
        self._push_back(self._zeros(3), energy)
        return self._sum_over_particles(energy)

    def virial(self) -> FloatArray:
        """Return the sum over pairs of r . F of every draw, (D,): P = (N T + virial / d) / V."""
        return self._sums()[1]

    def total_energy(self) -> FloatArray:
        """Return the kinetic plus the potential energy of every draw, (D,)."""
        kinetic: FloatArray = 0.5 * (self._masses[:, None] * self.velocities() ** 2).sum((1, 2))
        return kinetic + self.potential_energy()

    @property
    def pairs_per_particle(self) -> float:
        """Listed pairs per particle, each pair counted once: what a step costs grows with it."""
        return float(self._pairs / self.particles)

    def pairs(self) -> IntArray:
        """Return the pairs (P, 2) of particles in the inner list, in the configuration's order."""
        rows, kinds = self._inner.rows, len(self._cutoff)
        first = np.repeat(np.arange(self.particles * kinds) // kinds, rows[:, 1] - rows[:, 0])
        second = np.concatenate([self._inner.neighbors[begin:end] for begin, end in rows])
        return np.stack([self._order[first], self._order[second]], 1)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that the future depends on, after a `refresh`."""
        return {"u": self._u.copy(), "low": self._low.copy(), "w": self._w.copy(), "steps": np.array(self.steps)}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Continue from `state`, as the engine that it was taken from does."""
        self._u[:], self._low[:], self._w[:] = state["u"], state["low"], state["w"]
        self.steps = int(state["steps"])
        self.refresh()

    def _force(self) -> None:
        forces(self._u, self._f, self._inner, self._species, self._table, self._polynomial, None, None)
        self._push_back(self._f, None)

    def _push_back(self, f: NDArray[Any], energy: NDArray[Any] | None) -> None:
        if self._wall is not None:
            radius, stiffness = (self._dtype.type(value) for value in (self._wall.radius, self._wall.stiffness))
            push_back(self._u, f, self._centers, radius, stiffness, energy)

    def _half_kick(self, dtype: DTypeLike | None = None) -> NDArray[Any]:
        """Return dt / (2 m) for every entry of a flat array of particles."""
        return np.repeat(self._kick / 2, 3 * self._lanes).astype(dtype or self._dtype).reshape(self._w.shape)

    def _renew_inner(self) -> None:
        if 2 * greatest_move(self._u, self._u_then) + INNER_SKIN > OUTER_SKIN:
            self._renew_outer()
        self._pairs = prune(self._u, self._species, self._cutoff + INNER_SKIN, self._outer, self._inner)
        self._moved = 0.0
        self.prunes += 1

    def _renew_outer(self) -> None:
        kinds, reach = len(self._cutoff), self._cutoff + OUTER_SKIN
        while True:
            count, near = build(
                self._u, self._reference, self._species, self._box, self._cells, reach, self._near, self._outer
            )
            room, near_room, width = len(self._outer.neighbors), len(self._near.position), lanes(self._dtype)
            if near > near_room:
                self._near = empty_near(-(-int(near * GROWTH) // width) * width, self._dtype)
            elif count >= room:
                room = int(count * GROWTH) + 1
                self._outer, self._inner = (empty_list(self.particles, kinds, room, self._dtype) for _ in range(2))
            else:
                break
        self._u_then[:] = self._u
        self.builds += 1

    def _sums(self) -> tuple[FloatArray, FloatArray]:
        energy, virial = (self._zeros(1) for _ in range(2))
        forces(self._u, self._zeros(3), self._inner, self._species, self._table, self._polynomial, energy, virial)
        return self._sum_over_particles(energy), self._sum_over_particles(virial)

    def _zeros(self, values: int) -> NDArray[Any]:
        """Return room for so many values per particle and draw."""
        return aligned_zeros(self.particles * values * self._lanes, self._dtype, self._half)

    def _sum_over_particles(self, values: NDArray[Any]) -> FloatArray:
        sums: FloatArray = values.reshape(-1, self._lanes).sum(0, np.float64)[: self.draws]
        return sums

    def _to_lanes(self, values: FloatArray) -> NDArray[Any]:
        filled = values[np.minimum(np.arange(self._lanes), self.draws - 1)][:, self._order]
        return filled.transpose(1, 2, 0).astype(self._dtype).reshape(self._w.shape)

    def _from_lanes(self, flat: NDArray[Any]) -> FloatArray:
        result = np.empty((self.draws, self.particles, 3))
        result[:, self._order] = flat.reshape(self.particles, 3, self._lanes)[:, :, : self.draws].transpose(2, 0, 1)
        return result


def _spatial_order(configuration: Configuration) -> IntArray:
    """Return an order in which neighbours in space are near in memory: cells by Morton code, then species."""
    counts = np.maximum((configuration.box / SORTING_CELL).astype(np.int64), 1)
    cell = np.minimum((configuration.positions / configuration.box * counts).astype(np.int64), counts - 1)
    code = np.zeros(configuration.particles, np.int64)
    for bit in range(int(counts.max()).bit_length()):
        for axis in range(3):
            code |= ((cell[:, axis] >> bit) & 1) << (3 * bit + axis)
    return np.lexsort((configuration.species, code))
