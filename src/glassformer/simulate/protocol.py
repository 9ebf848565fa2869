"""From a random start to equilibrium: the cooling and holding that make a configuration."""

from collections.abc import Callable

import numpy as np

from glassformer.core.campaign import Campaign, StatePointSettings
from glassformer.core.errors import EngineError
from glassformer.core.seeds import generator, named_seed
from glassformer.physics.configuration import Configuration
from glassformer.physics.kob_andersen import kob_andersen, mixture
from glassformer.physics.velocities import maxwell_boltzmann
from glassformer.simulate.isoconfigurational import CHUNK
from glassformer.simulate.lammps import Lammps

# Part of every sample's parameter hash: raise it when a change here or in the draws changes their numbers.
PROTOCOL_VERSION = 1


def protocol_name(point: StatePointSettings) -> str:
    """Return one line that tells how a configuration at `point` was made."""
    ensemble = "NPT" if point.pressure is not None else "NVT"
    return f"random, minimise, {ensemble} melt, {ensemble} ramp, {ensemble} hold {point.hold_time:g}"


def equilibration_steps(campaign: Campaign, point: StatePointSettings) -> tuple[int, int, int]:
    """Return the steps of the melt, the ramp and the hold."""
    cooling, dt = campaign.cooling, campaign.time_step
    melt, ramp, hold = (max(1, round(t / dt)) for t in (cooling.melt_time, cooling.ramp_time, point.hold_time))
    return melt, ramp, hold


def random_configuration(particles: int, density: float, seed: int) -> Configuration:
    """Return an 80:20 mixture at uniformly random positions in a cube: overlaps and all."""
    edge = (particles / density) ** (1 / 3)
    positions = generator(seed).uniform(0, edge, (particles, 3))
    return Configuration(positions, mixture(particles), np.full(3, edge))


def equilibrate(
    campaign: Campaign, point: StatePointSettings, index: int, progress: Callable[[int], None]
) -> Configuration:
    """Make configuration number `index` at `point`: minimise, melt, ramp to the state point and hold there.

    With a pressure the three runs are Nose-Hoover NPT and the box is kept as it fell at the end; with a density they
    are NVT. `progress` receives steps as they are done. Raises `EngineError`.
    """
    cooling = campaign.cooling
    seed = named_seed(campaign.seed, point.label, index, "start")
    density = cooling.start_density if point.density is None else point.density
    start = random_configuration(campaign.particles, density, seed)
    melt_seed = named_seed(campaign.seed, point.label, index, "melt")
    potential = kob_andersen(campaign.cutoff)
    with Lammps(start, potential, campaign.time_step) as engine:
        engine.minimise()
        minimum = engine.configuration()
    velocities = maxwell_boltzmann(melt_seed, campaign.particles, cooling.start_temperature)
    first = (cooling.start_temperature, cooling.start_pressure)
    pressure = cooling.start_pressure if point.pressure is None else point.pressure
    target = (point.temperature, pressure)
    stages = zip(equilibration_steps(campaign, point), ((first, first), (first, target), (target, target)), strict=True)
    with Lammps(minimum, potential, campaign.time_step, velocities) as engine:
        for steps, (begin, end) in stages:
            if point.pressure is None:
                engine.begin_nvt((begin[0], end[0]), steps, cooling.damping_time)
            else:
                engine.begin_npt((begin[0], end[0]), (begin[1], end[1]), steps, cooling.damping_time)
            _advance_in_chunks(engine, steps, progress)
        found = engine.configuration()
    if not np.isfinite(found.positions).all():
        raise EngineError("the equilibration became unstable: positions are no numbers", "Use a smaller time_step.")
    return found


def _advance_in_chunks(engine: Lammps, steps: int, progress: Callable[[int], None]) -> None:
    for done in range(0, steps, CHUNK):
        count = min(CHUNK, steps - done)
        engine.advance(count)
        progress(count)
