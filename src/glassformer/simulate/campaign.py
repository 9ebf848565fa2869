"""Run a campaign: every configuration a task from parameters to a file, tasks on all cores, finished ones skipped."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from glassformer.core.campaign import Campaign
from glassformer.core.errors import DatasetError, InputError, StorageError
from glassformer.core.failures import raise_failures
from glassformer.core.files import refuse_if_moved
from glassformer.core.json_files import write_json
from glassformer.core.layout import DatasetFolder, unfinished_folder
from glassformer.core.lock import HeldError, held
from glassformer.core.parsl_runner import Runner
from glassformer.core.pool import run_tasks
from glassformer.core.progress import Progress
from glassformer.core.runs import shared, sharing
from glassformer.core.tally import Tally
from glassformer.core.temporaries import remove_temporaries
from glassformer.core.words import counted
from glassformer.dataset.folder import UNUSABLE, refuse_unusable
from glassformer.dataset.index import Index
from glassformer.dataset.mixtures import mixture_of
from glassformer.dataset.starts import Start, read_starts
from glassformer.physics.mixture import Mixture
from glassformer.simulate.batch_task import batches, simulate_batch, simulate_batch_remotely
from glassformer.simulate.draws import check_engine, engine_of, engine_used
from glassformer.simulate.mismatch import OtherParametersError, earlier_campaign, refuse_another
from glassformer.simulate.sample_task import Task, sample_there, simulate_remotely, simulate_sample
from glassformer.simulate.schedule import observation_steps
from glassformer.simulate.small_boxes import refuse_small_boxes
from glassformer.simulate.stages import fewest_steps
from glassformer.simulate.unfinished import Unfinished
from glassformer.simulate.work import sample_work, warn_of_cost

# Attempts to write campaign.json, which other runs write at the same moment.
ATTEMPTS = 600

T = TypeVar("T")


def tasks(campaign: Campaign, dataset: Path) -> list[Task]:
    """Return the tasks of `campaign`: first every state point's first configuration, then the second, and so on.

    Raises `DatasetError` or `ConfigurationError` if the configurations to start from do not fit.
    """
    starts: list[Start] | list[None] = [None] * campaign.configurations
    if campaign.equilibration.start_from is not None:
        starts = _read_starts(campaign, Path(campaign.equilibration.start_from))
    # Tasks of a state point share its settings.
    points = [(campaign.at(point), point) for point in campaign.state_points]
    return [
        Task(at_point, point, index, DatasetFolder(dataset).sample(point.label, index), starts[index])
        for index in range(campaign.configurations)
        for at_point, point in points
    ]


def _read_starts(campaign: Campaign, folder: Path) -> list[Start]:
    starts = read_starts(folder)
    if len(starts) < campaign.configurations:
        raise DatasetError(
            f"{folder} holds {len(starts)} configurations; the campaign asks for {campaign.configurations}",
            "Ask for fewer, or add some.",
        )
    mixture = mixture_of(campaign.mixture)
    wanted = mixture.numbers(campaign.particles)
    for start in (one.configuration for one in starts):
        found = tuple(np.bincount(start.species, minlength=mixture.kinds).tolist())
        if start.particles != campaign.particles or start.dimension != mixture.dimension:
            raise DatasetError(
                f"{folder} holds a configuration of {_counted(found, mixture)} in {start.dimension} dimensions; the"
                f" campaign asks for {_counted(wanted, mixture)} in {mixture.dimension}",
                "Set particles to the numbers in the file, if the mixture is the same.",
            )
        mixture.check(start.species, str(folder), DatasetError)
    return starts


def _counted(numbers: tuple[int, ...], mixture: Mixture) -> str:
    """Return the numbers of particles of each species in words: '800 A and 200 B'."""
    names = [*mixture.species, *(f"of species {kind}" for kind in range(mixture.kinds, len(numbers)))]
    return " and ".join(f"{number} {name}" for number, name in zip(numbers, names, strict=True))


@dataclass(frozen=True)
class Choice:
    """Which tasks of a campaign a run takes: part `part` of `parts`, counted from 1, and of these the `names`, if any.

    Without `verify`, samples that the index does not know are taken for whole and complete, without reading them.
    """

    part: int = 1
    parts: int = 1
    names: frozenset[str] | None = None
    verify: bool = True

    def of(self, all_tasks: Sequence[Task]) -> list[Task]:
        """Return those among `all_tasks`."""
        return [task for task in self.share(all_tasks) if self.names is None or task.name in self.names]

    def share(self, of_tasks: Sequence[T]) -> Sequence[T]:
        """Return what belongs to the tasks of the part, of what there is `of_tasks`, one for each."""
        return of_tasks[self.part - 1 :: self.parts]


def run_campaign(
    campaign: Campaign,
    dataset: Path,
    progress: Progress,
    workers: int,
    choice: Choice = Choice(),
    runner: Runner | None = None,
) -> int:
    """Simulate what is missing of `campaign` in `dataset` on `workers` cores; return how many samples were made.

    A killed run loses what its workers did since their last checkpoints; running again continues there, with the same
    numbers. A configuration that fails does not cost the others, which are made first. Several runs share the work,
    also on several nodes: each configuration is made by one of them, and all return when nothing is left. `runner`
    takes the place of processes on this machine.
    Raises `DatasetError` if the folder holds samples of other parameters, `SettingsError`, both before anything is
    written; `StorageError`; and what the configurations raise, naming each.
    """
    # A device may be where the runner's workers are; these look for it.
    if runner is None or engine_of(campaign) != "cuda":
        check_engine(campaign)
    # Elsewhere, the current folder may be another one.
    chosen = choice.of(tasks(campaign, dataset if runner is None else dataset.absolute()))
    engine_used(campaign)
    refuse_small_boxes(campaign)
    for point in campaign.state_points:
        observation_steps(campaign.at(point))
        fewest_steps(campaign, point)
    with shared(dataset):
        remove_temporaries(dataset)
        missing = missing_work(chosen, dataset, choice.verify)
        record_campaign(campaign, dataset)
        done = len(chosen) - len(missing)
        if done:
            progress.say(f"{done} of {counted(len(chosen), 'configuration')} exist already and are kept")
        if not missing:
            return 0
        warn_of_cost(campaign, sum(missing.values()), None if runner else workers, progress)
        do = _in_batches if engine_of(campaign) == "cuda" else _one_by_one
        made = do(missing, progress, workers, partial(refuse_if_moved, dataset), runner)
        absent = [task.path for task in missing if not task.path.exists()]
        if absent:
            raise StorageError(
                f"{len(absent)} finished files were moved or deleted during the run, first {absent[0]}",
                "Move them back, and run the same command again.",
            )
    return sum(made.values())


def _one_by_one(
    missing: dict[Task, float], progress: Progress, workers: int, check: Callable[[], None], runner: Runner | None
) -> dict[str, Any]:
    """Simulate each sample as a task, on the processors; return how many each made. Raises as `raise_failures` does."""
    tally = Tally(progress, {task.name: work for task, work in missing.items()})
    if runner is not None:
        work = partial(simulate_remotely, engine=engine_used(next(iter(missing)).campaign))
        made, failures = runner(work, list(missing), tally, check)
    else:
        count, threads = min(workers, len(missing)), max(1, workers // len(missing))
        made, failures = run_tasks(list(missing), simulate_sample, tally, count, threads, check)
    raise_failures(failures, len(missing))
    return made


def _in_batches(
    missing: dict[Task, float], progress: Progress, workers: int, check: Callable[[], None], runner: Runner | None
) -> dict[str, Any]:
    """Equilibrate and follow all draws on CUDA devices, batch by batch: on this machine's in one process.

    Returns how many samples each batch made. Raises as `raise_failures` does.
    """
    together = batches(list(missing))
    tally = Tally(progress, {batch.name: sum(missing[task] for task in batch.tasks) for batch in together})
    if runner is not None:
        work = partial(simulate_batch_remotely, engine=engine_used(together[0].tasks[0].campaign))
        made, failures = runner(work, together, tally, check)
    else:
        made, failures = run_tasks(together, simulate_batch, tally, 1, workers, check)
    raise_failures(failures, len(together), "batches")
    return made


def missing_work(chosen: Sequence[Task], dataset: Path, verify: bool = True) -> dict[Task, float]:
    """Return the tasks of which something is missing, and how much work they are. Raises as `all_draws_there` does."""
    missing: dict[Task, float] = {}
    # It is the same for all tasks of a state point of which as much exists.
    known: dict[tuple[str, int | None], float] = {}
    for task, there in zip(chosen, all_draws_there(chosen, dataset, verify), strict=True):
        if there is None or there < task.campaign.draws:
            key = task.point.label, there
            if key not in known:
                known[key] = sample_work(task.campaign, task.point, there)
            missing[task] = known[key]
        elif unfinished_folder(task.path).exists():
            # Left by a process that was killed between the sample's last byte and this.
            with suppress(HeldError, OSError), held(task.lock):
                Unfinished(task.path, task.parameter_hash).clear()
    return missing


def record_campaign(campaign: Campaign, dataset: Path) -> None:
    """Write `campaign` into `dataset`, unless it is there. Raises `DatasetError` if other runs there make another."""
    path = DatasetFolder(dataset).campaign
    for _ in range(ATTEMPTS):
        try:
            with suppress(FileNotFoundError), held(DatasetFolder(dataset).campaign_lock):
                earlier = earlier_campaign(dataset)
                if earlier is not None and sharing(dataset):
                    refuse_another(earlier, campaign, dataset)
                settings = _with_earlier_points(campaign, earlier)
                if settings != earlier:
                    write_json(path, settings.model_dump(mode="json"))
                return
        except HeldError:
            time.sleep(0.05)
    raise StorageError(f"{path} is being written by another run", "Run the same command again.")


def _with_earlier_points(campaign: Campaign, earlier: Campaign | None) -> Campaign:
    """Return `campaign` with the state points of the `earlier` one in its folder, of which this may be a part."""
    if earlier is None:
        return campaign
    labels = {point.label for point in campaign.state_points}
    others = tuple(point for point in earlier.state_points if point.label not in labels)
    return campaign.model_copy(update={"state_points": campaign.state_points + others})


def all_draws_there(of_tasks: Sequence[Task], dataset: Path, verify: bool = True) -> list[int | None]:
    """Return what `draws_there` does for each of the tasks in `dataset`.

    Raises `DatasetError` at the first sample of other parameters, and for damaged ones after all were looked at.
    """
    index = Index(dataset)
    found: list[int | None] = []
    failures: list[InputError] = []
    for task in of_tasks:
        try:
            found.append(draws_there(task, index, verify))
        except OtherParametersError:
            raise
        except UNUSABLE as error:
            failures.append(error)
    refuse_unusable(failures, dataset, len(failures) + sum(draws is not None for draws in found))
    return found


def draws_there(task: Task, index: Index, verify: bool = True) -> int | None:
    """Return how many draws the task's file holds, or None if there is no file.

    Without `verify`, a file that `index` does not know is taken to hold all. Raises `DatasetError` if it is damaged or
    was made with other parameters.
    """
    known = index.known(task.path)
    if known is not None and task.accepts(known.parameter_hash):
        return known.draws
    if not verify and os.path.lexists(task.path):
        return task.campaign.draws
    there = sample_there(task)
    return None if there is None else there.draws
