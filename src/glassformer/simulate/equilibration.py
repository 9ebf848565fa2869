"""From a start to equilibrium: the run that makes a configuration, with its proof, from checkpoint to checkpoint.

At every checkpoint, and at every stage's end, the run is renewed: LAMMPS's state goes through its restart file, whether
the run was stopped there or not, so that a resumed run is the same to the last bit.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassformer.core.campaign import Campaign, StatePointSettings
from glassformer.core.errors import ConfigurationError, EngineError
from glassformer.core.seeds import generator, named_seed
from glassformer.dataset.mixtures import mixture_of
from glassformer.dataset.sample import EquilibrationRecord
from glassformer.dataset.sample_checks import DENSITY_TOLERANCE
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture
from glassformer.physics.velocities import maxwell_boltzmann
from glassformer.simulate.hold import Hold
from glassformer.simulate.isoconfigurational import CHUNK, Report
from glassformer.simulate.lammps import checkpoint_steps
from glassformer.simulate.runs import LammpsStarter, Run, Starter
from glassformer.simulate.stages import Stage, approach, hold, settle
from glassformer.simulate.unfinished import Unfinished

# Part of every sample's parameter hash: raise it when a change here or in the draws changes their numbers.
PROTOCOL_VERSION = 3
# Rows of the trace that a stage adds at most, about.
TRACE_ROWS = 400
TRACE = ("time", "temperature", "pressure", "density", "potential_energy")
EQUILIBRATION_CHECKPOINT = "equilibration"
STRUCTURE = ("positions", "species", "box")


@dataclass(frozen=True, eq=False)
class Equilibrated:
    """A configuration, the record of how it came about, and whether it is in equilibrium as far as was measured.

    Of one that was taken as it was, there is no record, and nothing was measured.
    """

    configuration: Configuration
    record: EquilibrationRecord | None
    equilibrated: bool | None
    held: float
    tau_alpha: float

    def as_arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything as arrays by name."""
        assert self.record is not None
        scalars = {name: np.array(getattr(self, name)) for name in ("equilibrated", "held", "tau_alpha")}
        record = {f"record_{name}": array for name, array in vars(self.record).items()}
        return {name: getattr(self.configuration, name) for name in STRUCTURE} | record | scalars

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Equilibrated":
        """Return what `as_arrays` took apart."""
        configuration = Configuration(*(arrays[name] for name in STRUCTURE))
        fields = EquilibrationRecord.__dataclass_fields__
        record = EquilibrationRecord(**{name: arrays[f"record_{name}"] for name in fields})
        return cls(
            configuration, record, bool(arrays["equilibrated"]), float(arrays["held"]), float(arrays["tau_alpha"])
        )


def equilibrate(
    campaign: Campaign,
    point: StatePointSettings,
    index: int,
    report: Report,
    unfinished: Unfinished,
    start: Configuration | None = None,
    starter: Starter | None = None,
) -> Equilibrated:
    """Make configuration number `index` at `point`: minimise, go through the stages, hold until equilibrium is seen.

    With a pressure every run is NPT, with a density NVT: Nose-Hoover in LAMMPS, else as `starter` does it. `start`
    takes the place of the random start and the stages: it is brought to the state point's density, if it has one, and
    held. `starter` takes the place of LAMMPS. Raises `EngineError`, `StorageError`.
    """
    run = _Run(campaign, point, index, report, unfinished, start, starter)
    run.to_the_end()
    return run.result()


def as_given(start: Configuration | None, point: StatePointSettings) -> Equilibrated:
    """Return `start` as it is. Raises `ConfigurationError` if it is not at the density of `point`."""
    assert start is not None
    if point.density is not None and abs(start.density / point.density - 1) > DENSITY_TOLERANCE:
        raise ConfigurationError(
            f"got a configuration of density {start.density:.5g} to take as it is at density {point.density:g}",
            "Set density to that of the configuration, or let it be scaled and held: equilibration.as_given = false.",
        )
    bare = Configuration(start.positions, start.species, start.box)
    return Equilibrated(bare, None, None, math.nan, math.nan)


def random_configuration(mixture: Mixture, particles: int, density: float, seed: int) -> Configuration:
    """Return `mixture` at uniformly random positions in a cube or, in two dimensions, a square: overlaps and all."""
    dimension = mixture.dimension
    edge = (particles / density) ** (1 / dimension)
    positions = np.zeros((particles, 3))
    positions[:, :dimension] = generator(seed).uniform(0, edge, (particles, dimension))
    return Configuration(positions, mixture.assign(particles), np.array([edge] * dimension + [1.0] * (3 - dimension)))


def at_density(configuration: Configuration, density: float) -> Configuration:
    """Return `configuration` with box and positions scaled to `density`."""
    dimension = configuration.dimension
    scale = np.ones(3)
    scale[:dimension] = (configuration.density / density) ** (1 / dimension)
    # Rounding may put a position on the edge.
    box = configuration.box * scale
    positions = configuration.positions * scale
    return Configuration(np.where(positions >= box, 0.0, positions), configuration.species, box)


class _Run:
    """The state of one equilibration: which stage, how far, and what was seen."""

    def __init__(
        self,
        campaign: Campaign,
        point: StatePointSettings,
        index: int,
        report: Report,
        unfinished: Unfinished,
        start: Configuration | None,
        starter: Starter | None,
    ) -> None:
        self._campaign, self._point, self._index = campaign, point, index
        self._settings = campaign.equilibration
        self._mixture: Mixture = mixture_of(campaign.mixture)
        self._report, self._unfinished = report, unfinished
        self._starter = starter or LammpsStarter(self._mixture, self._settings.time_step)
        self._stages = approach(campaign, point)
        self._window = hold(campaign, point)
        self._species = self._mixture.assign(campaign.particles) if start is None else start.species
        self._hold = Hold(self._window.steps, self._settings.time_step, self._species, self._mixture)
        self._number, self._done, self._time = 0, 0, 0.0
        self._trace: list[tuple[float, ...]] = []
        self._engine: Run = self._resume() or self._begin(start)

    def to_the_end(self) -> None:
        """Run stage after stage."""
        while (stage := self._stage()) is not None:
            self._advance(stage)
        self._configuration = self._engine.configuration()
        self._engine.close()
        if not np.isfinite(self._configuration.positions).all():
            raise EngineError(
                "the equilibration became unstable: positions are not finite numbers", "Use a smaller time_step."
            )

    def result(self) -> Equilibrated:
        """Return what was made."""
        trace = np.array(self._trace)
        windows = self._hold.table()
        record = EquilibrationRecord(**dict(zip(TRACE, trace.T.copy(), strict=True)), windows=windows)
        return Equilibrated(
            self._configuration,
            record,
            self._hold.equilibrated(self._settings.hold_in_tau_alpha),
            held=float(windows[:, 0].sum()),
            tau_alpha=self._hold.windows[-1].tau_alpha,
        )

    def _stage(self) -> Stage | None:
        """Return the present stage, or None at the end."""
        if self._number < len(self._stages):
            return self._stages[self._number]
        windows = len(self._hold.windows)
        if self._number == len(self._stages) + windows and not self._held_enough():
            return self._window
        settles = self._settings.box == "mean-density" and self._point.pressure is not None
        if settles and self._number == len(self._stages) + windows:
            return settle(self._campaign, self._point, self._hold.mean_density())
        return None

    def _held_enough(self) -> bool:
        return len(self._hold.windows) == self._settings.most_windows or self._hold.equilibrated(
            self._settings.hold_in_tau_alpha
        )

    def _begin(self, start: Configuration | None) -> Run:
        """Return the run at the beginning: minimised random positions, or `start`, with drawn velocities."""
        point, settings = self._point, self._settings
        label, seed = point.label, self._campaign.seed
        if start is None:
            density = settings.start_density if point.density is None else point.density
            seed_of_start = named_seed(seed, label, self._index, "start")
            start = random_configuration(self._mixture, self._campaign.particles, density, seed_of_start)
            start = self._starter.relaxed(start)
        elif point.density is not None:
            start = at_density(start, point.density)
        first = self._stage()
        assert first is not None
        masses, dimension = self._mixture.masses_of(start.species), self._mixture.dimension
        seed_of_melt = named_seed(seed, label, self._index, "melt")
        velocities = maxwell_boltzmann(seed_of_melt, masses, first.temperatures[0], dimension)
        return self._starter.start(start, velocities)

    def _advance(self, stage: Stage) -> None:
        """Go through what is left of `stage`, from checkpoint to checkpoint."""
        if stage.density is not None and self._done == 0:
            self._rescale(stage.density)
        self._tell_engine(stage)
        observed = self._hold.steps() if stage.holds else np.array([], np.int64)
        if stage.holds and self._done == 0:
            self._observe(0)
        every = checkpoint_steps(self._campaign.particles)
        checkpoints = np.arange(every, stage.steps, every)
        traced = np.arange(0, stage.steps, max(CHUNK, stage.steps // TRACE_ROWS))[1:]
        stops = np.unique(np.concatenate([observed, checkpoints, traced, [stage.steps]]))
        for stop in stops[stops > self._done].tolist():
            self._engine.advance(stop - self._done)
            self._report(stop - self._done)
            self._time += (stop - self._done) * self._settings.time_step
            self._done = stop
            if stop in traced or stop == stage.steps:
                self._take_down()
            if stop in observed:
                self._observe(stop)
            if stop == stage.steps:
                self._number, self._done = self._number + 1, 0
            if stop in checkpoints or stop == stage.steps:
                self._checkpoint()
                if stop != stage.steps:
                    self._tell_engine(stage)

    def _tell_engine(self, stage: Stage) -> None:
        damping = self._settings.damping_time
        if stage.pressures is None:
            self._engine.begin_nvt(stage.temperatures, stage.steps, damping, self._done)
        else:
            self._engine.begin_npt(stage.temperatures, stage.pressures, stage.steps, damping, self._done)

    def _rescale(self, density: float) -> None:
        configuration, velocities = at_density(self._engine.configuration(), density), self._engine.velocities()
        self._engine.close()
        self._engine = self._starter.start(configuration, velocities)

    def _take_down(self) -> None:
        engine, particles = self._engine, self._campaign.particles
        density = particles / float(np.prod(engine.box()))
        energy = engine.potential_energy() / particles
        self._trace.append((self._time, engine.temperature(), engine.pressure(), density, energy))

    def _observe(self, step: int) -> None:
        energy = self._engine.potential_energy() / self._campaign.particles
        before = len(self._hold.windows)
        self._hold.observe(step, self._engine.fractions(), self._engine.box(), energy)
        if 2 <= len(self._hold.windows) != before and not self._held_enough():
            # Two windows were expected; this one was not the last.
            self._report(0, self._window.steps)

    def _checkpoint(self) -> None:
        """Save everything, and continue as a resumed run would."""
        restart = self._engine.renew()
        state = {f"hold_{name}": array for name, array in self._hold.state().items()}
        position = {"number": np.array(self._number), "done": np.array(self._done), "time": np.array(self._time)}
        trace = np.array(self._trace).reshape(-1, len(TRACE))
        self._unfinished.save(EQUILIBRATION_CHECKPOINT, state | position | {"restart": restart, "trace": trace})

    def _resume(self) -> Run | None:
        saved = self._unfinished.load(EQUILIBRATION_CHECKPOINT)
        if saved is None:
            return None
        self._hold.restore(
            {name.removeprefix("hold_"): array for name, array in saved.items() if name.startswith("hold_")}
        )
        self._number, self._done, self._time = int(saved["number"]), int(saved["done"]), float(saved["time"])
        self._trace = [tuple(map(float, row)) for row in saved["trace"]]
        windows = len(self._hold.windows)
        unexpected = max(0, windows - 2 + (windows >= 2 and not self._held_enough()))
        # What is there already is no work: less is left.
        self._report(0, unexpected * self._window.steps - round(self._time / self._settings.time_step))
        return self._starter.resume(saved["restart"], self._species)
