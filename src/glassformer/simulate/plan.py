"""What a campaign will cost: steps and bytes counted, rates measured on this machine."""

import functools
import math
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from glassformer.core.arrays import CONFIGURATION, ISOCONFIGURATIONAL, FloatArray
from glassformer.core.campaign import Campaign, StatePointSettings
from glassformer.core.errors import EngineError
from glassformer.core.progress import Progress
from glassformer.core.seeds import named_seed
from glassformer.core.words import counted
from glassformer.dataset.mixtures import mixture_of
from glassformer.physics.configuration import Configuration
from glassformer.physics.inherent import inherent_structure
from glassformer.physics.mixture import Mixture
from glassformer.physics.velocities import maxwell_boltzmann
from glassformer.simulate.campaign import all_draws_there, tasks
from glassformer.simulate.draws import check_engine, engine_of
from glassformer.simulate.equilibration import random_configuration
from glassformer.simulate.isoconfigurational import DRAWS, array_sizes
from glassformer.simulate.lammps import Lammps
from glassformer.simulate.lockstep.widths import WIDTHS
from glassformer.simulate.sample_task import Task
from glassformer.simulate.schedule import observation_steps
from glassformer.simulate.small_boxes import refuse_small_boxes, small_boxes
from glassformer.simulate.stages import fewest_steps, hold, most_steps
from glassformer.simulate.work import counted_draws

# Seconds over which a rate is measured, the steps of the first try, and the most particles on which.
SECONDS, FIRST_STEPS = 0.6, 20
MEASURED_PARTICLES = 1000
MELT_TEMPERATURE, MELT_TIME_STEP, MELT_STEPS = 1.0, 0.005, 500
DRAWN_TEMPERATURE = 0.5
# Draws and equilibrations with which a device is measured: a million particles of them, and a quarter of that.
DEVICE_DRAWS, DEVICE_RUNS = 1024, 256
# The least and the most.
Span = tuple[float, float]
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


@dataclass(frozen=True)
class Cost:
    """What is missing at one state point: configurations, hours (least and most), bytes.

    Hours of a core; with engine 'cuda', of the device. `window`: of holding, in LJ time units; 0 if nothing is held.
    """

    label: str
    configurations: int
    draws: int
    equilibration_hours: float
    most_equilibration_hours: float
    draw_hours: float
    bytes: int
    window: float = 0.0

    @property
    def hours_of_one(self) -> Span:
        """The least and the most hours of one configuration, on average."""
        one = max(1, self.configurations)
        hours = self.equilibration_hours, self.most_equilibration_hours
        return (hours[0] + self.draw_hours) / one, (hours[1] + self.draw_hours) / one


@dataclass(frozen=True)
class Plan:
    """The cost of each state point of a campaign, on `workers` cores.

    `windows`: what the lengths of the windows of holding are; `most_windows`: how many of them there are at most.
    """

    rates: Rates
    costs: tuple[Cost, ...]
    workers: int
    warnings: tuple[str, ...] = ()
    windows: str = ""
    most_windows: int = 2

    @property
    def source(self) -> str:
        """Where the rates come from."""
        return f"; measured briefly on this machine{self.rates.scaled}"

    @property
    def unit(self) -> str:
        """What the hours are those of: 'core' or 'device'."""
        return "device" if self.rates.engine == "cuda" else "core"

    @property
    def core_hours(self) -> Span:
        """The least and the most, which are reached if every hold ends at once, or none before its budget does."""
        draws = sum(cost.draw_hours for cost in self.costs)
        least, most = self.equilibration_hours
        return least + draws, most + draws

    @property
    def equilibration_hours(self) -> Span:
        """The least and the most of all equilibrations."""
        return (
            sum(cost.equilibration_hours for cost in self.costs),
            sum(cost.most_equilibration_hours for cost in self.costs),
        )

    @property
    def wall_hours(self) -> Span:
        """The least and the most, with all workers busy, and no less than the longest configuration takes."""
        whole = self.core_hours
        return whole if self.unit == "device" else shared_hours(whole, self.longest_hours, self.workers)

    @property
    def longest_hours(self) -> Span:
        """The hours that no number of cores shortens: a configuration takes one. With a device all that it does."""
        if self.unit == "device":
            return self.core_hours
        of_one = [cost.hours_of_one for cost in self.costs]
        return max((least for least, _ in of_one), default=0.0), max((most for _, most in of_one), default=0.0)

    @property
    def bytes(self) -> int:
        """Size of the files."""
        return sum(cost.bytes for cost in self.costs)

    @property
    def draw_hours(self) -> dict[str, float]:
        """Hours of a core, or of the device, that the draws take with each engine that was measured here."""
        hours = sum(cost.draw_hours for cost in self.costs)
        rates = {self.rates.engine: self.rates.draws, **self.rates.others}
        return {name: hours * self.rates.draws / rate for name, rate in rates.items()}

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        totals = {
            "unit": self.unit,
            "core_hours": self.core_hours,
            "wall_hours": self.wall_hours,
            "longest_hours": self.longest_hours,
            "bytes": self.bytes,
        }
        return asdict(self) | totals


def shared_hours(hours: Span, longest: Span, workers: int) -> Span:
    """Return how long `workers` take for tasks of `hours` in all, none of which is divided."""
    return max(hours[0] / workers, longest[0]), max(hours[1] / workers, longest[1])


def plan_campaign(campaign: Campaign, dataset: Path | None, workers: int, progress: Progress) -> Plan:
    """Return what `campaign` costs on `workers` cores, less what `dataset` holds already.

    The rates are those of a hot liquid of the campaign's size and of draws that have just begun; draws in lockstep
    become slower as they drift apart. Raises `SettingsError`, `EngineError`, and what `all_draws_there` raises.
    """
    missing: dict[str, list[int | None]] = {point.label: [] for point in campaign.state_points}
    for task, there in draws_found(campaign, dataset):
        if there is None or there < campaign.draws:
            missing[task.point.label].append(there)
    refuse_uncountable(campaign)
    warnings = small_boxes(campaign) + busy()
    for warning in warnings:
        progress.say(warning)
    rates = measure_rates(campaign, progress)
    costs = [cost_at(campaign, point, missing[point.label], rates) for point in campaign.state_points]
    windows = campaign.equilibration.most_windows
    return Plan(rates, tuple(costs), workers, tuple(warnings), lengths_of_windows(campaign), windows)


def busy() -> list[str]:
    """Return a warning if other processes keep this machine busy: then a rate that is measured is too low."""
    load, here = os.getloadavg()[0], os.cpu_count() or 1
    if load <= here:
        return []
    return [f"this machine is busy (load {load:.1f} on {counted(here, 'core')}): times may be overestimated"]


def lengths_of_windows(campaign: Campaign) -> str:
    """Return what the lengths of the windows of holding are, in words; nothing if nothing is held."""
    settings, given = campaign.equilibration, [point.hold_time is not None for point in campaign.state_points]
    estimate = settings.relaxation_estimate
    if settings.as_given:
        return ""
    if all(given) or estimate is None:
        return "hold_time"
    law = f"exp({estimate.strength:g} / (T - {estimate.temperature:g}))"
    text = f"{settings.relaxations:g} relaxation times, estimated as {law}"
    return f"hold_time, or {text}" if any(given) else text


def draws_found(campaign: Campaign, dataset: Path | None) -> list[tuple[Task, int | None]]:
    """Return the tasks of `campaign`, each with the draws that `dataset` holds of it, as `draws_there` counts them."""
    every = tasks(campaign, dataset or Path())
    there = [None] * len(every) if dataset is None else all_draws_there(every, dataset)
    return list(zip(every, there, strict=True))


def refuse_uncountable(campaign: Campaign) -> None:
    """Raise `SettingsError` if steps of `campaign` cannot be counted, or a box is too small, before any measurement."""
    for point in campaign.state_points:
        observation_steps(campaign.at(point))
        fewest_steps(campaign, point)
    refuse_small_boxes(campaign)


def cost_at(campaign: Campaign, point: StatePointSettings, there: Sequence[int | None], rates: Rates) -> Cost:
    """Return the cost of configurations at `point` of which `there` draws exist each, None: nothing."""
    new = sum(draws is None for draws in there)
    draws = sum(campaign.draws - (number or 0) for number in there)
    draws_of_vectors = sum(counted_draws(campaign, campaign.draws - (number or 0)) for number in there)
    steps = int(observation_steps(campaign.at(point))[-1])
    return Cost(
        label=point.label,
        configurations=len(there),
        draws=draws,
        equilibration_hours=new * fewest_steps(campaign, point) / rates.equilibration / 3600,
        most_equilibration_hours=new * most_steps(campaign, point) / rates.equilibration / 3600,
        draw_hours=draws_of_vectors * steps / rates.draws / 3600,
        bytes=len(there) * sample_bytes(campaign.at(point)),
        window=0.0 if campaign.equilibration.as_given else _window(campaign, point),
    )


def _window(campaign: Campaign, point: StatePointSettings) -> float:
    return hold(campaign, point).steps * campaign.equilibration.time_step


def sample_bytes(campaign: Campaign) -> int:
    """Return the size of a sample's arrays; `campaign` as it is at the state point."""
    sizes = array_sizes(campaign, campaign.draws)
    kept = ("displacements",) if campaign.keep_displacements else ()
    return sum(
        spec.bytes(sizes) for spec in CONFIGURATION + ISOCONFIGURATIONAL if not spec.on_request or spec.name in kept
    )


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
