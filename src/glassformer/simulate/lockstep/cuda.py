"""Lockstep on a GPU: vectors of draws, of one or of many configurations of one size, advanced together.

Needs numba-cuda and a CUDA device (the extra `cuda`); with NUMBA_ENABLE_CUDASIM=1 it runs, slowly, without.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import cuda
from numpy.typing import DTypeLike, NDArray

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError, DeviceMemoryError, EngineError, UnstableError
from glassformer.physics.configuration import Configuration, check_configuration
from glassformer.physics.mixture import Mixture
from glassformer.physics.pair import check_box
from glassformer.simulate.lockstep import cuda_kernels as kernels
from glassformer.simulate.lockstep import cuda_lists as lists
from glassformer.simulate.lockstep.cuda_graph import SIMULATED, Repeated
from glassformer.simulate.lockstep.cuda_memory import MEMORY_REMEDY, free_bytes, within_memory
from glassformer.simulate.lockstep.engine import INNER_SKIN, LARGEST_STEP, OUTER_SKIN
from glassformer.simulate.lockstep.kernel import pair_table, polynomial_table
from glassformer.simulate.lockstep.neighbors import CELL
from glassformer.simulate.lockstep.widths import best_width

# Neighbours per particle for which outer and inner lists have room at first, and how too short ones grow.
OUTER_ROOM, INNER_ROOM, GROWTH = 320, 192, 1.3
# Every so many steps all lists are made again: what follows depends on positions and velocities alone. Lists that were
# too short are found at the latest then, and the steps since are done again.
REFRESH_STEPS = 100
# Steps that are launched together.
TOGETHER = 10


def available() -> bool:
    """Tell whether there is a CUDA device that numba can use, or its simulator."""
    return bool(cuda.is_available())


def check_device() -> None:
    """Raise `EngineError` if there is no CUDA device that numba can use."""
    if not available():
        raise EngineError(
            "no CUDA device that numba can use", "Install glassformer[cuda] on a machine with an NVIDIA GPU."
        )


def device_name() -> str:
    """Return the name of the device in use. Raises `EngineError` if there is none."""
    check_device()
    if SIMULATED:
        return "numba's CUDA simulator"
    name = cuda.get_current_device().name
    return name.decode() if isinstance(name, bytes) else str(name)


def vector_bytes(particles: int, lanes: int, dtype: DTypeLike = np.float32) -> int:
    """Return the bytes that a vector takes on the device, with lists grown once."""
    size = np.dtype(dtype).itemsize
    lists = int(GROWTH * (OUTER_ROOM + INNER_ROOM)) * (4 + 3 * size)
    return particles * (26 * lanes * size + lists + 200)


class LockstepCuda:
    """Vectors of draws: `velocities` holds the velocities (D, N, 3) of each, D at most `lanes`, from its configuration.

    Without `lanes`, the width that suits the largest D. Unused lanes repeat a vector's last draw. Vectors do not
    affect one another: to the last bit, each does what it would do alone. One that becomes unstable stands still and is
    in `unstable` from then on. Raises `ConfigurationError`, `EngineError` or `DeviceMemoryError`.
    """

    @within_memory
    def __init__(
        self,
        configurations: Sequence[Configuration],
        mixture: Mixture,
        time_step: float,
        velocities: Sequence[FloatArray],
        lanes: int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        check_device()
        self.draws = [len(drawn) for drawn in velocities]
        self.particles, self.steps = configurations[0].particles, 0
        self.lanes = lanes or min(best_width(max(self.draws)), lists.WARP)
        _check(configurations, mixture, velocities, self.lanes)
        self.unstable: frozenset[int] = frozenset()
        self._dtype: np.dtype[Any] = np.dtype(dtype)
        self._time_step, self._mixture, self._base = float(time_step), mixture, -1
        self._rows = lists.WARP // self.lanes
        self._shape = len(configurations), self.particles, 3, self.lanes
        self._compiled = False
        self._parameters(configurations)
        self._clock: Any = cuda.to_device(np.zeros((len(configurations), 6)))
        self._u, self._low, self._f, self._u_then = (self._zeros(self._shape) for _ in range(4))
        self._w = cuda.to_device(np.stack([self._to_lanes(drawn) for drawn in velocities]))
        self._energy, self._virial = (self._zeros((*self._shape[:2], self.lanes)) for _ in range(2))
        self._outer, self._inner = self._empty_list(OUTER_ROOM), self._empty_list(INNER_ROOM)
        self._before = [cuda.device_array_like(array) for array in self._state()]
        self._repeated = Repeated()
        self._refresh()
        # The kernel keeps velocities half a step back.
        w = self._w.copy_to_host() - self._f.copy_to_host() * self._half_kick(self._dtype)
        self._w.copy_to_device(w)
        # What was kept for doing steps again has the velocities of before.
        for target, array in zip(self._before, self._state(), strict=True):
            target.copy_to_device(array)

    @within_memory
    def advance(self, steps: int) -> None:
        """Advance every draw by `steps`. Raises `DeviceMemoryError` if the lists outgrow the device's memory."""
        target = self.steps + steps
        while self.steps < target:
            if self.steps % REFRESH_STEPS == 0 and self._base != self.steps:
                self._refresh()
            upto = min(target, (self.steps // REFRESH_STEPS + 1) * REFRESH_STEPS)
            while self.steps < upto:
                if self.steps % TOGETHER == 0 and self.steps + TOGETHER <= upto and self._compiled:
                    self._repeated.run(self._launch_together)
                    self.steps += TOGETHER
                else:
                    self._launch_step(0)
                    self._compiled = True
                    self.steps += 1
                    if self.steps % TOGETHER == 0:
                        self._launch_coupling(0)
            if not self._had_room():
                for target_array, array in zip(self._state(), self._before, strict=True):
                    target_array.copy_to_device(array)
                # What has become unstable in these steps will again; what was so before stands still.
                clock: FloatArray = self._clock.copy_to_host()
                clock[:, lists.GREATEST2] = self._greatest2
                self._clock.copy_to_device(clock)
                self.steps, self._base = self._base, -1
        self._note_unstable()

    @property
    def uses_graph(self) -> bool:
        """Whether steps are launched as a CUDA graph."""
        return self._repeated.recorded

    def check(self) -> None:
        """Raise `UnstableError` if any vector is unstable."""
        if self.unstable:
            raise self.instability(min(self.unstable))

    def instability(self, vector: int) -> UnstableError:
        """Return an error that names the draws of `vector` in which a particle moves too far in a step."""
        farthest = np.abs(self.velocities(vector)).max((1, 2)) * self._time_step
        draws = tuple(np.flatnonzero(~(farthest < LARGEST_STEP / np.sqrt(3))).tolist())
        return UnstableError(
            f"the dynamics became unstable: a particle moved {farthest.max():.3g} in one step",
            "Use a smaller time_step.",
            draws,
        )

    def displacements(self, vector: int) -> FloatArray:
        """Return the displacements of a vector's draws from the start, (D, N, 3)."""
        return self._from_lanes(vector, self._host(self._u, vector) + self._host(self._low, vector))

    def velocities(self, vector: int) -> FloatArray:
        """Return the velocities of a vector's draws at the present time, (D, N, 3)."""
        half = self._host(self._f, vector) * self._half_kick()[vector]
        return self._from_lanes(vector, self._host(self._w, vector) + half)

    def forces(self, vector: int) -> FloatArray:
        """Return the forces of a vector's draws at the present positions, (D, N, 3)."""
        return self._from_lanes(vector, self._host(self._f, vector))

    def potential_energy(self, vector: int) -> FloatArray:
        """Return the potential energy of a vector's draws, (D,)."""
        return self._sum(self._energy, vector)

    def virial(self, vector: int) -> FloatArray:
        """Return the sum over pairs of r . F of a vector's draws, (D,)."""
        return self._sum(self._virial, vector)

    def total_energy(self, vector: int) -> FloatArray:
        """Return the kinetic plus the potential energy of a vector's draws, (D,)."""
        squares: FloatArray = self._masses[vector][:, None] * self.velocities(vector) ** 2
        kinetic: FloatArray = 0.5 * squares.sum((1, 2))
        return kinetic + self.potential_energy(vector)

    def listed_per_particle(self, vector: int) -> float:
        """Return the entries per particle in a vector's inner list, which holds each pair twice."""
        return float(self._inner[0][vector].copy_to_host().mean())

    def state(self, vector: int) -> dict[str, NDArray[Any]]:
        """Return all that a vector's future depends on, where `steps` is a multiple of `REFRESH_STEPS`."""
        assert self.steps % REFRESH_STEPS == 0
        named = zip(self._state_names, self._state(), strict=True)
        return {name: array[vector].copy_to_host() for name, array in named} | {"steps": np.array(self.steps)}

    @within_memory
    def restore(self, states: Sequence[dict[str, NDArray[Any]]]) -> None:
        """Continue from the `states` of all vectors, of one step, as the engine that they were taken from does."""
        for name, array in zip(self._state_names, self._state(), strict=True):
            array.copy_to_device(np.stack([state[name] for state in states]))
        self.steps, self._base = int(states[0]["steps"]), -1
        self._refresh()

    # What is the state of a run: more where temperature and pressure are held.
    _state_names: tuple[str, ...] = ("u", "low", "w")

    def _state(self) -> list[Any]:
        return [self._u, self._low, self._w]

    def _launch_coupling(self, stream: Any) -> None:
        """Launch what follows every `TOGETHER` steps: nothing, at constant energy."""

    def _parameters(self, configurations: Sequence[Configuration]) -> None:
        """Put on the device what stays as it is."""
        mixture, kind, number = self._mixture, self._dtype, len(configurations)
        table, polynomial = pair_table(mixture, np.float64), polynomial_table(mixture, np.float64)
        self._plain = polynomial is None
        rest = np.zeros((*table.shape[:2], 3)) if polynomial is None else polynomial
        extended = np.concatenate([table, table[..., :1] / 12, table[..., 1:2] / 6, rest], -1)
        self._table = cuda.to_device(extended.astype(kind))
        self._masses = np.stack([mixture.masses_of(c.species) for c in configurations])
        self._kick = cuda.to_device((self._time_step / self._masses).astype(kind))
        self._inner_reach = cuda.to_device(mixture.cutoff + INNER_SKIN)
        self._outer_reach = cuda.to_device(mixture.cutoff + OUTER_SKIN)
        self._species = cuda.to_device(np.stack([c.species.astype(np.int32) for c in configurations]))
        boxes, reference = (np.stack([getattr(c, name) for c in configurations]) for name in ("box", "positions"))
        if mixture.dimension == 2:
            # So thick that no image above or below the plane is within reach.
            boxes[:, 2] = 2 * (mixture.longest_cutoff + OUTER_SKIN)
            reference[:, :, 2] = boxes[0, 2] / 2
        self._boxes = boxes
        counts = np.maximum((boxes / CELL).astype(np.int32), 1)
        self._box, self._cells, self._reference = map(cuda.to_device, (boxes, counts, reference))
        self._center, self._half, self._position = (cuda.to_device(np.zeros_like(reference)) for _ in range(3))
        self._starts = cuda.to_device(np.zeros((number, 2, int(counts.prod(1).max()) + 1), np.int32))
        self._order = cuda.to_device(np.zeros(self._shape[:2], np.int32))
        self._widest = cuda.to_device(np.zeros((number, 3)))
        self._needed = cuda.to_device(np.zeros((number, 2), np.int32))
        self._scale = cuda.to_device(np.ones((number, 2), kind))

    def _launch_together(self, stream: Any) -> None:
        for _ in range(TOGETHER):
            self._launch_step(stream)
        self._launch_coupling(stream)

    def _launch_step(self, stream: Any) -> None:
        kernels.leap[self._by_rows(stream)](
            self._u, self._low, self._w, self._f, self._u_then, self._kick, self._dtype.type(self._time_step),
            self._scale, self._clock,
        )  # fmt: skip
        self._launch_lists(stream)
        self._launch_forces(stream)

    def _by_rows(self, stream: Any) -> tuple[Any, ...]:
        """Launch with a particle in every row of a block."""
        return (-(-self.particles // self._rows), self._shape[0]), (self.lanes, self._rows), stream

    def _by_particles(self, stream: Any) -> tuple[Any, ...]:
        """Launch with a particle in every block."""
        return (self.particles, self._shape[0]), (self.lanes, self._rows), stream

    def _launch_lists(self, stream: Any) -> None:
        longest = self._mixture.longest_cutoff
        clock = self._clock, self._scale, longest, INNER_SKIN, OUTER_SKIN
        lists.bound[self._by_rows(stream)](
            self._u, self._u_then, self._reference, self._box, self._center, self._half, self._position, *clock
        )
        lists.sort[self._shape[0], kernels.WIDE, stream](
            self._center, self._half, self._box, self._cells, self._starts, self._order, self._widest, *clock
        )
        lists.build[self._by_particles(stream)](
            self._u, self._center, self._half, self._position, self._box, self._cells, self._starts, self._order,
            self._widest, self._species, self._outer_reach, *self._outer, self._needed, *clock,
        )  # fmt: skip
        lists.prune[self._by_particles(stream)](
            self._u, self._species, self._inner_reach, *self._outer, *self._inner, self._needed, *clock[:4]
        )

    def _launch_forces(self, stream: Any) -> None:
        kernels.forces[self._by_particles(stream)](
            self._u, self._f, *self._inner, self._species, self._table, self._plain, self._energy, self._virial,
            self._clock, self._scale, self._mixture.longest_cutoff, INNER_SKIN, OUTER_SKIN,
        )  # fmt: skip

    def _refresh(self) -> None:
        """Make lists and forces from the present positions, with more room until there is enough."""
        while True:
            scale, clock = self._scale.copy_to_host(), self._clock.copy_to_host()
            # As if everything had moved far: pruning and building are due.
            clock[:, [lists.MOVED, lists.STRAYED2]] = 1e30
            clock[:, lists.STEP2] = 0
            clock[:, lists.PRUNED_AT] = clock[:, lists.BUILT_AT] = scale[:, 1]
            self._clock.copy_to_device(clock)
            self._launch_lists(0)
            self._launch_forces(0)
            if self._had_room():
                break
        self._base, self._greatest2 = self.steps, clock[:, lists.GREATEST2].copy()
        for target, array in zip(self._before, self._state(), strict=True):
            target.copy_to_device(array)

    def _had_room(self) -> bool:
        """Tell whether the lists were long enough; make them longer if not."""
        outer_needed, inner_needed = (int(needed) for needed in self._needed.copy_to_host().max(0))
        if not outer_needed and not inner_needed:
            return True
        outer, inner = self._outer[1].shape[2], self._inner[1].shape[2]
        self._outer, self._inner = None, None
        # The graph refers to the lists that were too short.
        self._repeated.close()
        self._outer = self._empty_list(max(outer, int(outer_needed * GROWTH)))
        self._inner = self._empty_list(max(inner, int(inner_needed * GROWTH)))
        self._needed.copy_to_device(np.zeros_like(self._needed.copy_to_host()))
        return False

    def _note_unstable(self) -> None:
        clock, energy = self._clock.copy_to_host(), self._energy.copy_to_host()
        bad = ~(clock[:, lists.GREATEST2] < lists.LARGEST_STEP2) | ~np.isfinite(energy).all((1, 2))
        self.unstable = frozenset(np.flatnonzero(bad).tolist())

    def _empty_list(self, room: int) -> Any:
        per_particle, entry = self._shape[:2], 4 + 3 * self._dtype.itemsize
        wanted = self._shape[0] * self.particles * room * entry
        if wanted > free_bytes():
            raise DeviceMemoryError(
                f"neighbour lists of {room} entries per particle for {self._shape[0]} vectors of draws need"
                f" {wanted / 2**30:.2g} GiB; the device has {free_bytes() / 2**30:.2g} GiB of memory left",
                MEMORY_REMEDY,
            )
        return (
            self._zeros(per_particle, np.int32),
            cuda.device_array((*per_particle, room), np.int32),
            cuda.device_array((*per_particle, room, 3), self._dtype),
        )

    def _zeros(self, shape: tuple[int, ...], dtype: DTypeLike | None = None) -> Any:
        return cuda.to_device(np.zeros(shape, dtype or self._dtype))

    def _half_kick(self, dtype: DTypeLike = np.float64) -> FloatArray:
        """Return dt / (2 m) of every particle, (V, N, 1, 1)."""
        return (self._time_step / 2 / self._masses).astype(dtype)[:, :, None, None]

    def _host(self, array: Any, vector: int) -> FloatArray:
        values: FloatArray = array[vector].copy_to_host().astype(np.float64)
        return values

    def _sum(self, array: Any, vector: int) -> FloatArray:
        sums: FloatArray = self._host(array, vector).sum(0)[: self.draws[vector]]
        return sums

    def _to_lanes(self, drawn: FloatArray) -> NDArray[Any]:
        filled = drawn[np.minimum(np.arange(self.lanes), len(drawn) - 1)]
        return np.ascontiguousarray(filled.transpose(1, 2, 0), self._dtype)

    def _from_lanes(self, vector: int, values: FloatArray) -> FloatArray:
        result: FloatArray = values[..., : self.draws[vector]].transpose(2, 0, 1)
        return result


def _check(
    configurations: Sequence[Configuration], mixture: Mixture, velocities: Sequence[FloatArray], lanes: int
) -> None:
    particles = configurations[0].particles
    if lists.WARP % lanes:
        raise ConfigurationError(f"got vectors of {lanes} lanes; expected a divisor of {lists.WARP}")
    if len(velocities) != len(configurations):
        raise ConfigurationError(f"got {len(velocities)} vectors for {len(configurations)} configurations")
    for configuration, drawn in zip(configurations, velocities, strict=True):
        check_configuration(configuration, "the start of a simulation")
        check_box(configuration, mixture)
        if configuration.particles != particles:
            raise ConfigurationError(
                f"got configurations of {particles} and of {configuration.particles} particles; expected one size"
            )
        if not 0 < len(drawn) <= lanes or drawn.shape[1:] != (particles, 3):
            raise ConfigurationError(
                f"got velocities of shape {drawn.shape}; expected 1 to {lanes} draws of {particles} particles in"
                " 3 dimensions"
            )
