"""Many independent trajectories on a GPU at given temperatures, and pressures where there are any."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import cuda
from numpy.typing import DTypeLike

from glassformer.core.arrays import FloatArray
from glassformer.core.seeds import generator, named_seed
from glassformer.physics.box import wrap
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture
from glassformer.simulate.lockstep import coupling
from glassformer.simulate.lockstep import cuda as engine
from glassformer.simulate.lockstep import cuda_kernels as kernels
from glassformer.simulate.lockstep.cuda import LockstepCuda
from glassformer.simulate.lockstep.cuda_memory import within_memory

# Isothermal compressibility that the barostat assumes; it sets how fast volumes relax, not what they relax to.
COMPRESSIBILITY = 0.02


@dataclass(frozen=True)
class Bath:
    """What a trajectory is held at: `temperatures`, and `pressures` where the volume may change.

    From the first value at step `first` linearly to the second, `steps` later.
    """

    temperatures: tuple[float, float]
    pressures: tuple[float, float] | None = None
    first: int = 0
    steps: int = 1

    def at(self, step: int) -> tuple[float, float]:
        """Return temperature and pressure at `step`."""
        part = min(max((step - self.first) / self.steps, 0.0), 1.0)
        ends = self.temperatures, self.pressures or (0.0, 0.0)
        temperature, pressure = (begin + part * (end - begin) for begin, end in ends)
        return temperature, pressure


class CoupledCuda(LockstepCuda):
    """One trajectory of each of `configurations`, of one size, with `velocities` (V, N, 3) of zero total momentum.

    Every `TOGETHER` steps velocities and boxes are rescaled at random (`coupling`): NVT, or NPT if the baths have
    pressures; without `baths`, NVE. `seeds` (V,) decide the random numbers of each. `relaxation`: relaxation time of
    the kinetic energy, and ten times as long that of the volume. Raises as `LockstepCuda` does.
    """

    _state_names = ("u", "low", "w", "scale", "volume")

    @within_memory
    def __init__(
        self,
        configurations: Sequence[Configuration],
        mixture: Mixture,
        time_step: float,
        velocities: Sequence[FloatArray],
        baths: Sequence[Bath] = (),
        seeds: Sequence[int] = (),
        relaxation: float = 0.5,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self._baths, self._seeds = tuple(baths), tuple(seeds)
        self._configurations = configurations
        interval = engine.TOGETHER * time_step
        npt = bool(baths) and baths[0].pressures is not None
        self._decay = math.exp(-interval / relaxation) if baths else 1.0
        self._mobility = COMPRESSIBILITY * interval / (10 * relaxation) if npt else 0.0
        self._freedoms = mixture.dimension * (configurations[0].particles - 1)
        number, couplings = len(configurations), engine.REFRESH_STEPS // engine.TOGETHER
        volumes = [math.prod(c.edges) for c in configurations]
        self._volume = cuda.to_device(np.stack([volumes, np.zeros(number)], 1))
        self._noise = cuda.to_device(np.zeros((couplings, number, 5)))
        self._counter = cuda.to_device(np.zeros(number, np.int32))
        self._kinetic, self._factor = (cuda.to_device(np.ones(number)) for _ in range(2))
        super().__init__(configurations, mixture, time_step, [one[None] for one in velocities], 1, dtype)

    def configuration(self, vector: int) -> Configuration:
        """Return the present configuration of a trajectory, in its present box."""
        start, scale = self._configurations[vector], self._scales(vector)
        box = start.box * scale
        return Configuration(wrap(self.fractions(vector) * box, box), start.species, box)

    def fractions(self, vector: int) -> FloatArray:
        """Return the unwrapped positions as fractions of the box, (N, 3)."""
        start = self._configurations[vector]
        fractions: FloatArray = (start.positions + self.displacements(vector)[0]) / start.box
        return fractions

    def box(self, vector: int) -> FloatArray:
        """Return the present box, (3,)."""
        edges: FloatArray = self._configurations[vector].box * self._scales(vector)
        return edges

    def temperature(self, vector: int) -> float:
        """Return 2 K / N_f."""
        return 2 * self._kinetic_energy(vector) / self._freedoms

    def pressure(self, vector: int) -> float:
        """Return the instantaneous pressure."""
        dimension, edges = self._mixture.dimension, self.box(vector)
        volume = float(np.prod(edges[:dimension]))
        return coupling.pressure_of(self._kinetic_energy(vector), float(self.virial(vector)[0]), volume, dimension)

    def _kinetic_energy(self, vector: int) -> float:
        return float(0.5 * (self._masses[vector][:, None] * self.velocities(vector)[0] ** 2).sum())

    def _scales(self, vector: int) -> FloatArray:
        """Return the present stretch of every edge, (3,)."""
        scale = np.ones(3)
        scale[: self._mixture.dimension] = float(self._scale[vector].copy_to_host()[0])
        return scale

    def _state(self) -> list[Any]:
        return [*super()._state(), self._scale, self._volume]

    def _parameters(self, configurations: Sequence[Configuration]) -> None:
        super()._parameters(configurations)
        self._mass = cuda.to_device(self._masses)
        self._half_step = cuda.to_device(self._time_step / 2 / self._masses)

    def _launch_coupling(self, stream: Any) -> None:
        if self._decay >= 1 and not self._mobility:
            return
        kernels.couple[self._shape[0], kernels.WIDE, stream](
            self._w, self._f, self._mass, self._half_step, self._virial, self._noise, self._counter, self._volume,
            self._kinetic, self._factor, self._scale, self._decay, self._mobility, self._freedoms,
            self._mixture.dimension,
        )  # fmt: skip
        kernels.rescale[self._by_rows(stream)](self._w, self._f, self._half_step, self._factor)

    def _refresh(self) -> None:
        """Make lists and forces again, before a scale that waits for the next leap, and draw random numbers."""
        scale = self._scale.copy_to_host()
        self._scale.copy_to_device(np.repeat(scale[:, :1], 2, 1))
        super()._refresh()
        self._scale.copy_to_device(scale)
        self._before[self._state_names.index("scale")].copy_to_device(scale)
        self._counter.copy_to_device(np.zeros(self._shape[0], np.int32))
        if self._baths:
            self._noise.copy_to_device(np.stack([self._numbers(v) for v in range(self._shape[0])], 1))

    def _numbers(self, vector: int) -> FloatArray:
        """Return the random numbers, temperatures and pressures of a trajectory's couplings up to the next refresh."""
        couplings = self._noise.shape[0]
        random = generator(named_seed(self._seeds[vector], "coupling", self.steps))
        steps = self.steps + engine.TOGETHER * np.arange(1, couplings + 1)
        held = np.array([self._baths[vector].at(int(step)) for step in steps])
        normal, rest = random.normal(size=(couplings, 2)), random.chisquare(self._freedoms - 1, couplings)
        return np.concatenate([normal, rest[:, None], held], 1)
