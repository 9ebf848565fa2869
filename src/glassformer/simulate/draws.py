"""All draws of a configuration, by the engine that the campaign asks for."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from glassformer.core.campaign import Campaign
from glassformer.core.errors import EngineError
from glassformer.physics.configuration import Configuration
from glassformer.simulate.isoconfigurational import DRAWS, Observations, Report, run_lammps_draw, vector_work, weighed
from glassformer.simulate.lammps import engine_version
from glassformer.simulate.schedule import observation_steps
from glassformer.simulate.unfinished import Unfinished


def uses_lockstep(campaign: Campaign) -> bool:
    """Tell whether the draws run in lockstep. Raises `EngineError` if they should and this processor cannot."""
    if campaign.engine == "lammps":
        return False
    try:
        from glassformer.simulate.lockstep.simd import check_host

        check_host()
    except (EngineError, ImportError):
        if campaign.engine == "lockstep":
            raise
        return False
    return True


def engine_used(campaign: Campaign, handover: float | None = None) -> str:
    """Name the engine that makes the campaign's draws and its version, and when LAMMPS took over, if it did."""
    if not uses_lockstep(campaign):
        return engine_version()
    from glassformer.simulate.lockstep.ensemble import VERSION

    taken_over = "" if handover is None else f", which took over some draws from t = {handover:g} on"
    lammps = f" and {engine_version()}{taken_over}" if campaign.engine == "auto" else ""
    return f"lockstep {VERSION}{lammps}; equilibrated by {engine_version()}"


def run_draws(
    configuration: Configuration,
    temperature: float,
    seeds: list[int],
    campaign: Campaign,
    report: Report,
    unfinished: Unfinished,
    threads: int = 1,
    first_draw: int = 0,
) -> tuple[Observations, float | None]:
    """Follow the draws that start with `seeds`; return what they did and when LAMMPS took over from lockstep, or None.

    `first_draw` is the number of the first of them, by which their files in `unfinished` are called. What is done is
    kept in `unfinished`, and taken from there. Raises `EngineError` or `StorageError`.
    """
    if uses_lockstep(campaign):
        groups = [seeds[first : first + DRAWS] for first in range(0, len(seeds), DRAWS)]
    else:
        groups, threads = [[seed] for seed in seeds], 1

    def run(number: int) -> tuple[Observations, float | None]:
        first = first_draw + sum(map(len, groups[:number]))
        return _run_group(first, configuration, temperature, groups[number], campaign, report, unfinished)

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(run, range(len(groups))))
    times = [time for _, time in results if time is not None]
    return Observations.together([seen for seen, _ in results]), min(times, default=None)


def _run_group(
    first: int,
    configuration: Configuration,
    temperature: float,
    seeds: list[int],
    campaign: Campaign,
    report: Report,
    unfinished: Unfinished,
) -> tuple[Observations, float | None]:
    """Follow one vector of draws, or one draw on LAMMPS, unless `unfinished` holds it already."""
    if uses_lockstep(campaign):
        # Draws of a vector that is not full take longer.
        report = weighed(report, vector_work(len(seeds)) / len(seeds))
    # By first and last, so that a vector that has grown since is not taken for the same.
    name = f"draws-{first}-{first + len(seeds) - 1}"
    finished, running = name, f"{name}-running"
    arrays = unfinished.load(finished)
    if arrays is not None:
        report(0, -len(seeds) * int(observation_steps(campaign)[-1]))
        time = float(arrays["handover"])
        return Observations.from_arrays(arrays), None if math.isnan(time) else time
    handover = None
    if uses_lockstep(campaign):
        from glassformer.simulate.lockstep.ensemble import run_lockstep_draws

        seen, handover = run_lockstep_draws(
            configuration, temperature, seeds, campaign, report,
            unfinished.load(running), lambda arrays: unfinished.save(running, arrays),
        )  # fmt: skip
    else:
        seen = run_lammps_draw(configuration, temperature, seeds[0], campaign, report, unfinished, running)
    unfinished.save(finished, vars(seen) | {"handover": np.array(math.nan if handover is None else handover)})
    unfinished.drop(running)
    return seen, handover
