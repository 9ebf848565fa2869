"""Equilibrations that share a CUDA device: each in a thread of its own, all advanced together.

A run is cut into segments, which end at its checkpoints. Every segment begins with new lists and its own random
numbers, from positions and velocities alone; so a run's numbers do not depend on the others, on when they began, or on
whether it was stopped in between.
"""

import io
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.errors import EngineError
from glassformer.core.seeds import named_seed
from glassformer.physics.box import wrap
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture
from glassformer.physics.pair_forces import PairForces
from glassformer.simulate.lockstep.cuda import vector_bytes
from glassformer.simulate.lockstep.cuda_coupled import Bath, CoupledCuda
from glassformer.simulate.lockstep.cuda_memory import free_bytes

T = TypeVar("T")

# Share of the device's free memory that trajectories are planned for.
SHARE = 0.6
# Overlaps are removed in so many moves along the forces, none longer than this.
MOVES, LONGEST_MOVE = 500, 0.02

# Trajectories side by side, such as `CoupledCuda`: configurations, velocities, baths, seeds and the relaxation time.
Together = Callable[[Sequence[Configuration], Sequence[FloatArray], Sequence[Bath], Sequence[int], float], Any]


class Conductor:
    """Advances the runs of `active` threads together: whenever all of them wait for it.

    `threads` compute on the processor meanwhile. `together` makes the trajectories of a group, by default on the
    device; `room`: how many of so many particles fit.
    """

    def __init__(
        self,
        mixture: Mixture,
        time_step: float,
        active: int = 1,
        threads: int = 1,
        together: Together | None = None,
        room: Callable[[int], int] | None = None,
    ) -> None:
        self.mixture, self._time_step = mixture, time_step
        self._active = active
        self._together, self._room = together or self._on_device, room or _device_room
        self._turn = threading.Condition()
        self._beginning: list[DeviceRun] = []
        self._advancing: list[DeviceRun] = []
        # Of the threads, so many may compute on the processor at a time.
        self.processor = threading.Semaphore(threads)

    def begin(self, run: "DeviceRun") -> None:
        """Wait until all are ready for a segment, and give `run` its place in one. Raises `EngineError`."""
        self._wait(run, self._beginning)

    def advance(self, run: "DeviceRun") -> None:
        """Wait until `run` has gone the steps that it wants to. Raises `EngineError`."""
        self._wait(run, self._advancing)

    def leave(self) -> None:
        """Take one thread less into account: it has ended."""
        with self._turn:
            self._active -= 1
            self._go_on()

    def _wait(self, run: "DeviceRun", queue: list["DeviceRun"]) -> None:
        with self._turn:
            queue.append(run)
            self._go_on()
            self._turn.wait_for(lambda: run not in queue)
            error, run.error = run.error, None
        if error is not None:
            raise error

    def _go_on(self) -> None:
        """If nobody is left to wait for, advance those that want to, or else begin segments."""
        if len(self._beginning) + len(self._advancing) < self._active:
            return
        try:
            if self._advancing:
                self._advance_all()
            elif self._beginning:
                self._begin_all()
        # Whatever it is: who is not told would wait for ever.
        except Exception as error:
            for run in (*self._beginning, *self._advancing):
                run.error = error
            self._beginning.clear()
            self._advancing.clear()
        self._turn.notify_all()

    def _advance_all(self) -> None:
        groups: dict[int, list[DeviceRun]] = {}
        for run in self._advancing:
            groups.setdefault(id(run.engine), []).append(run)
        for members in groups.values():
            self._advance_group(members, min(run.wanted for run in members))
        self._advancing[:] = [run for run in self._advancing if run.wanted > 0 and run.error is None]

    def _advance_group(self, members: list["DeviceRun"], steps: int) -> None:
        """Advance runs with one engine; if that fails, each by itself, so that one does not cost the others."""
        try:
            members[0].engine.advance(steps)
        except Exception as error:
            if len(members) == 1:
                members[0].error = error
                return
        else:
            for run in members:
                run.note(steps)
            return
        # Outside of the handler and before others are made: the frames of an error, too, hold the engine.
        for run in members:
            run.engine = None
        for run in members:
            # From the segment's start, in lists of its own.
            self._give_places([run])
            if run.error is None:
                self._catch_up(run, steps)

    def _catch_up(self, run: "DeviceRun", steps: int) -> None:
        try:
            run.engine.advance(run.gone + steps)
        except Exception as error:
            run.error = error
            return
        run.note(steps)

    def _begin_all(self) -> None:
        """Begin the segments of as many runs as fit at a time; the others wait until these have ended theirs."""
        room = max(1, self._room(self._beginning[0].start.particles))
        chosen, self._beginning[:] = self._beginning[:room], self._beginning[room:]
        alike: dict[tuple[Any, ...], list[DeviceRun]] = {}
        for run in chosen:
            alike.setdefault((run.bath.pressures is None, run.damping, run.start.particles), []).append(run)
        for runs in alike.values():
            self._give_places(runs)

    def _give_places(self, runs: list["DeviceRun"]) -> None:
        """Give `runs` an engine; if that fails, each one of its own."""
        try:
            engine = self._together(
                [run.start for run in runs],
                [run.start_velocities for run in runs],
                [run.bath for run in runs],
                [run.seed_of_segment for run in runs],
                runs[0].damping,
            )
        except Exception as error:
            if len(runs) == 1:
                runs[0].error = error
                return
        else:
            for number, run in enumerate(runs):
                run.engine, run.number = engine, number
            return
        for run in runs:
            self._give_places([run])

    def _on_device(
        self,
        configurations: Sequence[Configuration],
        velocities: Sequence[FloatArray],
        baths: Sequence[Bath],
        seeds: Sequence[int],
        damping: float,
    ) -> CoupledCuda:
        return CoupledCuda(configurations, self.mixture, self._time_step, velocities, baths, seeds, damping)


def _device_room(particles: int) -> int:
    return int(SHARE * free_bytes() / vector_bytes(particles, 1))


class DeviceRun:
    """One trajectory among others; `simulate.runs.Run` says what its methods do.

    `start`, `start_velocities`: where its segment begins; `images` (N, 3): the boxes that its particles have crossed
    before; `gone`: steps of the present segment; `wanted`: those that it waits for. `order`: its number among those of
    one `seed`; `done`: steps of all segments before.
    """

    def __init__(
        self,
        conductor: Conductor,
        start: Configuration,
        velocities: FloatArray,
        seed: int,
        order: int,
        images: FloatArray | None = None,
        done: int = 0,
    ) -> None:
        self._conductor, self._seed, self._order, self._done = conductor, seed, order, done
        self.start, self.start_velocities = start, velocities
        self._images = np.zeros_like(start.positions) if images is None else images
        self.engine: Any = None
        self.number, self.wanted, self.gone = 0, 0, 0
        self.error: Exception | None = None
        self.bath, self.damping = Bath((1.0, 1.0)), 1.0

    @property
    def seed_of_segment(self) -> int:
        """What decides the random numbers of the present segment."""
        return named_seed(self._seed, "run", self._order, "segment", self._done)

    def begin_npt(
        self,
        temperatures: tuple[float, float],
        pressures: tuple[float, float],
        steps: int,
        damping_time: float,
        done: int = 0,
    ) -> None:
        """Prepare a segment at constant pressure, by stochastic rescaling of velocities and box."""
        self._begin(Bath(temperatures, pressures, -done, steps), damping_time)

    def begin_nvt(self, temperatures: tuple[float, float], steps: int, damping_time: float, done: int = 0) -> None:
        """Prepare a segment at constant volume, by stochastic rescaling of velocities."""
        self._begin(Bath(temperatures, None, -done, steps), damping_time)

    def _begin(self, bath: Bath, damping: float) -> None:
        self.bath, self.damping, self.gone = bath, damping, 0
        self._conductor.begin(self)

    def advance(self, steps: int) -> None:
        """Advance by `steps`, together with the others."""
        self.wanted = steps
        self._conductor.advance(self)

    def note(self, steps: int) -> None:
        """Take that the engine has advanced by `steps`, and whether this run has become unstable."""
        self.wanted -= steps
        self.gone += steps
        if self.number in self.engine.unstable:
            self.error = self.engine.instability(self.number)

    def renew(self) -> NDArray[Any]:
        """End the segment; return what the next begins with, as bytes."""
        fractions, box = self.fractions(), self.box()
        images = np.floor(fractions)
        flat = self._conductor.mixture.dimension == 2
        if flat:
            images[:, 2] = 0
        positions = wrap((fractions - images) * box, box)
        if flat:
            positions[:, 2] = self.start.positions[:, 2]
        velocities = self.velocities()
        self._done += self.gone
        self.start, self.start_velocities = Configuration(positions, self.start.species, box), velocities
        self._images, self.engine, self.gone = images, None, 0
        state: dict[str, Any] = {"positions": positions, "box": box, "velocities": velocities, "images": images}
        stream = io.BytesIO()
        np.savez(stream, **state, number=np.array(self._order), done=np.array(self._done))
        return np.frombuffer(stream.getvalue(), np.uint8)

    def configuration(self) -> Configuration:
        """Return the present structure, wrapped."""
        found: Configuration = self.start if self.engine is None else self.engine.configuration(self.number)
        return found

    def fractions(self) -> FloatArray:
        """Return the unwrapped positions (N, 3) as fractions of the present box."""
        inside = self.start.positions / self.start.box if self.engine is None else self.engine.fractions(self.number)
        unwrapped: FloatArray = inside + self._images
        return unwrapped

    def velocities(self) -> FloatArray:
        """Return the velocities (N, 3)."""
        found: FloatArray = self.start_velocities if self.engine is None else self.engine.velocities(self.number)[0]
        return found

    def box(self) -> FloatArray:
        """Return the present box edges (3,)."""
        edges: FloatArray = self.start.box if self.engine is None else self.engine.box(self.number)
        return edges

    def potential_energy(self) -> float:
        """Return the potential energy U of the whole system, in a segment."""
        return float(self.engine.potential_energy(self.number)[0])

    def temperature(self) -> float:
        """Return the instantaneous temperature, in a segment."""
        return float(self.engine.temperature(self.number))

    def pressure(self) -> float:
        """Return the instantaneous pressure, in a segment."""
        return float(self.engine.pressure(self.number))

    def close(self) -> None:
        """Leave the segment."""
        self.engine = None


class DeviceStarter:
    """Runs that a `conductor` advances; `seed` decides the random numbers of those that are started."""

    def __init__(self, conductor: Conductor, seed: int) -> None:
        self._conductor, self._seed, self._started = conductor, seed, 0

    def relaxed(self, configuration: Configuration) -> Configuration:
        """Return `configuration` without overlaps: every particle goes along its force, never far at a time.

        On the processor. Raises `EngineError` if forces stay without bounds.
        """
        with self._conductor.processor:
            return self._relaxed(configuration)

    def _relaxed(self, configuration: Configuration) -> Configuration:
        forces, positions = PairForces(configuration, self._conductor.mixture), configuration.positions.copy()
        for _ in range(MOVES):
            with np.errstate(over="ignore", invalid="ignore"):
                here = forces(positions)
                length = np.sqrt((here.force**2).sum(1))[:, None]
                move = here.force / length * np.minimum(LONGEST_MOVE, length / here.stiffness)
            # Where two particles are in one place there is no direction.
            positions = positions + np.where(np.isfinite(move), move, 0.0)
        if not np.isfinite(positions).all():
            raise EngineError("the overlaps of a random start cannot be removed", "Use a lower start_density.")
        return Configuration(wrap(positions, configuration.box), configuration.species, configuration.box)

    def start(self, configuration: Configuration, velocities: FloatArray) -> DeviceRun:
        """Start a run."""
        self._started += 1
        return DeviceRun(self._conductor, configuration, velocities, self._seed, self._started)

    def resume(self, contents: NDArray[Any], species: ByteArray) -> DeviceRun:
        """Continue from what `DeviceRun.renew` returned."""
        with np.load(io.BytesIO(contents.tobytes())) as saved:
            start = Configuration(saved["positions"], species, saved["box"])
            self._started = int(saved["number"])
            return DeviceRun(
                self._conductor, start, saved["velocities"], self._seed, self._started, saved["images"],
                int(saved["done"]),
            )  # fmt: skip
