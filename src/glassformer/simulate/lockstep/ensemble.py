"""A vector of draws from its start to its last observation: checkpoints on the way, LAMMPS where it is faster."""

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassformer.core.campaign import Campaign
from glassformer.core.errors import UnstableError
from glassformer.dataset.mixtures import mixture_of
from glassformer.physics.box import wrap
from glassformer.physics.configuration import Configuration
from glassformer.simulate.isoconfigurational import (
    LAMMPS_COST,
    LammpsDraw,
    Observations,
    Report,
    draw_velocities,
    follow,
    vector_work,
    weighed,
)
from glassformer.simulate.lammps import checkpoint_steps
from glassformer.simulate.lockstep.engine import Lockstep
from glassformer.simulate.schedule import observation_steps

# Part of a sample's parameter hash: raise it when a change here changes its numbers.
VERSION = 2
# Steps between two checkpoints. Lists are made again there, whether anything is written or not: a resumed run is the
# same to the last bit.
CHECKPOINT_STEPS = 5_000
# Hand over when the list holds this many pairs per particle for every draw. Measured at N = 4096, T = 1.0, 16 draws:
# with 250 pairs, a step takes half of what 16 steps of lj/cut/opt take, and the cost grows a little faster than the
# pairs. A count, not a clock: the data must not depend on the machine's load.
HANDOVER_PAIRS = 28.0

Arrays = dict[str, NDArray[Any]]
# Vectors may run in threads, but LAMMPS is not known to bear two of it in a process. With more threads than one the
# others wait here: right, but slow where a hot liquid is followed for long on many cores with few configurations.
_one_lammps_at_a_time = Lock()


def run_lockstep_draws(
    configuration: Configuration,
    temperature: float,
    seeds: list[int],
    campaign: Campaign,
    report: Report,
    checkpoint: Mapping[str, NDArray[Any]] | None = None,
    save: Callable[[Arrays], None] = lambda arrays: None,
) -> tuple[Observations, float | None]:
    """Follow the draws that start with `seeds` (at most `DRAWS`); return what they did and when LAMMPS took over.

    With `campaign.engine` 'auto' the draws continue in LAMMPS one by one when their lists have become too long; the
    time is None if that did not happen. `save` receives a checkpoint now and then; given back as `checkpoint`, the run
    continues from there with the same numbers.
    Raises `EngineError`.
    """
    steps = observation_steps(campaign)
    velocities = np.stack([draw_velocities(campaign, configuration, temperature, seed) for seed in seeds])
    engine = Lockstep(configuration, mixture_of(campaign.mixture), campaign.time_step, velocities)
    in_lammps = 0
    if checkpoint is None:
        seen = Observations.empty(campaign, len(seeds), configuration.particles)
        seen.first_energy[:] = engine.total_energy()
    else:
        seen = Observations.from_arrays(checkpoint)
        engine.restore({name.removeprefix("engine_"): value for name, value in checkpoint.items()})
        in_lammps = int(checkpoint["in_lammps"])
        report(0, -engine.steps * len(seeds) - in_lammps * (int(steps[-1]) - engine.steps))

    def drifted_apart() -> bool:
        return campaign.engine == "auto" and engine.pairs_per_particle > HANDOVER_PAIRS * engine.draws

    def pause(step: int) -> bool:
        engine.refresh()
        save(_arrays(engine, seen, 0))
        return drifted_apart()

    reached = engine.steps
    if reached == 0 or not drifted_apart():
        reached = follow(engine, seen, configuration, campaign, reached, report, CHECKPOINT_STEPS, pause)
    if reached == steps[-1]:
        return seen, None
    _continue_in_lammps(engine, seen, configuration, campaign, report, in_lammps, checkpoint or {}, save)
    return seen, reached * campaign.time_step


def _arrays(engine: Lockstep, seen: Observations, in_lammps: int) -> Arrays:
    """Return a checkpoint: what was seen, where lockstep stands, and how many draws LAMMPS has finished since."""
    state = {f"engine_{name}": value for name, value in engine.state().items()}
    return vars(seen) | state | {"in_lammps": np.array(in_lammps)}


def _continue_in_lammps(
    engine: Lockstep,
    seen: Observations,
    configuration: Configuration,
    campaign: Campaign,
    report: Report,
    first: int,
    checkpoint: Mapping[str, NDArray[Any]],
    save: Callable[[Arrays], None],
) -> None:
    """Take the draws from number `first` on from where they are to the last observation with LAMMPS."""
    left = int(observation_steps(campaign)[-1]) - engine.steps
    # `report` counts a step of the vector as one of each draw; in LAMMPS a draw's step costs more than such a share.
    cost = LAMMPS_COST * engine.draws / vector_work(engine.draws)
    report(0, (cost - 1) * (engine.draws - first) * left)
    report = weighed(report, cost)
    all_displacements, all_velocities = engine.displacements(), engine.velocities()
    for draw in range(first, engine.draws):
        displacements = all_displacements[draw]
        positions = wrap(configuration.positions + displacements, configuration.box)
        present = Configuration(positions, configuration.species, configuration.box)
        with (
            _one_lammps_at_a_time,
            LammpsDraw(present, campaign, all_velocities[draw], left, displacements) as lammps,
        ):
            now = engine.steps
            if draw == first and "restart" in checkpoint:
                now = int(checkpoint["lammps_steps"])
                lammps.resume(checkpoint["restart"], now - engine.steps)
                report(0, engine.steps - now)

            def pause(step: int, draw: int = draw, lammps: LammpsDraw = lammps) -> bool:
                restart = lammps.renew(step - engine.steps)
                save(_arrays(engine, seen, draw) | {"restart": restart, "lammps_steps": np.array(step)})
                return False

            every = checkpoint_steps(configuration.particles)
            try:
                follow(lammps, seen.one(draw), configuration, campaign, now, report, every, pause)
            except UnstableError as error:
                raise UnstableError(error.problem, error.remedy, (draw,)) from error
        save(_arrays(engine, seen, draw + 1))
