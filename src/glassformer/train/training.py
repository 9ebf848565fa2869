"""Train a run: one network a fold, each resumable, and the predictions of all folds for what they had not seen."""

import math
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch
from torch import distributed

from glassformer.core.arrays import IntArray
from glassformer.core.differences import differences, listed
from glassformer.core.errors import CheckpointError, DatasetError, SettingsError
from glassformer.core.json_files import read_json, write_json
from glassformer.core.layout import PREDICTIONS_FILE, RUN_FILE, TrainingFolder
from glassformer.core.network_kinds import OwnNetworkSettings
from glassformer.core.progress import Progress, Silent
from glassformer.core.provenance import fingerprint, parameter_hash
from glassformer.core.run import Run
from glassformer.core.runs import exclusive
from glassformer.core.sequences import Chosen, OnDemand
from glassformer.core.temporaries import remove_temporaries
from glassformer.dataset.consistency import check_state_points, refuse_copies
from glassformer.dataset.folder import refuse_bare, refuse_ends, refuse_unequilibrated
from glassformer.dataset.outline import Outlines, Streamed, outlines_of
from glassformer.dataset.predictions import Predictions, write_predictions
from glassformer.dataset.sample import Sample
from glassformer.dataset.species import agreed_species
from glassformer.dataset.splits import draws_of, folds, single_draws
from glassformer.graph.batch import GraphBatch
from glassformer.network.own import network_code
from glassformer.network.registry import build_network
from glassformer.train.budget import within_budget
from glassformer.train.checkpoint import Model, read_model
from glassformer.train.device import Device, be_deterministic, choose_device
from glassformer.train.examples import build_graphs
from glassformer.train.fitting import remove_checkpoints
from glassformer.train.fold import Task, train_fold
from glassformer.train.memory import keep_large_blocks
from glassformer.train.nodes import PATIENCE, Member, from_first, joined
from glassformer.train.prediction import merge, predict
from glassformer.train.processes import run_together
from glassformer.train.target import Target


def train_run(
    run: Run,
    samples: Sequence[Sample],
    out: Path,
    progress: Progress,
    threads: int,
    allow_unequilibrated: bool = False,
    processes: int = 1,
    start: Model | None = None,
    device: Device = "auto",
    member: Member | None = None,
    memory: float = math.inf,
) -> Path:
    """Train `run` on `samples` into the folder `out`; return the path of the prediction file.

    out/fold-<n>/model.safetensors and history.json for every fold, out/predictions.h5 for all: each configuration
    predicted by the one network that had not seen it. A killed run continues from the last whole epoch and ends with
    the same numbers: on a CPU with the same number of threads and processes, on GPUs if `training.deterministic`;
    otherwise a GPU adds in another order each time. Bare structures are refused; so are samples that were found not to
    be in equilibrium, unless `allow_unequilibrated`.

    `processes` train one network together, each on its share of every batch: on as many GPUs, or on the CPU with
    `threads` among them; batch norms then see that share alone. `member`: which this process is of several that srun or
    torchrun started, on one or more nodes that share `out`; the first returns last. `device`: 'auto' is a GPU if there
    is one; graphs stay on it. `memory`: bytes for the graphs of each process, at most half of what a GPU has free;
    graphs that do not fit are built again in every epoch, from `samples`, which need not be in memory either. Every
    fold starts from the weights of `start`, if given, whose network must be the run's; what that model has seen keeps
    its role, in the new models and in the predictions.
    Raises `CheckpointError` if `out` holds another run, `DatasetError`, `SettingsError`, `StorageError`,
    `TrainingError`.
    """
    outlines = _outlines(samples, run)
    refuse_bare(outlines.samples)
    refuse_ends(outlines.samples)
    if not allow_unequilibrated:
        refuse_unequilibrated(outlines.samples)
    place = choose_device(device, 0 if member is None else member.gpu)
    if place.type == "cuda":
        _refuse_too_many(processes)
    # Before anything is written: what cannot be trained is refused here.
    task = replace(_task(samples, outlines, out, max(1, threads // processes), start), device=place)
    _prepare_torch(task, threads)
    task = replace(task, memory=memory)
    graphs = _graphs(task, progress)
    rank, together = (0, processes) if member is None else (member.rank, member.size)
    with ExitStack() as stack:
        if member is not None:
            stack.enter_context(joined(member, out, place))
        settings, missing = from_first(lambda: _begin(stack, task, graphs, progress, together))
        task = replace(task, run=settings)
        if processes > 1 and missing:
            run_together(_train_share, (task, missing), processes, progress)
        else:
            _train_folds((task, missing), graphs, progress, rank, together)
        if rank == 0:
            write_predictions(out / PREDICTIONS_FILE, _predict_folds(task, graphs))
    return out / PREDICTIONS_FILE


def _begin(
    stack: ExitStack, task: Task, graphs: Sequence[list[GraphBatch]], progress: Progress, processes: int
) -> tuple[Run, list[int]]:
    """Take the folder until `stack` ends; return the run, with the epochs that fit its budget, and the missing folds.

    Raises `CheckpointError` if the folder holds another run, `StorageError` if another process writes there.
    """
    out = task.out
    _refuse_other_run(out, task.identity, task.run)
    stack.enter_context(exclusive(out))
    remove_temporaries(out)
    write_json(out / RUN_FILE, {"parameter_hash": task.identity} | task.run.model_dump(mode="json"))
    within = within_budget(task, graphs, progress, processes)
    return within.run, _missing(within, task.run.training.epochs, progress)


def run_identity(run: Run, samples: Sequence[Sample]) -> str:
    """Return the hash of all that decides what `train_run` makes of `samples`. Raises `DatasetError`."""
    return _task(samples, _outlines(samples, run), Path(), 1).identity


def _outlines(samples: Sequence[Sample], run: Run) -> Outlines:
    """Return the outlines of `samples`, gathered in one pass unless they were when these were first read."""
    if isinstance(samples, Streamed) and samples.outlines.run == run:
        return samples.outlines
    return outlines_of(samples, run)


def _task(samples: Sequence[Sample], known: Outlines, out: Path, threads: int, start: Model | None = None) -> Task:
    outlines: Sequence[Sample] = known.samples
    species = agreed_species(outlines)
    run = _with_species(known.run, len(species))
    if known.unobserved is not None:
        raise known.unobserved
    target = Target.of(run.targets, run.network.head, known.times, species)
    _refuse_what_does_not_fit(outlines)
    if start is not None:
        _refuse_another_network(start, run, target)
    names, split = [sample.identifier for sample in outlines], run.split
    if split.by == "draw":
        configurations, names = len(names), list(map(str, draws_of(outlines)))
        samples = single_draws(samples, [sample.draws for sample in outlines])
        outlines = list(single_draws(outlines))
        # As many draws for validation as the configurations would have had that are set aside otherwise.
        number = split.validation_per_state_point * len(names) // configurations
        split = split.model_copy(update={"validation_per_state_point": number})
    parts = folds(outlines, split, run.seed)
    identity = _identity(run, target, outlines, known.inherent, start)
    return Task(run, target, samples, outlines, names, parts, out, identity, threads, start)


def _refuse_another_network(start: Model, run: Run, target: Target) -> None:
    """Raise `SettingsError` if the weights of `start` are not those of the run's network."""
    own, others = (one.network.model_dump(mode="json") for one in (run, start.run))
    found = differences(others, own, "the model", "this run")
    if len(start.times) != len(target.times):
        found.append(f"number of targets.times: {len(start.times)} in the model, {len(target.times)} in this run")
    if found:
        raise SettingsError(
            f"the model that training starts from has another network: {listed(found)}",
            "Give the run the network and as many times as the model has, or train without --from.",
        )


def _with_species(run: Run, number: int) -> Run:
    """Return `run` with the number of species of the data. Raises `SettingsError` if its network has another."""
    network = run.network
    if "species" in network.model_fields_set and network.species != number:
        raise SettingsError(
            f"network.species = {network.species}, and the data have {number} species", "Leave network.species out."
        )
    return run.model_copy(update={"network": network.model_copy(update={"species": number})})


def _refuse_what_does_not_fit(samples: Sequence[Sample]) -> None:
    """Raise `DatasetError` for copies of one structure, samples of one name, and state points that are none."""
    names = [sample.identifier for sample in samples]
    refuse_copies(samples, names)
    twice = [name for name, number in Counter(names).items() if number > 1]
    if twice:
        raise DatasetError(f"{len(twice)} names belong to several configurations, first {twice[0]}", "Rename them.")
    check_state_points(samples, sizes=False)


def _missing(task: Task, expected: int, progress: Progress) -> list[int]:
    """Return the folds that have no model yet, and tell `progress` what there is to do: each was `expected` epochs."""
    number_of_folds, epochs = len(task.parts), task.run.training.epochs
    progress.start("train", number_of_folds * expected, "epochs")
    progress.expect(number_of_folds * (epochs - expected))
    missing = []
    for number in range(number_of_folds):
        if not TrainingFolder(task.out).fold(number).model.exists():
            missing.append(number)
            continue
        progress.expect(-epochs)
        progress.say(f"fold {number + 1} of {number_of_folds} already exists")
    return missing


Work = tuple[Task, list[int]]


def _train_share(work: Work, progress: Progress, rank: int, processes: int) -> None:
    """Do one process's part; each builds the graphs for itself, which is sooner done than sending them."""
    task, missing = work
    on_gpus = task.device.type == "cuda"
    if on_gpus:
        task = replace(task, device=torch.device("cuda", rank))
    _prepare_torch(task, task.threads)
    distributed.init_process_group("nccl" if on_gpus else "gloo", timeout=PATIENCE, rank=rank, world_size=processes)
    _train_folds((task, missing), _graphs(task, Silent()), progress, rank, processes)
    distributed.destroy_process_group()


def _graphs(task: Task, progress: Progress) -> Sequence[list[GraphBatch]]:
    memory = task.memory
    if task.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(task.device)
        memory = min(memory, free / 2)
    graphs = build_graphs(task.samples, task.run.network, task.device, memory)
    if isinstance(graphs, OnDemand) and graphs.kept < len(graphs):
        progress.say(
            f"{len(graphs) - graphs.kept} of {len(graphs)} graphs do not fit into {memory / 1e9:.3g} GB: they are built"
            " again in every epoch"
        )
    return graphs


def _prepare_torch(task: Task, threads: int) -> None:
    """Let this process compute with so many `threads`, keep its memory, and be deterministic where it should be."""
    torch.set_num_threads(threads)
    if task.device.type == "cuda":
        # Where NCCL looks for what it sends.
        torch.cuda.set_device(task.device)
    be_deterministic(task.device.type == "cpu" or task.run.training.deterministic)
    keep_large_blocks()


def _train_folds(
    work: Work, graphs: Sequence[list[GraphBatch]], progress: Progress, rank: int = 0, processes: int = 1
) -> None:
    task, missing = work
    for number in missing:
        train_fold(task, number, graphs, progress, rank, processes)


def _predict_folds(task: Task, graphs: Sequence[list[GraphBatch]]) -> Predictions:
    """Return the predictions of all folds. Only now nobody needs a checkpoint any more."""
    for number in range(len(task.parts)):
        remove_checkpoints(task.folder(number))
    return merge([_predict_fold(task, number, graphs) for number in range(len(task.parts))])


def _predict_fold(task: Task, number: int, graphs: Sequence[list[GraphBatch]]) -> Predictions:
    """Return what the fold's model says of the configurations that it is tested on.

    Raises `CheckpointError` if the model was put there from elsewhere: it may have seen them.
    """
    tested = task.parts[number].test
    path = TrainingFolder(task.out).fold(number).model
    model = read_model(path, allowed=(task.run.network.name,))
    predictions = predict(model, Chosen(task.samples, tested), Chosen(graphs, tested), task.device)
    names = tuple(task.names[i] for i in tested)
    if task.run.split.by == "draw":
        predictions = replace(predictions, configurations=names, roles=tuple("leaked" for _ in names))
        expected = predictions.roles
    else:
        expected = tuple(task.role_before(task.outlines[i].configuration) for i in tested)
    if model.parameter_hash != task.identity or predictions.roles != expected:
        raise CheckpointError(f"{path} belongs to another run or fold", f"Delete {path.parent} and train again.")
    return predictions


def _seeds(sample: Sample) -> list[IntArray]:
    """Return the seeds of the draws; none where imported means do not say how many there were."""
    return [] if sample.dynamics.seeds is None else [sample.dynamics.seeds]


def _identity(run: Run, target: Target, outlines: Sequence[Sample], inherent: str, start: Model | None) -> str:
    content = [
        [sample.configuration.fingerprint, fingerprint(*target.labels(sample), *_seeds(sample))] for sample in outlines
    ]
    if run.network.reads_inherent:
        # Not part of a configuration's fingerprint: they may be sought again, and found elsewhere.
        content += [["inherent", inherent]]
    parameters = {"run": run.model_dump(mode="json"), "times": target.times.tolist(), "data": content}
    if isinstance(run.network, OwnNetworkSettings):
        # What cannot be made is told before anything is written.
        build_network(run.network, len(target.times))
        parameters["code"] = network_code(run.network)
    if start is not None:
        parameters["from"] = [start.weights_fingerprint, start.roles]
    return parameter_hash(parameters)


def _refuse_too_many(processes: int) -> None:
    gpus = torch.cuda.device_count()
    if processes > gpus:
        raise SettingsError(
            f"got {processes} processes; this machine has {gpus} GPU(s), one process each", f"Use --processes {gpus}."
        )


def _refuse_other_run(out: Path, identity: str, run: Run) -> None:
    path = out / RUN_FILE
    if not path.exists():
        return
    # Models and checkpoints of another run are refused without it as well.
    remedy = "Delete it and run the same command again, or choose another --out."
    found = read_json(path, CheckpointError, "run file", remedy)
    if not isinstance(found, dict) or "parameter_hash" not in found:
        raise CheckpointError(f"{path} is not a run file: it holds no parameter_hash", remedy)
    known = found.pop("parameter_hash")
    if known != identity:
        settings = differences(found, run.model_dump(mode="json"), "that run", "this one")
        other = listed(settings) or (
            "the settings are the same, but the data, their labels, the model of --from or the network's code differ"
        )
        raise CheckpointError(
            f"{out} holds a run with other settings or data: {other}",
            "Choose another folder with --out, or delete the old run.",
        )
