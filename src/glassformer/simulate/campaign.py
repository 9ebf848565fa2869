"""Run a campaign: every configuration a task from parameters to a file, tasks on all cores, finished ones skipped."""

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from glassformer.core.campaign import Campaign, StatePointSettings
from glassformer.core.errors import DatasetError, StorageError
from glassformer.core.files import exclusive, refuse_if_moved, remove_temporaries
from glassformer.core.json_files import write_json
from glassformer.core.layout import DatasetFolder, configuration_id
from glassformer.core.progress import Progress
from glassformer.core.provenance import code_version, parameter_hash
from glassformer.core.seeds import named_seed
from glassformer.core.words import counted
from glassformer.dataset.extend import join
from glassformer.dataset.mixtures import mixture_of
from glassformer.dataset.sample import Ensemble, Facts, Sample, read_sample, write_sample
from glassformer.dataset.starts import read_starts
from glassformer.observables.relaxation import relaxation_time
from glassformer.physics.configuration import Configuration
from glassformer.physics.crystallinity import bond_order, crystalline_fraction
from glassformer.physics.mixture import Mixture
from glassformer.simulate.draws import engine_used, run_draws
from glassformer.simulate.equilibration import EQUILIBRATION_CHECKPOINT, PROTOCOL_VERSION, Equilibrated, equilibrate
from glassformer.simulate.isoconfigurational import Report, collect, weighed
from glassformer.simulate.lammps import load_lammps
from glassformer.simulate.mismatch import earlier_campaign, refuse
from glassformer.simulate.pool import run_tasks
from glassformer.simulate.schedule import observation_steps
from glassformer.simulate.small_boxes import refuse_small_boxes
from glassformer.simulate.stages import approach, fewest_steps, hold
from glassformer.simulate.unfinished import Unfinished
from glassformer.simulate.work import Tally, lammps_cost, sample_work, warn_of_cost


@dataclass(frozen=True)
class Task:
    """One configuration with all its draws: what to simulate and where its file goes.

    `campaign` holds what is particular to `point` already; `start` takes the place of a random start.
    """

    campaign: Campaign
    point: StatePointSettings
    index: int
    path: Path
    start: Configuration | None = None

    @property
    def name(self) -> str:
        """Name of the sample that the task makes."""
        return f"{self.point.label}/{configuration_id(self.index)}"

    @property
    def parameter_hash(self) -> str:
        """Hash of everything that decides the sample's numbers."""
        made_by = {
            "index": self.index,
            "engine": engine_used(self.campaign),
            "protocol": PROTOCOL_VERSION,
            "start": None if self.start is None else self.start.fingerprint,
        }
        return parameter_hash(self.campaign.sample_parameters(self.point) | made_by)


def tasks(campaign: Campaign, dataset: Path) -> list[Task]:
    """Return the tasks of `campaign`: first every state point's first configuration, then the second, and so on.

    Raises `DatasetError` or `ConfigurationError` if the configurations to start from do not fit.
    """
    starts: list[Configuration] | list[None] = [None] * campaign.configurations
    if campaign.equilibration.start_from is not None:
        starts = _read_starts(campaign, Path(campaign.equilibration.start_from))
    return [
        Task(campaign.at(point), point, index, DatasetFolder(dataset).sample(point.label, index), starts[index])
        for index in range(campaign.configurations)
        for point in campaign.state_points
    ]


def _read_starts(campaign: Campaign, folder: Path) -> list[Configuration]:
    starts = read_starts(folder)
    if len(starts) < campaign.configurations:
        raise DatasetError(
            f"{folder} holds {len(starts)} configurations; the campaign asks for {campaign.configurations}",
            "Ask for fewer, or add some.",
        )
    mixture = mixture_of(campaign.mixture)
    wanted = mixture.numbers(campaign.particles)
    for start in starts:
        found = tuple(np.bincount(start.species, minlength=mixture.kinds).tolist())
        if found != wanted or start.dimension != mixture.dimension:
            raise DatasetError(
                f"{folder} holds a configuration of {_counted(found, mixture)} in {start.dimension} dimensions; the"
                f" campaign asks for {_counted(wanted, mixture)} in {mixture.dimension}",
                "Set particles to what is there, if the mixture is the same.",
            )
    return starts


def _counted(numbers: tuple[int, ...], mixture: Mixture) -> str:
    """Return the numbers of particles of each species in words: '800 A and 200 B'."""
    names = [*mixture.species, *(f"of species {kind}" for kind in range(mixture.kinds, len(numbers)))]
    return " and ".join(f"{number} {name}" for number, name in zip(numbers, names, strict=True))


def simulate_sample(task: Task, report: Report = lambda done, more=0: None, threads: int = 1) -> None:
    """Simulate what is missing of `task` and write its file: a plain function of files and parameters to a file.

    `threads` vectors of draws are followed at a time. A killed run continues from its last checkpoint.
    Raises `DatasetError`, `EngineError` or `StorageError`.
    """
    unfinished = Unfinished(task.path, task.parameter_hash)
    old = read_sample(task.path) if task.path.exists() else None
    if old is None or old.draws < task.campaign.draws:
        sample = (
            _new_sample(task, report, unfinished, threads)
            if old is None
            else _with_more_draws(task, old, report, unfinished, threads)
        )
        unfinished.check_home()
        write_sample(task.path, sample)
    unfinished.clear()


def _new_sample(task: Task, report: Report, unfinished: Unfinished, threads: int) -> Sample:
    campaign, point = task.campaign, task.point
    made = _equilibrated(task, report, unfinished)
    ensemble, drift, handover = _follow_draws(task, made.configuration, 0, report, unfinished, threads)
    tau_alpha = _relaxation_time(ensemble)
    order = bond_order(made.configuration)
    facts = Facts(
        state_point=point.label,
        temperature=point.temperature,
        pressure=point.pressure,
        density=point.density,
        mixture=campaign.mixture,
        time_step=campaign.time_step,
        seed=campaign.seed,
        index=task.index,
        engine=engine_used(campaign, handover),
        protocol=_protocol(task),
        parameter_hash=task.parameter_hash,
        code_version=code_version(),
        equilibration_time=made.held,
        tau_alpha=tau_alpha,
        equilibration_in_tau_alpha=made.held / (made.tau_alpha if math.isnan(tau_alpha) else tau_alpha),
        energy_drift=drift,
        equilibrated=made.equilibrated,
        hold_tau_alpha=made.tau_alpha,
        q6=order.overall,
        crystalline_fraction=crystalline_fraction(order),
        box="given density" if point.density is not None else campaign.equilibration.box,
        start="random" if task.start is None else f"configuration {task.start.fingerprint}",
    )
    return Sample(made.configuration, ensemble, facts, made.record)


def _equilibrated(task: Task, report: Report, unfinished: Unfinished) -> Equilibrated:
    """Return the equilibrated configuration, from `unfinished` if it is there."""
    report = weighed(report, lammps_cost(task.campaign))
    saved = unfinished.load("configuration")
    if saved is not None:
        report(0, -fewest_steps(task.campaign, task.point))
        return Equilibrated.from_arrays(saved)
    made = equilibrate(task.campaign, task.point, task.index, report, unfinished, task.start)
    unfinished.save("configuration", made.as_arrays())
    unfinished.drop(EQUILIBRATION_CHECKPOINT)
    return made


def _follow_draws(
    task: Task, configuration: Configuration, first: int, report: Report, unfinished: Unfinished, threads: int
) -> tuple[Ensemble, float, float | None]:
    """Follow the draws from number `first` on; return them, their energy drift, and when LAMMPS took over."""
    campaign, point = task.campaign, task.point
    names = range(first, campaign.draws)
    seeds = [named_seed(campaign.seed, point.label, task.index, "draw", draw) for draw in names]
    seen, handover = run_draws(configuration, point.temperature, seeds, campaign, report, unfinished, threads, first)
    drift = float(abs(seen.last_energy - seen.first_energy).max() / configuration.particles)
    return collect(seen, seeds, campaign), drift, handover


def _with_more_draws(task: Task, old: Sample, report: Report, unfinished: Unfinished, threads: int) -> Sample:
    more, drift, handover = _follow_draws(task, old.configuration, old.draws, report, unfinished, threads)
    ensemble = more if old.ensemble is None else join(old.ensemble, more)
    tau_alpha = _relaxation_time(ensemble)
    held = math.nan if old.facts.equilibration_time is None else old.facts.equilibration_time
    same_engine = old.ensemble is not None and handover is None
    changes = {
        "time_step": task.campaign.time_step,
        "tau_alpha": tau_alpha,
        "equilibration_time": held,
        "equilibration_in_tau_alpha": held
        / ((old.facts.hold_tau_alpha or math.nan) if math.isnan(tau_alpha) else tau_alpha),
        "energy_drift": max(old.facts.energy_drift or 0.0, drift),
        "engine": old.facts.engine if same_engine else engine_used(task.campaign, handover),
        "code_version": code_version(),
    }
    return replace(old, ensemble=ensemble, facts=old.facts.model_copy(update=changes))


def _relaxation_time(ensemble: Ensemble) -> float:
    return relaxation_time(ensemble.times, ensemble.self_scattering[:, :, 0].mean(0))


def _protocol(task: Task) -> str:
    """Return one line that tells how the configuration was made."""
    ensemble = "NPT" if task.point.pressure is not None else "NVT"
    stages = len(approach(task.campaign, task.point))
    way = f"random, minimise, {stages} {ensemble} stages" if stages else "given configuration"
    return f"{way}, {ensemble} windows of {hold(task.campaign, task.point).steps} steps"


def run_campaign(campaign: Campaign, dataset: Path, progress: Progress, workers: int) -> int:
    """Simulate what is missing of `campaign` in `dataset` on `workers` cores; return how many samples were made.

    A killed run loses what its workers did since their last checkpoints; running again continues there, with the same
    numbers. A configuration that fails does not cost the others, which are made first.
    Raises `DatasetError` if the folder holds samples of other parameters, `SettingsError`, both before anything is
    written; `StorageError`; and what the configurations raise, naming each.
    """
    load_lammps()
    all_tasks = tasks(campaign, dataset)
    engine_used(campaign)
    refuse_small_boxes(campaign)
    for point in campaign.state_points:
        observation_steps(campaign.at(point))
        fewest_steps(campaign, point)
    with exclusive(dataset):
        remove_temporaries(dataset)
        missing: dict[Task, float] = {}
        for task in all_tasks:
            there = draws_there(task)
            if there is not None and there >= campaign.draws:
                # Left by a process that was killed between the sample's last byte and this.
                Unfinished(task.path, task.parameter_hash).clear()
            else:
                missing[task] = sample_work(task.campaign, task.point, there)
        settings = _with_earlier_points(campaign, dataset)
        write_json(DatasetFolder(dataset).campaign, settings.model_dump(mode="json"))
        done = len(all_tasks) - len(missing)
        if done:
            progress.say(f"{done} of {counted(len(all_tasks), 'configuration')} exist already and are kept")
        if missing:
            warn_of_cost(campaign, sum(missing.values()), workers, progress)
            tally = Tally(progress, {task.name: work for task, work in missing.items()})
            workers, threads = max(1, min(workers, len(missing))), max(1, workers // len(missing))
            run_tasks(list(missing), simulate_sample, tally, workers, threads, partial(refuse_if_moved, dataset))
            absent = [task.path for task in missing if not task.path.exists()]
            if absent:
                raise StorageError(
                    f"{len(absent)} finished files were moved or deleted while others were made, first {absent[0]}",
                    "Put them back, and run the same command again.",
                )
    return len(missing)


def _with_earlier_points(campaign: Campaign, dataset: Path) -> Campaign:
    """Return `campaign` with the state points of the one last run into `dataset`, of which this may be a part."""
    earlier = earlier_campaign(dataset)
    if earlier is None:
        return campaign
    labels = {point.label for point in campaign.state_points}
    others = tuple(point for point in earlier.state_points if point.label not in labels)
    return campaign.model_copy(update={"state_points": campaign.state_points + others})


def draws_there(task: Task) -> int | None:
    """Return how many draws the task's file holds, or None if there is no file.

    Raises `DatasetError` if it is damaged or was made with other parameters.
    """
    if not task.path.exists():
        return None
    sample = read_sample(task.path)
    facts = sample.facts
    if facts.parameter_hash != task.parameter_hash:
        raise refuse(task, facts, _protocol(task))
    return sample.draws
