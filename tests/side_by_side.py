"""Trajectories side by side on the processor, as plain loops: what `CoupledCuda` does on a device, slow and obvious."""

import math
from collections.abc import Sequence

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import UnstableError
from glassformer.core.seeds import generator, named_seed
from glassformer.physics.box import wrap
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture
from glassformer.simulate.lockstep.coupling import pressure_of, rescaling, strain
from glassformer.simulate.lockstep.cuda_coupled import COMPRESSIBILITY, Bath
from tests.coupled_dynamics import forces_of

EVERY = 10


class SideBySide:
    """Trajectories of `mixture`, whose masses are 1, as `Conductor` asks for them."""

    def __init__(
        self,
        mixture: Mixture,
        time_step: float,
        configurations: Sequence[Configuration],
        velocities: Sequence[FloatArray],
        baths: Sequence[Bath],
        seeds: Sequence[int],
        damping: float,
    ) -> None:
        self.steps, self.unstable = 0, set[int]()
        self._mixture, self._time_step = mixture, time_step
        self._starts, self._baths, self._seeds = configurations, baths, seeds
        self._freedoms = 3 * (configurations[0].particles - 1)
        self._decay = math.exp(-EVERY * time_step / damping)
        self._mobility = COMPRESSIBILITY * EVERY * time_step / (10 * damping)
        self._q = [one.positions.copy() for one in configurations]
        self._v = [one.copy() for one in velocities]
        self._scale = [1.0] * len(configurations)
        self._seen = [forces_of(one, 1.0, mixture, one.positions) for one in configurations]

    def advance(self, steps: int) -> None:
        for _ in range(steps):
            self.steps += 1
            for number in range(len(self._starts)):
                self._step(number)

    def _step(self, number: int) -> None:
        dt, q, v = self._time_step, self._q[number], self._v[number]
        force, _, _ = self._seen[number]
        v += force * (dt / 2)
        if np.abs(v).max() * dt > 0.5:
            self.unstable.add(number)
            v[:] = 0
        q += v * (dt / self._scale[number])
        self._evaluate(number)
        v += self._seen[number][0] * (dt / 2)
        if self.steps % EVERY == 0:
            self._couple(number)

    def _couple(self, number: int) -> None:
        random = generator(named_seed(self._seeds[number], "coupling", self.steps))
        normal, of_volume, rest = random.normal(), random.normal(), random.chisquare(self._freedoms - 1)
        temperature, pressure = self._baths[number].at(self.steps)
        v = self._v[number]
        v *= rescaling(self._kinetic(number), temperature, self._freedoms, self._decay, normal, rest)
        if self._baths[number].pressures is None:
            return
        volume = float(np.prod(self.box(number)))
        change = strain(self.pressure(number), pressure, temperature, volume, self._mobility, of_volume)
        stretch = math.exp(change / 3)
        self._scale[number] *= stretch
        v /= stretch
        self._evaluate(number)

    def _evaluate(self, number: int) -> None:
        start = self._starts[number]
        self._seen[number] = forces_of(start, self._scale[number], self._mixture, self._q[number])

    def _kinetic(self, number: int) -> float:
        return float(0.5 * (self._v[number] ** 2).sum())

    def instability(self, number: int) -> UnstableError:
        return UnstableError("the dynamics became unstable", "Use a smaller time_step.", (0,))

    def configuration(self, number: int) -> Configuration:
        box = self.box(number)
        return Configuration(wrap(self.fractions(number) * box, box), self._starts[number].species, box)

    def fractions(self, number: int) -> FloatArray:
        return self._q[number] / self._starts[number].box

    def velocities(self, number: int) -> FloatArray:
        return self._v[number][None].copy()

    def box(self, number: int) -> FloatArray:
        return self._starts[number].box * self._scale[number]

    def potential_energy(self, number: int) -> FloatArray:
        return np.array([self._seen[number][1]])

    def temperature(self, number: int) -> float:
        return 2 * self._kinetic(number) / self._freedoms

    def pressure(self, number: int) -> float:
        volume = float(np.prod(self.box(number)))
        return pressure_of(self._kinetic(number), self._seen[number][2], volume, 3)
