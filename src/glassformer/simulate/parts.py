"""Into how many jobs a campaign is divided, so that each ends within its walltime."""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glassformer.core.campaign import Campaign
from glassformer.core.progress import Progress
from glassformer.simulate.campaign import Choice
from glassformer.simulate.draws import engine_of
from glassformer.simulate.plan import cost_at, draws_found, refuse_uncountable
from glassformer.simulate.rates import Rates, measure_rates
from glassformer.simulate.work import equilibration_cost

# The number of parts is tried in steps of this share.
STEP = 0.02


@dataclass(frozen=True)
class Parts:
    """`number` parts of a campaign, of which the longest takes `hours`; `core_hours` are those of all.

    At most, if every equilibration uses its budget. `rate`: the draw steps per second and core that this assumes.
    """

    number: int
    hours: float
    core_hours: float
    rate: float


def plan_parts(
    campaign: Campaign, dataset: Path | None, cores: int, hours: float, progress: Progress, rate: float | None = None
) -> Parts:
    """Return the parts of `campaign` that jobs of `cores` cores finish in `hours`, less what `dataset` holds already.

    `rate`: draw steps per second of a core, as `plan_campaign` measures them; without it they are measured here.
    Raises as `plan_campaign` does.
    """
    refuse_uncountable(campaign)
    rates = measure_rates(campaign, progress) if rate is None else rates_of(campaign, rate)
    # A device runs the configurations together, in the time of all of them.
    workers = 1 if rates.engine == "cuda" else cores
    lengths = task_hours(campaign, dataset, rates)
    number = fewest_parts(lengths, workers, hours)
    return Parts(number, max(part_hours(lengths, number, workers)), sum(lengths), rates.draws)


def rates_of(campaign: Campaign, draws: float) -> Rates:
    """Return the rates of a core that makes `draws` draw steps per second; an equilibration costs as usual."""
    return Rates(engine_of(campaign), draws / equilibration_cost(campaign), draws)


def task_hours(campaign: Campaign, dataset: Path | None, rates: Rates) -> list[float]:
    """Return how long each task of `campaign` takes at most, in order; none that is done takes any time."""
    known: dict[tuple[str, int | None], float] = {}
    hours = []
    for task, there in draws_found(campaign, dataset):
        key = task.point.label, there
        if key not in known:
            cost = cost_at(campaign, task.point, [there], rates)
            # A dataset may hold more draws than are asked for.
            known[key] = max(0.0, cost.most_equilibration_hours + cost.draw_hours)
        hours.append(known[key])
    return hours


def fewest_parts(lengths: Sequence[float], cores: int, hours: float) -> int:
    """Return about the smallest number of parts whose jobs of `cores` cores end in `hours`.

    A task that takes longer by itself fills a job of one core; its part is submitted again until it is done.
    """
    most = max(1, math.ceil(len(lengths) / cores))
    number = max(1, math.ceil(sum(min(length, hours) for length in lengths) / (cores * hours)))
    fitting = [length if length <= hours else 0.0 for length in lengths]
    while number < most and max(part_hours(fitting, number, cores)) > hours:
        number = max(number + 1, math.floor(number * (1 + STEP)))
    return min(number, most)


def part_hours(lengths: Sequence[float], parts: int, cores: int) -> list[float]:
    """Return how long a job of `cores` cores takes for each of `parts` parts, in which tasks run in their order."""
    return [_makespan(Choice(part, parts).share(lengths), cores) for part in range(1, parts + 1)]


def _makespan(lengths: Sequence[float], cores: int) -> float:
    free = [0.0] * cores
    for length in lengths:
        heapq.heapreplace(free, free[0] + length)
    return max(free)
