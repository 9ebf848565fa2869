"""All draws of a configuration, by the engine that the campaign asks for."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from glassformer.core.campaign import Campaign
from glassformer.core.errors import EngineError, UnstableError
from glassformer.core.seeds import named_seed
from glassformer.physics.configuration import Configuration
from glassformer.simulate.isoconfigurational import DRAWS, Observations, Report, run_lammps_draw, vector_work, weighed
from glassformer.simulate.lammps import engine_version
from glassformer.simulate.schedule import observation_steps
from glassformer.simulate.unfinished import Unfinished

# Seeds with which a draw is tried, at most.
SEEDS = 4


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
    groups = _groups(seeds, campaign)
    threads = threads if uses_lockstep(campaign) else 1

    def run(number: int) -> tuple[Observations, float | None]:
        first = first_draw + sum(map(len, groups[:number]))
        return _run_group(first, configuration, temperature, groups[number], campaign, report, unfinished)

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(run, range(len(groups))))
    times = [time for _, time in results if time is not None]
    return Observations.together([seen for seen, _ in results]), min(times, default=None)


def seeds_used(seeds: list[int], campaign: Campaign, unfinished: Unfinished, first_draw: int = 0) -> list[int]:
    """Return the seeds with which `run_draws` followed the draws: others where the first made unstable dynamics."""
    used: list[int] = []
    for group in _groups(seeds, campaign):
        # Kept with what the draws did: files of older versions know of no other seeds.
        kept = unfinished.load(_name(first_draw + len(used), len(group))) or {}
        used += kept["seeds"].tolist() if "seeds" in kept else group
    return used


def _groups(seeds: list[int], campaign: Campaign) -> list[list[int]]:
    """Return the seeds of every vector, or of every draw on LAMMPS."""
    size = DRAWS if uses_lockstep(campaign) else 1
    return [seeds[first : first + size] for first in range(0, len(seeds), size)]


def _name(first: int, draws: int) -> str:
    # By first and last, so that a vector that has grown since is not taken for the same.
    return f"draws-{first}-{first + draws - 1}"


def _seeds_name(first: int, draws: int) -> str:
    return f"seeds-{first}-{first + draws - 1}"


def _run_group(
    first: int,
    configuration: Configuration,
    temperature: float,
    seeds: list[int],
    campaign: Campaign,
    report: Report,
    unfinished: Unfinished,
) -> tuple[Observations, float | None]:
    """Follow one vector of draws, or one draw on LAMMPS, unless `unfinished` holds it already.

    A draw whose dynamics become unstable is repeated with its next seed, with the others of its vector, at most
    `SEEDS` times in all; `unfinished` keeps the seeds. If most draws of a vector do, the time step is too long.
    """
    if uses_lockstep(campaign):
        # Draws of a vector that is not full take longer.
        report = weighed(report, vector_work(len(seeds)) / len(seeds))
    name = _name(first, len(seeds))
    arrays = unfinished.load(name)
    if arrays is not None:
        report(0, -len(seeds) * int(observation_steps(campaign)[-1]))
        time = float(arrays["handover"])
        return Observations.from_arrays(arrays), None if math.isnan(time) else time
    kept = unfinished.load(_seeds_name(first, len(seeds)))
    used, attempts = (seeds, 1) if kept is None else (kept["seeds"].tolist(), int(kept["attempts"]))
    while True:
        try:
            return _follow(name, configuration, temperature, used, campaign, report, unfinished)
        except UnstableError as error:
            unstable = error.draws or tuple(range(len(used)))
            if attempts == SEEDS or 2 * len(unstable) > max(len(used), 2):
                raise
            attempts += 1
            used = [named_seed(seed, "again") if draw in unstable else seed for draw, seed in enumerate(used)]
            # First, so that the checkpoint never meets other seeds than its own.
            unfinished.drop(f"{name}-running")
            kept_seeds = {"seeds": np.array(used, np.int64), "attempts": np.array(attempts)}
            unfinished.save(_seeds_name(first, len(seeds)), kept_seeds)


def _follow(
    name: str,
    configuration: Configuration,
    temperature: float,
    seeds: list[int],
    campaign: Campaign,
    report: Report,
    unfinished: Unfinished,
) -> tuple[Observations, float | None]:
    """Follow the draws that start with `seeds` from their last checkpoint, and keep in `unfinished` what they did."""
    finished, running = name, f"{name}-running"
    handover = None
    if uses_lockstep(campaign):
        from glassformer.simulate.lockstep.ensemble import run_lockstep_draws

        seen, handover = run_lockstep_draws(
            configuration, temperature, seeds, campaign, report,
            unfinished.load(running), lambda arrays: unfinished.save(running, arrays),
        )  # fmt: skip
    else:
        seen = run_lammps_draw(configuration, temperature, seeds[0], campaign, report, unfinished, running)
    more = {"handover": np.array(math.nan if handover is None else handover), "seeds": np.array(seeds, np.int64)}
    unfinished.save(finished, vars(seen) | more)
    unfinished.drop(running)
    return seen, handover
