"""Train a run: one network a fold, each resumable, and the predictions of all folds for what they had not seen."""

import io
import json
import logging
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback, Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from glassformer.baselines.density import DensityFit
from glassformer.baselines.state_point_mean import StatePointMean
from glassformer.core.arrays import FloatArray
from glassformer.core.errors import CheckpointError
from glassformer.core.files import exclusive, remove_temporaries, write_atomically
from glassformer.core.progress import Progress
from glassformer.core.provenance import code_version, parameter_hash
from glassformer.core.run import Run
from glassformer.core.seeds import named_seed
from glassformer.dataset.folder import refuse_unequilibrated
from glassformer.dataset.labels import log_msd_a, target_times
from glassformer.dataset.predictions import Predictions, Role, write_predictions
from glassformer.dataset.sample import Sample
from glassformer.dataset.splits import Fold, folds
from glassformer.graph.batch import GraphBatch, build_graph
from glassformer.train.checkpoint import Model, read_model, write_model
from glassformer.train.data import LabelledGraphs, loader
from glassformer.train.memory import keep_large_blocks
from glassformer.train.module import TrainingModule, standardise
from glassformer.train.prediction import merge, only_test, predict

PREDICTIONS_FILE = "predictions.h5"
MODEL_FILE = "model.pt"
HISTORY_FILE = "history.json"
BEST_FILE = "best.ckpt"
RESUME_FILE = "last.ckpt"


def train_run(
    run: Run,
    samples: Sequence[Sample],
    out: Path,
    progress: Progress,
    threads: int,
    allow_unequilibrated: bool = False,
) -> Path:
    """Train `run` on `samples` into the folder `out`; return the path of the prediction file.

    out/fold-<n>/model.pt and history.json for every fold, out/predictions.h5 for all: each configuration predicted by
    the one network that had not seen it. A killed run goes on from the last whole epoch and ends with the same numbers
    (on a CPU, with the same number of threads). Samples that were found not to be in equilibrium are refused unless
    `allow_unequilibrated`. Raises `CheckpointError` if `out` holds another run, `DatasetError`,
    `SettingsError`, `StorageError`.
    """
    if not allow_unequilibrated:
        refuse_unequilibrated(samples)
    times = target_times(samples, run.targets.times)
    parts = folds(samples, run.split, run.seed)
    graphs = [build_graph(sample.configuration, run.network.neighbors) for sample in samples]
    identity = _identity(run, samples, times)
    _refuse_other_run(out, identity)
    torch.set_num_threads(threads)
    keep_large_blocks()
    with exclusive(out):
        remove_temporaries(out)
        write_atomically(
            out / "run.json", json.dumps({"parameter_hash": identity} | run.model_dump(mode="json")).encode()
        )
        progress.start("train", len(parts) * run.training.epochs, "epochs")
        predictions = []
        for number, fold in enumerate(parts):
            folder = out / f"fold-{number}"
            if not (folder / MODEL_FILE).exists():
                _train_fold(run, samples, graphs, fold, times, folder, identity, number, progress)
            else:
                progress.advance(run.training.epochs, f"fold {number + 1} of {len(parts)} is there already")
            for finished in (BEST_FILE, RESUME_FILE):
                (folder / finished).unlink(missing_ok=True)
            model = read_model(folder / MODEL_FILE)
            tested = [samples[i] for i in fold.test]
            predictions.append(only_test(predict(model, tested, [graphs[i] for i in fold.test])))
            _check_fold(model, predictions[-1], [sample.identifier for sample in tested], identity, folder)
        path = out / PREDICTIONS_FILE
        write_predictions(path, merge(predictions))
    return path


def _check_fold(model: Model, predictions: Predictions, tested: list[str], identity: str, folder: Path) -> None:
    """Refuse a model that was put there from elsewhere: it may have seen what it is tested on."""
    if model.parameter_hash != identity or list(predictions.configurations) != tested:
        raise CheckpointError(
            f"{folder / MODEL_FILE} belongs to another run or fold", f"Delete {folder} and train again."
        )


def _identity(run: Run, samples: Sequence[Sample], times: FloatArray) -> str:
    content = [[sample.configuration.fingerprint, log_msd_a(sample, times).tolist()] for sample in samples]
    return parameter_hash({"run": run.model_dump(mode="json"), "data": content})


def _refuse_other_run(out: Path, identity: str) -> None:
    path = out / "run.json"
    if not path.exists():
        return
    try:
        found = json.loads(path.read_text())["parameter_hash"]
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path} cannot be read: {error}", "Delete the folder or choose another --out."
        ) from error
    if found != identity:
        raise CheckpointError(
            f"{out} holds a run with other settings or data (hash {found}; this one has {identity})",
            "Choose another folder with --out, or delete the old run.",
        )


def _train_fold(
    run: Run,
    samples: Sequence[Sample],
    graphs: Sequence[GraphBatch],
    fold: Fold,
    times: FloatArray,
    folder: Path,
    identity: str,
    number: int,
    progress: Progress,
) -> None:
    labels = np.stack([log_msd_a(sample, times) for sample in samples])
    trained = list(fold.train)
    mean, std = standardise(labels[trained])
    scaled = (labels - mean) / std
    seed = named_seed(run.seed, "fold", number)
    torch.manual_seed(named_seed(seed, "weights"))
    module = TrainingModule(run, seed, std)

    def data(indices: tuple[int, ...], shuffle_seed: int | None) -> Any:
        part = LabelledGraphs([graphs[i] for i in indices], scaled[list(indices)])
        return loader(part, run.training.batch_size, shuffle_seed)

    best = _fit(module, run, data(fold.train, seed), data(fold.validation, None), folder, number, progress)
    roles: dict[str, Role] = {}
    for role, indices in (("train", fold.train), ("validation", fold.validation), ("test", fold.test)):
        roles |= {samples[i].configuration.fingerprint: role for i in indices}  # type: ignore[misc]
    state_points = [samples[i].facts.state_point for i in trained]
    density = np.array([samples[i].configuration.density for i in trained])
    model = Model(
        run=run,
        times=tuple(times.tolist()),
        label_mean=tuple(mean.tolist()),
        label_std=tuple(std.tolist()),
        weights={name.removeprefix("network."): value for name, value in best["state_dict"].items()},
        roles=roles,
        state_point_mean=StatePointMean.fit(state_points, labels[trained]),
        density_fit=DensityFit.fit(density, labels[trained]),
        parameter_hash=identity,
        code_version=code_version(),
    )
    write_atomically(folder / HISTORY_FILE, json.dumps(module.history, indent=1).encode())
    write_model(folder / MODEL_FILE, model)


def _fit(
    module: TrainingModule, run: Run, train: Any, validation: Any, folder: Path, number: int, progress: Progress
) -> dict[str, Any]:
    """Train, resuming if `folder` holds an unfinished run; return the checkpoint of the best epoch."""
    resume = folder / RESUME_FILE
    _quiet()
    trainer = pl.Trainer(
        max_epochs=run.training.epochs,
        accelerator="auto",
        devices=1,
        logger=False,
        callbacks=[_Keeper(folder), _Reporter(progress, number, run.split.folds)],
        # Not the cluster's own: one fold trains in one process, whatever a scheduler has set.
        plugins=[_AtomicCheckpoints(), LightningEnvironment()],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        deterministic=True,
    )
    try:
        trainer.fit(module, train, validation, ckpt_path=resume if resume.exists() else None)
    except SystemExit:
        # Lightning turns Ctrl-C into an exit; whoever called may have more to say.
        raise KeyboardInterrupt from None
    best: dict[str, Any] = torch.load(folder / BEST_FILE, map_location="cpu", weights_only=True)
    return best


class _Keeper(Checkpoint):
    """Keeps the best epoch, then the last: what a resumed run needs lies in the folder and in the last checkpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write both files; being a `Checkpoint`, after the module has written its history."""
        errors = [line["val_mae"] for line in cast(TrainingModule, pl_module).history]
        if errors[-1] < min(errors[:-1], default=math.inf):
            trainer.save_checkpoint(self.folder / BEST_FILE)
        trainer.save_checkpoint(self.folder / RESUME_FILE)


class _AtomicCheckpoints(TorchCheckpointIO):
    """Checkpoints that are whole or absent."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_atomically(Path(path), buffer.getvalue())


class _Reporter(Callback):
    """Tells the progress what each epoch brought."""

    def __init__(self, progress: Progress, number: int, of: int) -> None:
        self.progress = progress
        self.number = number
        self.of = of

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count the epochs that an earlier, killed run has done."""
        if trainer.current_epoch:
            self.progress.advance(trainer.current_epoch, f"fold {self.number + 1} resumes")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the epoch; the module's own line of history comes after this."""
        error = float(trainer.callback_metrics["val_mae"])
        self.progress.advance(1, f"fold {self.number + 1} of {self.of}, validation MAE {error:.3f}")


def _quiet() -> None:
    """Silence what does not concern the user: hints on loaders, and advertisements."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
