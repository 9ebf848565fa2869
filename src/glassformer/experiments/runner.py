"""Run a study: train every experiment, test its networks on all that they have not seen, score them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from glassformer.baselines.density_curve import DensityCurve
from glassformer.core.errors import DatasetError, FullDiskError, GlassformerError, PredictionError, StorageError
from glassformer.core.experiment import Experiment, Study
from glassformer.core.files import refuse_if_moved
from glassformer.core.layout import OutFolder, TrainingFolder, names_state_point
from glassformer.core.lock import HeldError, rival
from glassformer.core.parsl_runner import Runner
from glassformer.core.progress import Part, Progress, Silent
from glassformer.core.provenance import parameter_hash
from glassformer.core.run import Run, Split
from glassformer.core.tally import Tally
from glassformer.dataset.folder import data_hash, read_dataset
from glassformer.dataset.labels import log_mean
from glassformer.dataset.predictions import Predictions, read_predictions, write_predictions
from glassformer.dataset.sample import Sample
from glassformer.dataset.splits import draws_of, single_draws
from glassformer.evaluate.audit import AuditRow, audit_rows
from glassformer.evaluate.experiments import NetworkTest, score_rows
from glassformer.evaluate.liquid import Liquid
from glassformer.evaluate.results import ExperimentResult, read_result, write_result
from glassformer.physics.configuration import SPECIES_A
from glassformer.train.budget import read_budget
from glassformer.train.checkpoint import Model, read_model
from glassformer.train.prediction import predict
from glassformer.train.processes import run_together
from glassformer.train.training import run_identity, train_run

# The way to score and the baselines: results of another are made again.
SCORING = 4
# What an audit scores: the network, and what knows no structure.
AUDITED = ("prediction", "state_point_mean", "density_fit")


@dataclass(frozen=True, eq=False)
class Work:
    """An experiment, its run, the samples that it may see, all samples, and where it is written."""

    experiment: Experiment
    run: Run
    samples: Sequence[Sample]
    everything: Sequence[Sample]
    files: TrainingFolder

    @property
    def by_draw(self) -> bool:
        """Whether every draw is a sample, and scored as one."""
        return self.run.targets.draws == "each"

    @property
    def trained_on(self) -> tuple[str, ...]:
        """The state points of the samples that it may see."""
        return tuple(sorted({sample.facts.state_point for sample in self.samples}))

    @property
    def epochs(self) -> int:
        """Epochs of all its networks."""
        return _folds(self.run.split) * self.run.training.epochs

    @property
    def cost(self) -> float:
        """How long it takes beside the others, roughly: graphs times epochs, nothing if it is done."""
        if (self.files.result).exists():
            return 0.0
        draws = sum(sample.draws if self.by_draw else 1 for sample in self.samples)
        return self.epochs * draws * self.run.split.training_share


@dataclass(frozen=True)
class Order:
    """What a process needs to find its work: a study at a scale, the experiments of each, data, where to write."""

    study: Study
    scale: str
    parts: tuple[tuple[str, ...], ...]
    data: Path
    out: Path
    threads: int


@dataclass(frozen=True)
class Task:
    """An experiment as a task for any worker that sees the folders; training its networks takes the `lock`."""

    name: str
    lock: Path | None
    order: Order


def train_remotely(task: Task) -> None:
    """Do one experiment in a worker of Parsl. Raises as `train_run` does; `HeldError` if another process is at it."""
    (work,) = plan_work(task.order.study, task.order.scale, [task.name], read_dataset(task.order.data), task.order.out)
    try:
        _run_one(work, Silent(), task.order.threads)
    except StorageError:
        owner = None if task.lock is None else rival(task.lock)
        if owner is None:
            raise
        raise HeldError(owner) from None


def run_experiments(
    study: Study,
    scale: str,
    only: Sequence[str],
    data: Path,
    out: Path,
    progress: Progress,
    workers: int,
    runner: Runner | None = None,
) -> list[ExperimentResult]:
    """Train, test and score the experiments of `study` that `only` names, or all; what is done is not done again.

    On CPUs, experiments run side by side, as many as there are `workers`, which share the threads: networks are too
    small to keep several threads busy. out/training/<name>/fold-<n>/test.h5 holds a network's predictions,
    out/training/<name>/result.json the scores. Configurations that are not in equilibrium are used: the report says
    which. An experiment that fails is said to have failed, and has no result. `runner` takes the place of processes on
    this machine: there each experiment is one task, on one thread. Raises `SettingsError`, `DatasetError` if a state
    point is missing, and what else `train_run` raises.
    """
    work = plan_work(study, scale, only, read_dataset(data), out)
    if runner is not None:
        order = Order(study, scale, (), data.absolute(), out.absolute(), 1)
        _elsewhere(work, order, runner, progress)
        return [read_result(one.files.result) for one in work if (one.files.result).exists()]
    processes = 1 if torch.cuda.is_available() else min(workers, len(work))
    parts = tuple(tuple(one.experiment.name for one in part) for part in share(work, processes))
    order = Order(study, scale, parts, data, out, max(1, workers // processes))
    progress.start("train", sum(one.epochs for one in work), "epochs")
    if processes == 1:
        _run_share(order, progress, 0, 1)
    else:
        run_together(_run_share, order, processes, progress, one_network=False)
    return [read_result(one.files.result) for one in work if (one.files.result).exists()]


def finished(study: Study, scale: str, only: Sequence[str], data: Path, out: Path) -> set[str]:
    """Return the names of the experiments whose results `run_experiments` would keep. Raises as it does."""
    work = plan_work(study, scale, only, read_dataset(data), out)
    # The hash of all data takes a while.
    there = (one for one in work if one.files.result.exists())
    return {one.experiment.name for one in there if _known(one, _identity(one)) is not None}


def _elsewhere(work: Sequence[Work], order: Order, runner: Runner, progress: Progress) -> None:
    # The longest first, so that none is left for the end; what is there already needs no job.
    left = [one for one in sorted(work, key=lambda one: -one.cost) if _known(one, _identity(one)) is None]
    for one in work:
        if one not in left:
            _run_one(one, Silent(), order.threads)
            progress.say(f"{one.experiment.name}: already exists")
    if left:
        tasks = [Task(one.experiment.name, one.files.lock, order) for one in left]
        tally = Tally(progress, {one.experiment.name: float(one.epochs) for one in left}, "train")
        runner(train_remotely, tasks, tally, partial(refuse_if_moved, order.out))


def plan_work(study: Study, scale: str, only: Sequence[str], samples: Sequence[Sample], out: Path) -> list[Work]:
    """Return what there is to do, in order. Raises `SettingsError`; `DatasetError` if a state point is missing."""
    work = []
    for experiment, run in study.runs(scale, only):
        for wanted in experiment.train:
            if not any(names_state_point(wanted, sample.facts.state_point) for sample in samples):
                there = ", ".join(sorted({sample.facts.state_point for sample in samples}))
                raise DatasetError(
                    f"experiment {experiment.name} trains on {wanted}, which is not among the data ({there})",
                    "Simulate it, or leave the experiment out: --only.",
                )
        seen = [sample for sample in samples if experiment.trains_on(sample.facts.state_point)]
        work.append(Work(experiment, run, seen, samples, OutFolder(out).training(experiment.name)))
    return work


def _run_share(order: Order, progress: Progress, rank: int, processes: int) -> None:
    """Do one process's part of the experiments; reading the data is sooner done than being sent them."""
    if not order.parts[rank]:
        return
    for one in plan_work(order.study, order.scale, order.parts[rank], read_dataset(order.data), order.out):
        try:
            _run_one(one, Part(progress, one.experiment.name), order.threads)
        except FullDiskError:
            raise
        except GlassformerError as error:
            # One that fails, as at too high a learning rate or in a folder of another run, does not cost the rest.
            progress.say(f"{one.experiment.name} FAILED: {error.problem}")


def _run_one(work: Work, progress: Progress, threads: int) -> None:
    identity = _identity(work)
    result = _known(work, identity)
    if result is None:
        # Should this fail, what is there from before must not pass for its result.
        (work.files.result).unlink(missing_ok=True)
        train_run(work.run, work.samples, work.files.path, progress, threads, allow_unequilibrated=True)
        result = _result(work, identity)
    else:
        progress.expect(-work.epochs)
    write_result(work.files.result, result)
    progress.say(f"done ({result.title})")


def share(work: Sequence[Work], processes: int) -> list[list[Work]]:
    """Deal `work` out, the longest first, each to whoever has least to do."""
    parts: list[list[Work]] = [[] for _ in range(processes)]
    for one in sorted(work, key=lambda one: -one.cost):
        min(parts, key=lambda part: (sum(other.cost for other in part), len(part))).append(one)
    return parts


def _known(work: Work, identity: str) -> ExperimentResult | None:
    """Return the result that is there, called as the study calls it now, if it is one of just this work."""
    try:
        known = read_result(work.files.result)
    except PredictionError:
        # None yet, or damaged, or of an older version: it is made again.
        return None
    if known.identity != identity:
        return None
    one = work.experiment
    return replace(known, group=one.group, title=one.title, compare=one.compare)


def _identity(work: Work) -> str:
    """Return the hash of the run, of all data that it is trained and tested on, and of the way to score."""
    return parameter_hash(
        {"run": run_identity(work.run, work.samples), "tested": data_hash(work.everything), "scoring": SCORING}
    )


def _result(work: Work, identity: str) -> ExperimentResult:
    """Test and score the trained networks."""
    allowed = (work.run.network.name,)
    models = [read_model(work.files.fold(fold).model, allowed) for fold in range(_folds(work.run.split))]
    first = models[0]
    liquid = Liquid.of(work.everything, np.array(first.times))
    tested = work.samples if work.by_draw else work.everything
    return ExperimentResult(
        name=work.experiment.name,
        group=work.experiment.group,
        title=work.experiment.title,
        compare=work.experiment.compare,
        network=work.run.network.name,
        head=work.run.network.head,
        parameters=sum(weight.numel() for weight in first.network().parameters() if weight.requires_grad),
        folds=len(models),
        trained_on=work.trained_on,
        tested_on=tuple(sorted({sample.facts.state_point for sample in tested})),
        training_configurations=sum(role == "train" for role in first.roles.values()),
        parameter_hash=first.parameter_hash,
        identity=identity,
        data=data_hash(work.everything),
        code_version=first.code_version,
        rows=() if work.by_draw else score_rows(_test_structures(work, models), work.trained_on, liquid),
        audit=_audit(work, models, liquid) if work.by_draw else (),
        epochs=first.run.training.epochs,
        epoch_seconds=_epoch_seconds(work, first),
    )


def _epoch_seconds(work: Work, model: Model) -> float:
    """Return the seconds of an epoch, NaN where they were not measured."""
    if not work.run.training.seconds:
        return math.nan
    return read_budget(work.files.budget, model.parameter_hash)[1]


def _folds(split: Split) -> int:
    return split.trained_folds or split.folds


def _test_structures(work: Work, models: Sequence[Model]) -> list[NetworkTest]:
    """Return what every network says of all configurations that it has not seen; write it into its folder."""
    tests = []
    for fold, model in enumerate(models):
        unseen = [sample for sample in work.everything if _is_unseen(work, model, sample)]
        predictions = predict(model, unseen)
        write_predictions(work.files.fold(fold).test, predictions)
        tests.append(NetworkTest(predictions, _density_curve(work, model).predict(predictions.density)))
    return tests


def _is_unseen(work: Work, model: Model, sample: Sample) -> bool:
    """Tell whether `sample` is of another state point, or held out: not if it was only left out to train on fewer."""
    role = model.role_of(sample.configuration)
    return role == "test" or (role is None and sample.facts.state_point not in work.trained_on)


def _density_curve(work: Work, model: Model) -> DensityCurve:
    known = [sample for sample in work.samples if model.role_of(sample.configuration) == "train"]
    times = np.array(model.times)
    labels = np.stack([log_mean(sample, times, "squared-displacement", SPECIES_A) for sample in known])
    density = np.array([sample.configuration.density for sample in known])
    return DensityCurve.fit([sample.facts.state_point for sample in known], density, labels)


def _audit(work: Work, models: Sequence[Model], liquid: Liquid) -> tuple[AuditRow, ...]:
    """Return the scores of single draws, of the network and of what knows the state point or the density alone."""
    if work.run.split.by == "draw":
        # What was held out are draws of structures that have been seen: only training knows which.
        tests = [read_predictions(work.files.predictions)]
    else:
        tests = [_test_draws(work, model) for model in models]
        for number, test in enumerate(tests):
            write_predictions(work.files.fold(number).test, test)
    return tuple(row for model in AUDITED for row in audit_rows(model, tests, liquid))


def _test_draws(work: Work, model: Model) -> Predictions:
    """Return what a network says of every draw of the configurations that were held out, each by itself."""
    held_out = [sample for sample in work.samples if model.role_of(sample.configuration) == "test"]
    names = tuple(map(str, draws_of(held_out)))
    return replace(predict(model, single_draws(held_out)), configurations=names)
