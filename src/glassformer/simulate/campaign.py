"""Run a campaign: every configuration a task from parameters to a file, tasks on all cores, finished ones skipped."""

from functools import partial
from pathlib import Path

import numpy as np

from glassformer.core.campaign import Campaign
from glassformer.core.errors import DatasetError, StorageError
from glassformer.core.files import exclusive, refuse_if_moved, remove_temporaries
from glassformer.core.json_files import write_json
from glassformer.core.layout import DatasetFolder
from glassformer.core.progress import Progress
from glassformer.core.words import counted
from glassformer.dataset.mixtures import mixture_of
from glassformer.dataset.sample import read_sample
from glassformer.dataset.starts import read_starts
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture
from glassformer.simulate.draws import engine_used
from glassformer.simulate.lammps import load_lammps
from glassformer.simulate.mismatch import earlier_campaign, refuse
from glassformer.simulate.pool import run_tasks
from glassformer.simulate.sample_task import Task, protocol, simulate_sample
from glassformer.simulate.schedule import observation_steps
from glassformer.simulate.small_boxes import refuse_small_boxes
from glassformer.simulate.stages import fewest_steps
from glassformer.simulate.unfinished import Unfinished
from glassformer.simulate.work import Tally, sample_work, warn_of_cost


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
        raise refuse(task, facts, protocol(task))
    return sample.draws
