"""One fold of the cross-validation: from samples to a trained model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from glassformer.baselines.density import DensityFit
from glassformer.baselines.state_point_mean import StatePointMean
from glassformer.core.arrays import FloatArray
from glassformer.core.json_files import write_json
from glassformer.core.layout import HISTORY_FILE, MODEL_FILE, TrainingFolder
from glassformer.core.progress import Progress
from glassformer.core.provenance import code_version
from glassformer.core.run import Run
from glassformer.core.seeds import named_seed
from glassformer.core.sequences import Chosen
from glassformer.dataset.predictions import Role
from glassformer.dataset.sample import Sample
from glassformer.dataset.splits import Fold
from glassformer.graph.batch import CPU, GraphBatch
from glassformer.network.own import network_code
from glassformer.network.registry import build_network
from glassformer.physics.configuration import Configuration
from glassformer.physics.signature import together
from glassformer.train.checkpoint import Model, Scale, write_model
from glassformer.train.data import Loader, loader, make_items
from glassformer.train.device import device_name
from glassformer.train.examples import Example, build_examples
from glassformer.train.fitting import Place, fit, kept_weights
from glassformer.train.learner import Learner
from glassformer.train.prediction import calibration
from glassformer.train.schedule import kept_epoch
from glassformer.train.scope import Scope
from glassformer.train.target import Target


@dataclass(frozen=True, eq=False)
class Task:
    """All that the folds of a run share: its settings and target, the samples and their names, and the folder.

    `samples` may be read from files whenever they are asked for; `outlines` are in memory: `dataset.outline`.
    `start`: the model whose weights every fold starts from, if any. `device`: where this process trains; `memory`: the
    bytes that its graphs may take.
    """

    run: Run
    target: Target
    samples: Sequence[Sample]
    outlines: Sequence[Sample]
    names: Sequence[str]
    parts: Sequence[Fold]
    out: Path
    identity: str
    threads: int
    start: Model | None = None
    device: torch.device = CPU
    memory: float = math.inf

    def folder(self, number: int) -> Path:
        """Return the folder of fold `number`."""
        return TrainingFolder(self.out).fold(number).path

    def role_before(self, configuration: Configuration) -> Role:
        """Return what the network knew of `configuration` before this training."""
        return (self.start.role_of(configuration) if self.start is not None else None) or "test"


def train_fold(
    task: Task, number: int, graphs: Sequence[list[GraphBatch]], progress: Progress, rank: int, processes: int
) -> None:
    """Train fold `number` together with the other processes; rank 0 writes its history and its model."""
    fold = task.parts[number]
    start = prepare_fold(task, number, graphs, rank, processes)
    learner = start.learner
    place = Place(task.folder(number), f"fold {number + 1} of {len(task.parts)}", f"{task.identity} fold {number}")
    fit(learner, start.train, start.validation, place, progress)
    if rank:
        return
    model = _model(task, fold, start.mean, start.std, kept_weights(place))
    model = calibration(model, Chosen(task.samples, fold.train), Chosen(graphs, fold.train), task.device)
    kept = kept_epoch(task.run.training, learner.errors)
    history = [line | {"kept": epoch == kept} for epoch, line in enumerate(learner.history)]
    write_json(task.folder(number) / HISTORY_FILE, {"epochs": history})
    write_model(task.folder(number) / MODEL_FILE, model)


@dataclass(frozen=True, eq=False)
class Start:
    """A fold before its first epoch: an untrained learner, its data, and the scale of their labels."""

    learner: Learner
    train: Loader
    validation: Loader
    mean: FloatArray
    std: FloatArray


def prepare_fold(task: Task, number: int, graphs: Sequence[list[GraphBatch]], rank: int, processes: int) -> Start:
    """Return what process `rank` needs to train fold `number`."""
    run, fold = task.run, task.parts[number]
    examples = build_examples(task.target, task.outlines, graphs)
    train, validation = (_of(examples, indices) for indices in (fold.train, fold.validation))
    mean, std = scale_of(train, run.targets.standardised == "species", len(task.target.names))
    seed = named_seed(run.seed, "fold", number)
    torch.manual_seed(named_seed(seed, "weights"))
    baseline = _baseline_mae(task, examples, fold)
    settings = run.training
    network = build_network(run.network, std.shape[-1])
    if task.start is not None:
        network.load_state_dict(task.start.weights)
    learner = Learner(network, settings, seed, std, baseline, rank, task.device)
    batch, stratified = settings.batch_size, settings.batches == "stratified"
    return Start(
        learner,
        loader(make_items(train, mean, std), batch, seed, rank, processes, stratified),
        loader(make_items(validation, mean, std), batch, None, rank, processes),
        mean,
        std,
    )


def _model(task: Task, fold: Fold, mean: FloatArray, std: FloatArray, weights: dict[str, torch.Tensor]) -> Model:
    target, samples = task.target, task.samples
    roles, known = _what_it_knows(task, fold)
    trained = Chosen(samples, fold.train)
    known_of = [
        (sample.facts.state_point, target.mean_label(sample), sample.configuration.density) for sample in trained
    ]
    state_points, labels, density = zip(*known_of, strict=True)
    return Model(
        run=task.run,
        times=tuple(target.times.tolist()),
        label_mean=_tuples(mean),
        label_std=_tuples(std),
        calibration=((1.0,) * len(target.times),) * len(target.names),
        weights=weights,
        roles=roles,
        signatures=torch.from_numpy(together(known)),
        species=target.names,
        scope=Scope.of(Chosen(task.outlines, fold.train)),
        state_point_mean=StatePointMean.fit(state_points, np.stack(labels)),
        density_fit=DensityFit.fit(np.array(density), np.stack(labels)),
        parameter_hash=task.identity,
        code_version=code_version(),
        network_code=network_code(task.run.network),
        started_from="" if task.start is None else task.start.parameter_hash,
        device=device_name(task.device),
    )


def _what_it_knows(task: Task, fold: Fold) -> tuple[dict[str, Role], list[FloatArray]]:
    """Return what the fold's network knows of every configuration, by fingerprint, and their signatures.

    What the model that it started from has seen, it has seen.
    """
    roles: dict[str, Role] = {}
    known: dict[str, FloatArray] = {}
    # A structure on several sides, of which single draws were dealt out, has been trained on.
    for role, indices in (("test", fold.test), ("validation", fold.validation), ("train", fold.train)):
        for index in indices:
            one = task.outlines[index].configuration
            roles[one.fingerprint] = task.role_before(one) if role == "test" else role  # type: ignore[assignment]
            known[one.fingerprint] = one.signature
    if task.start is not None:
        before = task.start.known_signatures()
        roles = {one: role for one, role in task.start.roles.items() if one not in roles} | roles
        known = before | known
    return roles, [known[one] for one in roles]


def standardise(labels: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and standard deviation (K,) of `labels` (R, K); a constant label gets the scale 1."""
    std = labels.std(0)
    return labels.mean(0), np.where(std > 0, std, 1.0)


def scale_of(examples: Sequence[Example], each_species: bool, kinds: int) -> tuple[FloatArray, FloatArray]:
    """Return mean and standard deviation of the learned labels of `examples`: (K,), or (S, K) of each of S = `kinds`.

    A species that is not learned gets the mean 0 and the scale 1.
    """
    labels = np.concatenate([example.label[example.learned] for example in examples])
    if not each_species:
        return standardise(labels)
    species = np.concatenate([example.species[example.learned] for example in examples])
    mean, std = np.zeros((kinds, labels.shape[1])), np.ones((kinds, labels.shape[1]))
    for kind in np.unique(species):
        mean[kind], std[kind] = standardise(labels[species == kind])
    return mean, std


def _tuples(scale: FloatArray) -> Scale:
    return tuple(scale.tolist()) if scale.ndim == 1 else tuple(tuple(row) for row in scale.tolist())


def _of(examples: Sequence[list[Example]], indices: Sequence[int]) -> list[Example]:
    return [example for index in indices for example in examples[index]]


def _baseline_mae(task: Task, examples: Sequence[list[Example]], fold: Fold) -> float:
    """Return the mean absolute error that the state points' means, of each species, make on the validation set."""

    state_points = {index: task.outlines[index].facts.state_point for index in (*fold.train, *fold.validation)}

    def groups(indices: Sequence[int]) -> dict[tuple[str, int], FloatArray]:
        found: dict[tuple[str, int], list[FloatArray]] = {}
        for index in indices:
            state_point = state_points[index]
            for example in examples[index]:
                species = example.species if len(example.label) > 1 else np.zeros(1)
                for kind in np.unique(species[example.learned]):
                    rows = example.label[example.learned & (species == kind)]
                    found.setdefault((state_point, int(kind)), []).append(rows)
        return {key: np.concatenate(parts) for key, parts in found.items()}

    known, truth = groups(fold.train), groups(fold.validation)
    errors = [np.abs(rows - known[key].mean(0)) for key, rows in truth.items() if key in known]
    return float(np.concatenate(errors).mean()) if errors else float("nan")
