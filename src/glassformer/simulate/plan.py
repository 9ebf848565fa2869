"""What a campaign will cost: steps and bytes counted, rates measured on this machine."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glassformer.core.arrays import CONFIGURATION, ISOCONFIGURATIONAL
from glassformer.core.campaign import Campaign, StatePointSettings
from glassformer.core.progress import Progress
from glassformer.core.words import counted
from glassformer.simulate.campaign import all_draws_there, tasks
from glassformer.simulate.isoconfigurational import array_sizes
from glassformer.simulate.rates import Rates, measure_rates
from glassformer.simulate.sample_task import Task
from glassformer.simulate.schedule import observation_steps
from glassformer.simulate.small_boxes import refuse_small_boxes, small_boxes
from glassformer.simulate.stages import fewest_steps, hold, most_steps
from glassformer.simulate.work import counted_draws

# The least and the most.
Span = tuple[float, float]


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
