"""What a study costs: simulations, inherent structures and trainings, for each stage and in total."""

import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassformer.cli.console import console, print_table, progress
from glassformer.cli.experiment import check_study, print_study
from glassformer.cli.tables import file_size, hours_span, print_plan, wall_time, ways_to_draw
from glassformer.core.campaign import Campaign
from glassformer.core.experiment import Experiment, Study
from glassformer.core.layout import DatasetFolder, OutFolder
from glassformer.core.presets import load_campaign
from glassformer.core.progress import Progress, Silent
from glassformer.core.run import Run
from glassformer.core.words import counted

if TYPE_CHECKING:
    import torch

    from glassformer.simulate.plan import Plan

# Time of a training beside its steps: validation, recomputing the batch norms, tests.
OVERHEAD = 1.5
# The least and the most.
Span = tuple[float, float]


@dataclass(frozen=True)
class Stage:
    """A stage of a study: hours of a `unit` (core or device), the time it takes here, and on any number of cores.

    Each is the least and the most.
    """

    name: str
    unit: str
    hours: Span
    wall_hours: Span
    longest_hours: Span


@dataclass(frozen=True)
class StudyCost:
    """The cost of what is missing of a study, on `workers` cores and the `device`, if there is one.

    `plans`: of its campaigns, by name. `finished`: trainings that are not counted, because they have a result.
    `outdated`: trainings that are counted although they have one: it is damaged or of other data or settings, or data
    are missing.
    """

    stages: tuple[Stage, ...]
    plans: dict[str, "Plan"]
    trainings: int
    finished: int
    outdated: int
    workers: int
    device: str

    def hours(self, unit: str) -> Span:
        """Return the total core-hours or device-hours."""
        return _sum(stage.hours for stage in self.stages if stage.unit == unit)

    @property
    def wall_hours(self) -> Span:
        """The total time: one stage follows the other."""
        return _sum(stage.wall_hours for stage in self.stages)

    @property
    def longest_hours(self) -> Span:
        """The total time with any number of cores."""
        return _sum(stage.longest_hours for stage in self.stages)

    @property
    def bytes(self) -> int:
        """Size of the samples."""
        return sum(plan.bytes for plan in self.plans.values())

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        total = {
            "core_hours": self.hours("core"),
            "device_hours": self.hours("device"),
            "wall_hours": self.wall_hours,
            "longest_hours": self.longest_hours,
            "bytes": self.bytes,
        }
        return asdict(self) | {"plans": {name: plan.as_json() for name, plan in self.plans.items()}, "total": total}


def _sum(spans: Iterable[Span]) -> Span:
    least, most = 0.0, 0.0
    for one in spans:
        least, most = least + one[0], most + one[1]
    return least, most


def study_cost(study: Study, scale: str, only: Sequence[str], out: Path, workers: int, stages: Progress) -> StudyCost:
    """Return what is missing of `study` in `out` and what it costs, from seconds of measuring.

    Raises `SettingsError`, `EngineError`, and `DatasetError` for samples in `out` that are damaged or others.
    """
    from glassformer.simulate.plan import plan_campaign
    from glassformer.train.device import choose_device, device_name

    check_study(study, scale, only)
    settings, files = study.at(scale), OutFolder(out)
    found: list[Stage] = []
    plans: dict[str, Plan] = {}
    for source, folder in ((settings.cooling, files.cooling), (settings.campaign, files.data)):
        if source:
            there = folder if folder.exists() else None
            plans[source] = plan_campaign(load_campaign(source), there, workers, stages)
            found += _of_campaign(source, plans[source])
    campaign = load_campaign(settings.campaign)
    found.append(_of_quench(campaign, files.data, workers, stages))
    runs = study.runs(scale, only)
    trained = {one.name for one, _ in runs if files.training(one.name).result.exists()}
    # A result is of all data: which are kept is not known before these are complete.
    complete = not plans[settings.campaign].core_hours[1] and not found[-1].hours[1]
    kept = _kept(study, scale, sorted(trained), files) if trained and complete else set()
    missing = [(one, run) for one, run in runs if one.name not in kept]
    device = choose_device()
    found.append(_of_trainings(training_hours(missing, campaign, stages, device), workers, device))
    name = "" if device.type == "cpu" else device_name(device)
    return StudyCost(tuple(found), plans, len(missing), len(kept), len(trained - kept), workers, name)


def _kept(study: Study, scale: str, names: Sequence[str], files: OutFolder) -> set[str]:
    """Return those of the experiments `names` whose results are kept."""
    from glassformer.experiments.runner import finished

    return finished(study, scale, names, files.data, files.path)


def _of_campaign(source: str, plan: "Plan") -> list[Stage]:
    """Return equilibration and draws, which follow each other in each configuration: they share the time."""
    draws = sum(cost.draw_hours for cost in plan.costs)
    parts = {"equilibration": plan.equilibration_hours, "draws": (draws, draws)}
    return [
        Stage(
            f"{Path(source).stem}: {name}",
            plan.unit,
            hours,
            _share(hours, plan.core_hours, plan.wall_hours),
            _share(hours, plan.core_hours, plan.longest_hours),
        )
        for name, hours in parts.items()
    ]


def _share(part: Span, whole: Span, time: Span) -> Span:
    least, most = (one * share / total if total else 0.0 for one, share, total in zip(time, part, whole, strict=True))
    return least, most


def _of_quench(campaign: Campaign, data: Path, workers: int, stages: Progress) -> Stage:
    """Return the search for inherent structures: of the configurations of `campaign` that lack them in `data`."""
    from glassformer.simulate.plan import shared_hours
    from glassformer.simulate.quench import quenched
    from glassformer.simulate.rates import measure_quench

    paths = [
        DatasetFolder(data).sample(point.label, index)
        for point in campaign.state_points
        for index in range(campaign.configurations)
    ]
    missing = len(paths) - quenched(path for path in paths if path.exists())
    each = measure_quench(campaign, stages) / 3600 if missing else 0.0
    hours = (missing * each, missing * each)
    # Always on this machine, also with --parsl.
    wall = shared_hours(hours, (each, each), workers)
    return Stage("inherent structures", "core", hours, wall, wall)


def _of_trainings(hours: Sequence[float], workers: int, device: "torch.device") -> Stage:
    """Return the trainings: side by side on cores, one thread each; on a GPU they share it."""
    from glassformer.simulate.plan import shared_hours

    total = (sum(hours), sum(hours))
    if device.type != "cpu":
        return Stage(counted(len(hours), "training"), "device", total, total, total)
    longest = (max(hours, default=0.0),) * 2
    return Stage(counted(len(hours), "training"), "core", total, shared_hours(total, longest, workers), longest)


def training_hours(
    runs: Sequence[tuple[Experiment, Run]], campaign: Campaign, stages: Progress, device: "torch.device"
) -> list[float]:
    """Return the hours of each training, on one thread or on the GPU."""
    from glassformer.train.network_costs import estimate_training

    known: dict[str, float] = {}
    networks = {run.network.model_dump_json(): run.network for _, run in runs}
    stages.start("measure", len(networks), "")
    for key, network in networks.items():
        known[key] = estimate_training(network, campaign.particles, device)
        stages.advance(1, f"network {len(known)} of {len(networks)}")
    hours = []
    for experiment, run in runs:
        points = [point for point in campaign.state_points if experiment.trains_on(point.label)]
        each = campaign.draws if run.targets.draws == "each" else 1
        trained = len(points) * campaign.configurations * each * (1 - 1 / run.split.folds) * run.split.training_share
        folds = run.split.trained_folds or run.split.folds
        by_epochs = run.training.epochs * trained * known[run.network.model_dump_json()]
        # Within a budget the time of an epoch is measured on two of them.
        each_fold = run.training.seconds + 2 * by_epochs / run.training.epochs if run.training.seconds else by_epochs
        hours.append(OVERHEAD * folds * each_fold / 3600)
    return hours


def print_cost(study: Study, scale: str, only: Sequence[str], out: Path, workers: int, as_json: bool = False) -> None:
    """Print what there is to simulate and to train, and an estimate of the time."""
    with contextlib.nullcontext(Silent()) if as_json else progress() as stages:
        cost = study_cost(study, scale, only, out, workers, stages)
    if as_json:
        print(json.dumps(cost.as_json(), indent=1))
        return
    for source, plan in cost.plans.items():
        console.print(f"\ncampaign {source}", style="bold")
        print_plan(plan)
    console.print()
    print_study(study, scale, only)
    print_total(cost)


def print_total(cost: StudyCost) -> None:
    """Print the cost of each stage and the total."""
    place = counted(cost.workers, "core") + (f" and {cost.device}" if cost.device else "")
    rows = [
        [stage.name, f"{hours_span(*stage.hours)} {stage.unit}-hours", wall_time(*stage.wall_hours)]
        for stage in cost.stages
    ]
    console.print()
    print_table(["stage", "cost", f"time on {place}"], rows, ["left", "right", "right"])
    hours = " and ".join(
        f"{hours_span(*cost.hours(unit))} {unit}-hours"
        for unit in ("device", "core")
        if any(stage.unit == unit for stage in cost.stages)
    )
    console.print(f"Total: {hours}, {file_size(cost.bytes)}; {wall_time(*cost.wall_hours)} on {place}.", style="bold")
    _print_ways(cost)
    finished = f" {counted(cost.finished, 'finished training')} not counted." if cost.finished else ""
    if cost.outdated:
        finished += (
            f" {counted(cost.outdated, 'result')} not counted as finished: data are missing or differ, settings differ,"
            " or the file is damaged."
        )
    console.print(
        "Trainings: from one step of each network on a few particles, scaled by N: accurate to within about a factor of"
        f" two.{finished}",
        style="dim",
    )


def _print_ways(cost: StudyCost) -> None:
    """Print the shortest way to get there, on this machine and on others."""
    plan = list(cost.plans.values())[-1]
    equilibration = "on the device" if plan.unit == "device" else "in LAMMPS"
    console.print(f"Shortest way here: equilibration {equilibration}; draws: {ways_to_draw(plan)}.")
    if any(stage.unit == "core" for stage in cost.stages):
        console.print(
            f"With any number of cores (--parsl): at least {wall_time(*cost.longest_hours)}; a configuration and a"
            " training take one core each, and inherent structures are found on this machine."
        )
    if all(stage.unit == "core" for stage in cost.stages):
        console.print("With a GPU: run this command where there is one; the GPU's rates are measured there.")
