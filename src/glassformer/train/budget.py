"""Training within a budget of time: how many epochs fit is measured once and kept, so that it can be repeated."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from glassformer.core.errors import CheckpointError, SettingsError
from glassformer.core.json_files import read_json, write_json
from glassformer.core.layout import TrainingFolder
from glassformer.core.progress import Progress
from glassformer.graph.batch import GraphBatch
from glassformer.train.fold import Task, prepare_fold


def within_budget(task: Task, graphs: Sequence[list[GraphBatch]], progress: Progress, processes: int) -> Task:
    """Return `task` with as many epochs as `training.seconds` allows; as it is, where there is no limit.

    The number of epochs is measured on the first fold, holds for all, and is kept in the folder, so that a resumed run
    does not measure again. The models state it in the place of the seconds. Raises `SettingsError` for several
    processes, `CheckpointError` if what the folder holds is of another run.
    """
    training = task.run.training
    if not training.seconds:
        return task
    if processes > 1:
        raise SettingsError(
            f"got training.seconds = {training.seconds:g} and {processes} processes; a budget of time is for one",
            "Train it in one process: leave --processes and --distributed out.",
        )
    path = TrainingFolder(task.out).budget
    if not path.exists():
        progress.say("the time of an epoch is measured")
        seconds = epoch_seconds(task, graphs)
        epochs = max(1, int(training.seconds / seconds))
        write_json(path, {"identity": task.identity, "epochs": epochs, "seconds_per_epoch": seconds})
    epochs, seconds = read_budget(path, task.identity)
    progress.say(f"{epochs} epochs of {seconds:.3g} s fit into {training.seconds:g} s")
    return replace(task, run=task.run.model_copy(update={"training": training.within(epochs)}))


def read_budget(path: Path, identity: str) -> tuple[int, float]:
    """Return the epochs of a run within a budget, and the seconds of each. Raises `CheckpointError`."""
    remedy = f"Delete {path}: the time of an epoch is then measured again."
    found = read_json(path, CheckpointError, "budget", remedy)
    try:
        known, epochs, seconds = found["identity"], int(found["epochs"]), float(found["seconds_per_epoch"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is not a budget: it holds no epochs or no seconds_per_epoch", remedy) from error
    if known != identity:
        raise CheckpointError(f"{path} belongs to another run", remedy)
    return epochs, seconds


def epoch_seconds(task: Task, graphs: Sequence[list[GraphBatch]]) -> float:
    """Return the seconds of an epoch of the first fold, validation with it: of the second of two.

    On one thread of a CPU it is the processor's time, which other work on the machine does not change.
    """
    start = prepare_fold(task, 0, graphs, 0, 1)
    alone = task.threads == 1 and task.device.type == "cpu"
    clock = time.process_time if alone else time.perf_counter
    began = 0.0
    for _ in range(2):
        began = clock()
        start.learner.train_epoch(start.train, start.validation)
    return clock() - began
