"""Lockstep on a GPU: up to 32 draws of each of many configurations of one size, advanced together.

Needs numba-cuda and a CUDA device (the extra `cuda`); with NUMBA_ENABLE_CUDASIM=1 it runs, slowly, without.
"""

from typing import Any

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError, EngineError
from glassformer.physics.configuration import Configuration, check_configuration
from glassformer.physics.mixture import Mixture
from glassformer.simulate.lockstep import cuda_kernels as kernels
from glassformer.simulate.lockstep.cuda_kernels import LANES
from glassformer.simulate.lockstep.engine import INNER_SKIN, LARGEST_STEP, OUTER_SKIN
from glassformer.simulate.lockstep.kernel import pair_table, polynomial_table

# Neighbours a particle for which there is room at first, in the outer and the inner list, and how too short ones grow.
OUTER_ROOM, INNER_ROOM, GROWTH = 320, 192, 1.3
# Steps between two looks at the device: too short lists are found there, and the steps since are done again.
LOOK_STEPS = 100
FAR = np.float32(1e30)


def check_device() -> None:
    """Raise `EngineError` if there is no CUDA device that numba can use."""
    if not cuda.is_available():
        raise EngineError(
            "no CUDA device that numba can use", "Install glassformer[cuda] on a machine with an NVIDIA GPU."
        )


class LockstepCuda:
    """The draws of `configurations`, all of one size, with `velocities` (C, D, N, 3), D up to 32.

    Unused threads repeat the last draw. Raises `ConfigurationError` or `EngineError`.
    """

    def __init__(
        self,
        configurations: list[Configuration],
        mixture: Mixture,
        time_step: float,
        velocities: FloatArray,
    ) -> None:
        check_device()
        self.draws, self.particles, self.steps = velocities.shape[1], configurations[0].particles, 0
        _check(configurations, mixture, velocities)
        self._time_step = np.float32(time_step)
        self._shape = (len(configurations), self.particles, 3, LANES)
        self._grid = (self.particles, len(configurations))
        table, polynomial = pair_table(mixture, np.float64), polynomial_table(mixture, np.float64)
        self._plain = polynomial is None
        rest = np.zeros((*table.shape[:2], 3)) if polynomial is None else polynomial
        extended = np.concatenate([table, table[..., :1] / 12, table[..., 1:2] / 6, rest], -1)
        self._masses = np.stack([mixture.masses_of(c.species) for c in configurations])
        self._kick = cuda.to_device((time_step / self._masses).astype(np.float32))
        self._table = cuda.to_device(extended.astype(np.float32))
        self._inner_reach = cuda.to_device((mixture.cutoff + INNER_SKIN).astype(np.float32))
        self._outer_reach = cuda.to_device((mixture.cutoff + OUTER_SKIN).astype(np.float32))
        self._species = cuda.to_device(np.stack([c.species.astype(np.int32) for c in configurations]))
        self._box = cuda.to_device(np.stack([c.box for c in configurations]))
        self._reference = cuda.to_device(np.stack([c.positions for c in configurations]))
        self._bounds = cuda.to_device(np.zeros((*self._grid[::-1], 6)))
        filled = velocities[:, np.minimum(np.arange(LANES), self.draws - 1)]
        self._w = cuda.to_device(np.ascontiguousarray(filled.transpose(0, 2, 3, 1), np.float32))
        self._u, self._low, self._f, self._u_then = (
            cuda.to_device(np.zeros(self._shape, np.float32)) for _ in range(4)
        )
        self._energy = cuda.to_device(np.zeros((*self._shape[:2], LANES), np.float32))
        self._outer, self._inner = self._empty_list(OUTER_ROOM), self._empty_list(INNER_ROOM)
        self._begin()
        # The kernel keeps velocities half a step back.
        half_kick = (time_step / 2 / self._masses).astype(np.float32)[:, :, None, None]
        w = self._w.copy_to_host() - self._f.copy_to_host() * half_kick
        self._w = cuda.to_device(w)
        self._before = [cuda.device_array_like(array) for array in self._state()]

    def advance(self, steps: int) -> None:
        """Advance every draw by `steps`. Raises `EngineError` if they become unstable or drift too far apart."""
        while steps:
            count = min(steps, LOOK_STEPS)
            self._copy(self._state(), self._before)
            for _ in range(count):
                self._step()
            if self._in_order():
                steps -= count
                self.steps += count
            else:
                self._copy(self._before, self._state())
                self._begin()

    def displacements(self) -> FloatArray:
        """Return the displacements from the start, (C, D, N, 3)."""
        return self._to_host(self._u.copy_to_host().astype(np.float64) + self._low.copy_to_host())

    def velocities(self) -> FloatArray:
        """Return the velocities at the present time, (C, D, N, 3)."""
        half: FloatArray = self._f.copy_to_host() * (float(self._time_step) / 2 / self._masses)[:, :, None, None]
        return self._to_host(self._w.copy_to_host() + half)

    def forces(self) -> FloatArray:
        """Return the forces at the present positions, (C, D, N, 3)."""
        return self._to_host(self._f.copy_to_host().astype(np.float64))

    def total_energy(self) -> FloatArray:
        """Return the kinetic plus the potential energy, (C, D)."""
        kinetic: FloatArray = 0.5 * (self._masses[:, None, :, None] * self.velocities() ** 2).sum((2, 3))
        potential: FloatArray = self._energy.copy_to_host().sum(1, np.float64)[:, : self.draws]
        return kinetic + potential

    def _state(self) -> list[Any]:
        return [self._u, self._low, self._w, self._f]

    @staticmethod
    def _copy(sources: list[Any], targets: list[Any]) -> None:
        for source, target in zip(sources, targets, strict=True):
            target.copy_to_device(source)

    def _step(self) -> None:
        moved, speed2, strayed2, step = self._moved, self._speed2, self._strayed2, self._time_step
        kernels.leap[self._grid, LANES](self._u, self._low, self._w, self._f, self._kick, step, speed2)
        kernels.stray[self._grid, LANES](self._u, self._u_then, moved, speed2, strayed2, step, INNER_SKIN)
        self._renew_lists()
        self._force()
        kernels.finish[-(-self._grid[1] // LANES), LANES](moved, speed2, strayed2, self._fastest2, step, INNER_SKIN)

    def _renew_lists(self) -> None:
        clock = self._moved, self._speed2, self._strayed2, self._time_step, INNER_SKIN, OUTER_SKIN
        kernels.bound[self._grid, LANES](self._u, self._u_then, self._reference, self._bounds, *clock)
        kernels.build[self._grid, LANES](
            self._u, self._reference, self._bounds, self._box, self._species, self._outer_reach, *self._outer,
            self._needed, self._too_far, *clock,
        )  # fmt: skip
        kernels.prune[self._grid, LANES](
            self._u, self._species, self._inner_reach, *self._outer, *self._inner, self._needed,
            self._moved, self._speed2, self._time_step, INNER_SKIN,
        )  # fmt: skip

    def _force(self) -> None:
        kernels.forces[self._grid, LANES](
            self._u, self._f, *self._inner, self._species, self._table, self._plain, self._energy
        )

    def _begin(self) -> None:
        """Make lists and forces from the present positions, with more room until there is enough."""
        while True:
            number = self._grid[1]
            # As if everything had moved far: pruning and building are due.
            self._moved = cuda.to_device(np.full(number, float(FAR)))
            self._speed2 = cuda.to_device(np.zeros(number, np.float32))
            self._strayed2 = cuda.to_device(np.full(number, FAR))
            self._fastest2 = cuda.to_device(np.zeros(number, np.float32))
            self._needed, self._too_far = (cuda.to_device(np.zeros(number, np.int32)) for _ in range(2))
            self._renew_lists()
            self._force()
            if self._in_order():
                break
        self._moved = cuda.to_device(np.zeros(number))
        self._strayed2 = cuda.to_device(np.zeros(number, np.float32))

    def _in_order(self) -> bool:
        """Tell whether the lists were long enough; make them longer if not.

        That comes first: with too short lists anything may have happened, and it will be done again.
        """
        needed = int(self._needed.copy_to_host().max())
        if needed:
            outer, inner = (neighbors.shape[2] for _, neighbors, _ in (self._outer, self._inner))
            self._outer = self._empty_list(max(outer, int(needed * GROWTH)))
            self._inner = self._empty_list(inner if needed > outer else int(needed * GROWTH))
            return False
        fastest = float(np.sqrt(self._fastest2.copy_to_host().max()) * self._time_step)
        if not fastest < LARGEST_STEP or not np.isfinite(self._energy.copy_to_host()).all():
            raise EngineError(
                f"the dynamics became unstable: a particle moved {fastest:.3g} in one step", "Use a smaller time_step."
            )
        if self._too_far.copy_to_host().any():
            raise EngineError(
                "the draws have drifted too far apart for lists on the GPU: two images of a neighbour may matter",
                "Use lockstep on the CPU, which knows images, or shorter runs.",
            )
        return True

    def _empty_list(self, room: int) -> tuple[Any, Any, Any]:
        per_particle = self._shape[:2]
        return (
            cuda.to_device(np.zeros(per_particle, np.int32)),
            cuda.to_device(np.zeros((*per_particle, room), np.int32)),
            cuda.to_device(np.zeros((*per_particle, room, 3), np.float32)),
        )

    def _to_host(self, lanes_last: NDArray[Any]) -> FloatArray:
        result: FloatArray = lanes_last[..., : self.draws].transpose(0, 3, 1, 2)
        return result


def _check(configurations: list[Configuration], mixture: Mixture, velocities: FloatArray) -> None:
    number, particles = len(configurations), configurations[0].particles
    if velocities.shape != (number, velocities.shape[1], particles, 3) or not 0 < velocities.shape[1] <= LANES:
        raise ConfigurationError(
            f"got velocities of shape {velocities.shape}; expected {number} configurations, 1 to {LANES} draws,"
            f" {particles} particles, 3 dimensions"
        )
    for configuration in configurations:
        check_configuration(configuration, "the start of a simulation")
        if configuration.particles != particles:
            raise ConfigurationError(
                f"got configurations of {particles} and of {configuration.particles} particles; expected one size"
            )
        if configuration.edges.min() < 2 * (mixture.cutoff.max() + OUTER_SKIN):
            raise ConfigurationError(
                f"got box edges {configuration.edges.round(3).tolist()}; expected at least"
                f" {2 * (mixture.cutoff.max() + OUTER_SKIN):g} for lists on the GPU",
                "Use more particles.",
            )
