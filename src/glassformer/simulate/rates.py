"""The rates of this machine: steps per second of one core, or of its device, and the time of a quench."""

import functools
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.campaign import Campaign
from glassformer.core.errors import EngineError
from glassformer.core.progress import Progress
from glassformer.core.seeds import named_seed
from glassformer.dataset.mixtures import mixture_of
from glassformer.physics.configuration import Configuration
from glassformer.physics.inherent import inherent_structure
from glassformer.physics.mixture import Mixture
from glassformer.physics.velocities import maxwell_boltzmann
from glassformer.simulate.draws import check_engine, engine_of
from glassformer.simulate.equilibration import random_configuration
from glassformer.simulate.isoconfigurational import DRAWS
from glassformer.simulate.lammps import Lammps
from glassformer.simulate.lockstep.widths import WIDTHS

# Seconds over which a rate is measured, the steps of the first try, and the most particles on which.
SECONDS, FIRST_STEPS = 0.6, 20
MEASURED_PARTICLES = 1000
MELT_TEMPERATURE, MELT_TIME_STEP, MELT_STEPS = 1.0, 0.005, 500
DRAWN_TEMPERATURE = 0.5
# Draws and equilibrations with which a device is measured: a million particles of them, and a quarter of that.
DEVICE_DRAWS, DEVICE_RUNS = 1024, 256
# More than a measurement can take.
MOST_STEPS = 1_000_000_000


@dataclass(frozen=True)
class Rates:
    """Steps per second of one core: of the equilibration in LAMMPS, and of draws, each counted by itself.

    With engine 'cuda' both are the whole device's. `others`: those of draws by other engines, by their names.
    `measured_particles`: the size at which they were measured, if it is not the campaign's; they are scaled from there.
    """

    engine: str
    equilibration: float
    draws: float
    measured_particles: int = 0
    others: Mapping[str, float] = field(default_factory=dict)

    @property
    def scaled(self) -> str:
        """How they were scaled, or nothing."""
        return f" at N = {self.measured_particles} and scaled by 1/N" if self.measured_particles else ""


def measure_rates(campaign: Campaign, progress: Progress) -> Rates:
    """Measure the rates of one core of this machine, or of its device, in seconds.

    On at most `MEASURED_PARTICLES`, scaled from there.

    What was measured once in this process is not measured again.
    """
    particles = min(campaign.particles, MEASURED_PARTICLES)
    progress.say(f"measuring the rates of this machine, N = {particles} (seconds)")
    engine = engine_of(campaign)
    check_engine(campaign)
    scale = particles / campaign.particles
    arguments = (
        mixture_of(campaign.mixture),
        particles,
        campaign.state_points[0].pressure is not None,
        campaign.state_points[0].density or campaign.equilibration.start_density,
        campaign.equilibration.time_step,
        campaign.time_step,
    )
    others = {}
    if engine == "cuda":
        equilibration, draws = _measured_on_device(*arguments)
        with suppress(EngineError):
            others = {"LAMMPS": scale * _measured(*arguments, "lammps")[0]}
    else:
        equilibration, draws = _measured(*arguments, engine)
        others = {"LAMMPS": scale * equilibration} if engine == "lockstep" else {}
    return Rates(
        "LAMMPS" if engine == "lammps" else engine,
        scale * equilibration,
        scale * draws,
        0 if particles == campaign.particles else particles,
        others,
    )


def measure_quench(campaign: Campaign, progress: Progress) -> float:
    """Return the seconds that one core takes for an inherent structure: of a hot liquid, scaled as the rates are."""
    particles = min(campaign.particles, MEASURED_PARTICLES)
    progress.say(f"measuring the search for an inherent structure, N = {particles} (seconds)")
    density = campaign.state_points[0].density or campaign.equilibration.start_density
    on_device = engine_of(campaign) == "cuda"
    return campaign.particles / particles * _quench_seconds(mixture_of(campaign.mixture), particles, density, on_device)


@functools.cache
def _quench_seconds(mixture: Mixture, particles: int, density: float, on_device: bool) -> float:
    liquid = (_liquid_of_device if on_device else _liquid)(mixture, particles, density)[0]
    with suppress(EngineError):
        # A few steps of the descent, which compile it.
        inherent_structure(liquid, mixture, most_evaluations=50)
    began = time.perf_counter()
    inherent_structure(liquid, mixture)
    return time.perf_counter() - began


@functools.cache
def _measured(
    mixture: Mixture, particles: int, npt: bool, density: float, time_step: float, draw_step: float, engine_name: str
) -> tuple[float, float]:
    """Return the steps per second of the equilibration, and of draws: in full vectors with lockstep."""
    liquid, velocities = _liquid(mixture, particles, density)
    damping = 100 * time_step
    with Lammps(liquid, mixture, time_step, velocities) as engine:
        engine.begin_nvt((MELT_TEMPERATURE, MELT_TEMPERATURE), MOST_STEPS, damping)
        if npt:
            pressures = (engine.pressure(), engine.pressure())
            engine.begin_npt((MELT_TEMPERATURE, MELT_TEMPERATURE), pressures, MOST_STEPS, damping)
        equilibration = _rate(engine.advance)
    if engine_name == "lammps":
        return equilibration, equilibration
    from glassformer.simulate.lockstep.engine import Lockstep

    drawn = _drawn(liquid, mixture, DRAWS)
    return equilibration, DRAWS * _rate(Lockstep(liquid, mixture, draw_step, drawn).advance)


@functools.cache
def _measured_on_device(
    mixture: Mixture, particles: int, npt: bool, density: float, time_step: float, draw_step: float
) -> tuple[float, float]:
    """Return the steps per second of all equilibrations on the CUDA device, and of all draws, in full vectors."""
    from glassformer.simulate.lockstep.cuda import LockstepCuda
    from glassformer.simulate.lockstep.cuda_coupled import Bath, CoupledCuda

    liquid, velocities, pressure = _liquid_of_device(mixture, particles, density)
    bath = Bath((MELT_TEMPERATURE, MELT_TEMPERATURE), (pressure, pressure) if npt else None)
    many = DEVICE_RUNS
    together = CoupledCuda(
        [liquid] * many, mixture, time_step, [velocities] * many, [bath] * many, range(many), 100 * time_step
    )
    equilibration = many * _rate(together.advance)
    vectors = np.split(_drawn(liquid, mixture, DEVICE_DRAWS), DEVICE_DRAWS // max(WIDTHS))
    engine = LockstepCuda([liquid] * len(vectors), mixture, draw_step, vectors)
    return equilibration, DEVICE_DRAWS * _rate(engine.advance)


@functools.cache
def _liquid_of_device(mixture: Mixture, particles: int, density: float) -> tuple[Configuration, FloatArray, float]:
    """Return a hot liquid at `density`, its velocities and its pressure, made without LAMMPS."""
    from glassformer.simulate.lockstep.cuda_coupled import Bath, CoupledCuda
    from glassformer.simulate.lockstep.device_runs import Conductor, DeviceStarter

    random = random_configuration(mixture, particles, density, named_seed(0, "plan", "start"))
    start = DeviceStarter(Conductor(mixture, MELT_TIME_STEP), 0).relaxed(random)
    melt = list(_drawn(start, mixture, 1, MELT_TEMPERATURE))
    hot = Bath((MELT_TEMPERATURE, MELT_TEMPERATURE))
    one = CoupledCuda([start], mixture, MELT_TIME_STEP, melt, [hot], [0], 100 * MELT_TIME_STEP)
    one.advance(MELT_STEPS)
    return one.configuration(0), one.velocities(0)[0], one.pressure(0)


def _drawn(liquid: Configuration, mixture: Mixture, number: int, temperature: float = DRAWN_TEMPERATURE) -> FloatArray:
    """Return velocities (`number`, N, 3) of draws."""
    masses = mixture.masses_of(liquid.species)
    seeds = [named_seed(0, "plan", draw) for draw in range(number)]
    return np.stack([maxwell_boltzmann(seed, masses, temperature, mixture.dimension) for seed in seeds])


@functools.cache
def _liquid(mixture: Mixture, particles: int, density: float) -> tuple[Configuration, Any]:
    """Return a hot liquid at `density`, and its velocities."""
    start = random_configuration(mixture, particles, density, named_seed(0, "plan", "start"))
    with Lammps(start, mixture, MELT_TIME_STEP) as engine:
        engine.minimise()
        start = engine.configuration()
    masses = mixture.masses_of(start.species)
    velocities = maxwell_boltzmann(named_seed(0, "plan", "melt"), masses, MELT_TEMPERATURE, mixture.dimension)
    with Lammps(start, mixture, MELT_TIME_STEP, velocities) as engine:
        engine.begin_nvt((MELT_TEMPERATURE, MELT_TEMPERATURE), MELT_STEPS, 100 * MELT_TIME_STEP)
        engine.advance(MELT_STEPS)
        return engine.configuration(), engine.velocities()


def _rate(advance: Any) -> float:
    """Return steps per second: of ever more steps until they take `SECONDS`, after a first call, which compiles."""
    advance(1)
    steps = FIRST_STEPS
    while True:
        began = time.perf_counter()
        advance(steps)
        took = time.perf_counter() - began
        if took > SECONDS / 2:
            return steps / took
        steps = math.ceil(steps * min(10.0, 1.2 * SECONDS / max(took, 1e-3)))
