"""What a campaign will cost: steps and bytes counted, rates measured on this machine."""

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glassformer.core.campaign import Campaign, StatePointSettings
from glassformer.core.progress import Progress
from glassformer.core.seeds import named_seed
from glassformer.physics.configuration import Configuration
from glassformer.physics.kob_andersen import kob_andersen
from glassformer.physics.velocities import maxwell_boltzmann
from glassformer.simulate.campaign import draws_there, tasks
from glassformer.simulate.draws import uses_lockstep
from glassformer.simulate.equilibration import random_configuration
from glassformer.simulate.lammps import Lammps
from glassformer.simulate.schedule import observation_steps
from glassformer.simulate.small_boxes import refuse_small_boxes, small_boxes
from glassformer.simulate.stages import fewest_steps, most_steps

# Seconds over which a rate is measured, and the steps of the first try.
SECONDS, FIRST_STEPS = 2.0, 20
MELT_TEMPERATURE, MELT_STEPS = 1.0, 500
# More than a measurement can take.
MOST_STEPS = 1_000_000_000


@dataclass(frozen=True)
class Rates:
    """Steps a second of one core: of the equilibration in LAMMPS, and of draws, each counted by itself."""

    engine: str
    equilibration: float
    draws: float


@dataclass(frozen=True)
class Cost:
    """What is missing at one state point: configurations, core-hours (least and most), bytes."""

    label: str
    configurations: int
    draws: int
    equilibration_hours: float
    most_equilibration_hours: float
    draw_hours: float
    bytes: int


@dataclass(frozen=True)
class Plan:
    """The cost of a campaign, a line a state point, on `workers` cores."""

    rates: Rates
    costs: tuple[Cost, ...]
    workers: int
    warnings: tuple[str, ...] = ()

    @property
    def core_hours(self) -> tuple[float, float]:
        """The least and the most, which are reached if every hold ends at once, or none before its budget does."""
        draws = sum(cost.draw_hours for cost in self.costs)
        least, most = (
            sum(getattr(cost, name) for cost in self.costs)
            for name in ("equilibration_hours", "most_equilibration_hours")
        )
        return least + draws, most + draws

    @property
    def wall_hours(self) -> tuple[float, float]:
        """The least and the most, with all workers busy; a configuration takes one core, so few leave some idle."""
        busy = max(1, min(self.workers, sum(cost.configurations for cost in self.costs)))
        least, most = self.core_hours
        return least / busy, most / busy

    @property
    def bytes(self) -> int:
        """Size of the files."""
        return sum(cost.bytes for cost in self.costs)

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        totals = {"core_hours": self.core_hours, "wall_hours": self.wall_hours, "bytes": self.bytes}
        return asdict(self) | totals


def plan_campaign(campaign: Campaign, dataset: Path | None, workers: int, progress: Progress) -> Plan:
    """Return what `campaign` costs on `workers` cores, less what `dataset` holds already.

    The rates are those of a hot liquid of the campaign's size and of draws that have just begun; draws in lockstep
    become slower as they drift apart. Raises `SettingsError`, `EngineError`, and what `draws_there` raises.
    """
    missing: dict[str, list[int | None]] = {point.label: [] for point in campaign.state_points}
    for task in tasks(campaign, dataset or Path()):
        there = None if dataset is None else draws_there(task)
        if there is None or there < campaign.draws:
            missing[task.point.label].append(there)
    # What cannot be counted should be told before seconds are spent on measuring.
    for point in campaign.state_points:
        observation_steps(campaign.at(point))
        fewest_steps(campaign, point)
    refuse_small_boxes(campaign)
    warnings = small_boxes(campaign)
    for warning in warnings:
        progress.say(warning)
    rates = measure_rates(campaign, progress)
    costs = [_cost(campaign, point, missing[point.label], rates) for point in campaign.state_points]
    return Plan(rates, tuple(costs), workers, tuple(warnings))


def _cost(campaign: Campaign, point: StatePointSettings, there: list[int | None], rates: Rates) -> Cost:
    new = sum(draws is None for draws in there)
    draws = sum(campaign.draws - (number or 0) for number in there)
    steps = int(observation_steps(campaign.at(point))[-1])
    return Cost(
        label=point.label,
        configurations=len(there),
        draws=draws,
        equilibration_hours=new * fewest_steps(campaign, point) / rates.equilibration / 3600,
        most_equilibration_hours=new * most_steps(campaign, point) / rates.equilibration / 3600,
        draw_hours=draws * steps / rates.draws / 3600,
        bytes=len(there) * sample_bytes(campaign.at(point)),
    )


def sample_bytes(campaign: Campaign) -> int:
    """Return the size of a sample's arrays; `campaign` as it is at the state point."""
    particles, draws = campaign.particles, campaign.draws
    times, particle_times = len(observation_steps(campaign)), len(campaign.particle_times)
    by_draw = 4 * draws * times * 2 * 8
    by_particle = particles * (3 * 8 + 1) + particle_times * particles * 2 * 4
    kept = draws * particle_times * particles * 3 * 4 if campaign.keep_displacements else 0
    return by_draw + by_particle + kept


def measure_rates(campaign: Campaign, progress: Progress) -> Rates:
    """Measure the rates of this machine, one core each, on a liquid of the campaign's size."""
    progress.say(f"measuring the rates of this machine, N = {campaign.particles} (seconds)")
    liquid, velocities = _liquid(campaign)
    potential, settings = kob_andersen(campaign.cutoff), campaign.equilibration
    with Lammps(liquid, potential, settings.time_step, velocities) as engine:
        engine.begin_nvt((MELT_TEMPERATURE, MELT_TEMPERATURE), MOST_STEPS, settings.damping_time)
        if campaign.state_points[0].pressure is not None:
            pressures = (engine.pressure(), engine.pressure())
            engine.begin_npt((MELT_TEMPERATURE, MELT_TEMPERATURE), pressures, MOST_STEPS, settings.damping_time)
        equilibration = _rate(engine.advance)
    if not uses_lockstep(campaign):
        return Rates("LAMMPS", equilibration, equilibration)
    from glassformer.simulate.lockstep.engine import Lockstep
    from glassformer.simulate.lockstep.ensemble import DRAWS

    # A vector costs the same whether all of its lanes hold draws or not.
    together = campaign.draws / math.ceil(campaign.draws / DRAWS)
    seeds = [named_seed(0, "plan", draw) for draw in range(DRAWS)]
    drawn = np.stack(
        [maxwell_boltzmann(seed, liquid.particles, campaign.state_points[0].temperature) for seed in seeds]
    )
    lockstep = Lockstep(liquid, potential, campaign.time_step, drawn)
    return Rates("lockstep", equilibration, together * _rate(lockstep.advance))


def _liquid(campaign: Campaign) -> tuple[Configuration, Any]:
    point, settings = campaign.state_points[0], campaign.equilibration
    density = settings.start_density if point.density is None else point.density
    start = random_configuration(campaign.particles, density, named_seed(0, "plan", "start"))
    potential = kob_andersen(campaign.cutoff)
    with Lammps(start, potential, settings.time_step) as engine:
        engine.minimise()
        start = engine.configuration()
    velocities = maxwell_boltzmann(named_seed(0, "plan", "melt"), start.particles, MELT_TEMPERATURE)
    with Lammps(start, potential, settings.time_step, velocities) as engine:
        engine.begin_nvt((MELT_TEMPERATURE, MELT_TEMPERATURE), MELT_STEPS, settings.damping_time)
        engine.advance(MELT_STEPS)
        return engine.configuration(), engine.velocities()


def _rate(advance: Any) -> float:
    """Return steps a second: more and more until they take `SECONDS`, without the first call, which compiles."""
    advance(1)
    steps = FIRST_STEPS
    while True:
        began = time.perf_counter()
        advance(steps)
        took = time.perf_counter() - began
        if took > SECONDS / 2:
            return steps / took
        steps = math.ceil(steps * min(10.0, 1.2 * SECONDS / max(took, 1e-3)))
