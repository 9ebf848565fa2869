"""How much work a simulation is, in one unit for both engines: a progress bar and a plan count it alike."""

from glassformer.core.campaign import Campaign, StatePointSettings
from glassformer.core.progress import Progress
from glassformer.core.words import counted
from glassformer.simulate.draws import engine_of, uses_lockstep
from glassformer.simulate.isoconfigurational import DRAWS, LAMMPS_COST, vector_work
from glassformer.simulate.lockstep.widths import device_work, single_work
from glassformer.simulate.schedule import observation_steps
from glassformer.simulate.stages import fewest_steps

# Particle steps per second and core, of draws in lockstep and of LAMMPS, on processors of 2023 with AVX-512; and
# core-hours that are worth a word.
LOCKSTEP_RATE, LAMMPS_RATE, MUCH = 25e6, 1.8e6, 50.0


def counted_draws(campaign: Campaign, draws: int) -> float:
    """Return as how many draws `draws` new draws of one configuration count: lockstep runs them in vectors."""
    engine = engine_of(campaign)
    if engine == "cuda":
        return device_work(draws)
    if engine == "lammps":
        return draws
    whole, rest = divmod(draws, DRAWS)
    return whole * DRAWS + (vector_work(rest) if rest else 0)


def equilibration_cost(campaign: Campaign) -> float:
    """Return the work of a step of an equilibration in steps of the draws: LAMMPS's, or a single trajectory's."""
    engine = engine_of(campaign)
    if engine == "cuda":
        return single_work()
    return LAMMPS_COST if engine == "lockstep" else 1.0


def sample_work(campaign: Campaign, point: StatePointSettings, draws_there: int | None) -> float:
    """Return the work of a sample of which `draws_there` draws exist (None: not even the configuration).

    In steps of draws; a step of the equilibration counts as many as cost the same. The equilibration counts with the
    fewest steps that it can take. `campaign` is as it is at `point`.
    """
    equilibration = 0.0 if draws_there is not None else equilibration_cost(campaign) * fewest_steps(campaign, point)
    last = int(observation_steps(campaign)[-1])
    return equilibration + counted_draws(campaign, campaign.draws - (draws_there or 0)) * last


def warn_of_cost(campaign: Campaign, work: float, workers: int | None, progress: Progress) -> None:
    """Say how long `work` will take, roughly, if it is so long that it may not have been meant.

    `workers`: cores that share it, None if nobody knows.
    """
    if engine_of(campaign) == "cuda":
        # How fast this device is, `plan` measures.
        return
    hours = work * campaign.particles / (LOCKSTEP_RATE if uses_lockstep(campaign) else LAMMPS_RATE) / 3600
    if hours > MUCH:
        span = ""
        if workers is not None:
            each = hours / workers
            span = f", {each:,.0f} hours" if each < 72 else f", {each / 24:,.0f} days"
            span += f" on {counted(workers, 'core')}"
        progress.say(
            f"This campaign takes about {hours:,.0f} core-hours{span}, at the rates of"
            " other machines; `glassformer plan` measures this one. Ctrl-C stops it at any time."
        )
