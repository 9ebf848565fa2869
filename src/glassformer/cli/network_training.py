"""What `train` does with a run: the network is trained, by this process or by several, and scored."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from glassformer.cli.console import console, progress
from glassformer.core.errors import SettingsError
from glassformer.core.layout import TrainingFolder
from glassformer.core.progress import Silent
from glassformer.core.run import Run

if TYPE_CHECKING:
    from glassformer.dataset.predictions import Predictions
    from glassformer.train.checkpoint import Model
    from glassformer.train.device import Device
    from glassformer.train.nodes import Member


@dataclass(frozen=True)
class Machine:
    """What trains: `processes` of this machine, or with `distributed` those that srun or torchrun started.

    `memory`: GB that they may take, half of what is free if it is not given.
    """

    threads: int
    processes: int
    device: "Device"
    distributed: bool
    memory: float | None

    def member(self) -> "Member | None":
        """Return which of the distributed processes this is, or None. Raises `SettingsError`."""
        if not self.distributed:
            return None
        if self.processes > 1:
            raise SettingsError(
                "got --processes and --distributed", "The launcher starts the processes: leave --processes out."
            )
        from glassformer.train.nodes import Member

        return Member.of_environment()


def train_and_score(
    run: Run,
    datasets: Sequence[Path],
    out: Path,
    machine: Machine,
    allow_unequilibrated: bool,
    start: Path | None,
    as_json: bool,
) -> None:
    """Train and print the scores; of distributed processes the first prints. Raises as `api.training.train`."""
    from glassformer.api.training import train_network
    from glassformer.cli.tables import print_evaluation
    from glassformer.dataset.predictions import read_predictions
    from glassformer.evaluate.evaluation import evaluate

    model, member = _start(start, run), machine.member()
    first = member is None or member.rank == 0
    threads = machine.threads if member is None else min(machine.threads, member.threads)
    with progress(on_stderr=as_json) if first else nullcontext(Silent()) as stages:
        path = train_network(
            run, datasets, out, threads, stages, allow_unequilibrated, machine.processes, model, machine.device, member,
            None if machine.memory is None else 1e9 * machine.memory,
        )  # fmt: skip
    if not first:
        return
    predictions = read_predictions(path)
    if as_json:
        _print_json(out, path, predictions)
    elif {"test", "leaked"}.isdisjoint(predictions.roles):
        console.print(f"{start} has seen all configurations of {datasets[0]} in training: none is scored.")
    else:
        print_evaluation(evaluate(predictions))
    if not as_json:
        console.print(f"predictions of all folds: {path}", soft_wrap=True)


def _print_json(out: Path, path: Path, predictions: "Predictions") -> None:
    """Print the paths, and the scores as `evaluate --json` does: None where no configuration can be scored."""
    from glassformer.evaluate.evaluation import evaluate

    unseen = not {"test", "leaked"}.isdisjoint(predictions.roles)
    models = [str(fold.model) for fold in TrainingFolder(out).folds()]
    scores = evaluate(predictions).as_json() if unseen else None
    print(json.dumps({"models": models, "predictions": str(path), "scores": scores}, indent=1))


def _start(path: Path | None, run: Run) -> "Model | None":
    if path is None:
        return None
    from glassformer.train.checkpoint import read_model

    return read_model(path, allowed=(run.network.name,))
