"""One fold's weights: Lightning's trainer, what it keeps on the disk, and how it continues after a kill."""

import logging
import warnings
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from glassformer.core.errors import CheckpointError
from glassformer.core.progress import Progress
from glassformer.train.archive import read_archive, write_archive
from glassformer.train.data import Loader
from glassformer.train.module import TrainingModule
from glassformer.train.schedule import finished, kept_epoch

KEPT_FILE = "kept.ckpt"
RESUME_FILE = "last.ckpt"
# A process waits for the first, which makes a model between two folds; if that one dies, all are ended from outside.
PATIENCE = timedelta(days=30)


@dataclass(frozen=True)
class Place:
    """Where a fold is trained and how its progress is called: 'fold 2 of 4'."""

    folder: Path
    name: str
    processes: int = 1


def fit(module: TrainingModule, train: Loader, validation: Loader, place: Place, progress: Progress) -> None:
    """Train, resuming if the folder holds an unfinished run; then `kept_weights` are in the folder.

    Raises `CheckpointError` if what the folder holds is damaged or of another run, `TrainingError` if it diverges.
    """
    settings, resume = module.run.training, place.folder / RESUME_FILE
    if resume.exists():
        module.history = _read(resume, module.identity)["history"]
        progress.expect(-len(module.history))
        progress.say(f"{place.name} continues after epoch {len(module.history)}")
    if not finished(settings, _errors(module)):
        try:
            trainer = _trainer(module, place, progress)
            trainer.fit(module, train, validation, ckpt_path=resume if resume.exists() else None)
        except SystemExit:
            # Lightning turns Ctrl-C into an exit; whoever called may have more to say.
            raise KeyboardInterrupt from None
    progress.expect(len(module.history) - settings.epochs)


def kept_weights(place: Place, identity: str) -> dict[str, Tensor]:
    """Return the network's weights at the epoch that `training.keep` says. Raises `CheckpointError`."""
    state = _read(place.folder / KEPT_FILE, identity)["state_dict"]
    return {name.removeprefix("network."): value for name, value in state.items()}


def remove_checkpoints(folder: Path) -> None:
    """Remove what only an unfinished fold needs; no process may still be at it."""
    for path in (folder / KEPT_FILE, folder / RESUME_FILE):
        path.unlink(missing_ok=True)


def _trainer(module: TrainingModule, place: Place, progress: Progress) -> pl.Trainer:
    _quiet()
    settings = module.run.training
    return pl.Trainer(
        max_epochs=settings.epochs,
        accelerator="gpu" if torch.cuda.is_available() else "cpu",
        devices=place.processes,
        strategy=DDPStrategy(timeout=PATIENCE) if place.processes > 1 else "auto",
        # Batches are shared among processes already.
        use_distributed_sampler=False,
        gradient_clip_val=settings.clip_gradient or None,
        logger=_logger(place) if settings.tensorboard else False,
        callbacks=[_Keeper(place, progress)],
        # Not the cluster's own: whatever a scheduler has set, the processes are those that were asked for.
        plugins=[_AtomicCheckpoints(), LightningEnvironment()],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        deterministic=True,
    )


def _logger(place: Place) -> Any:
    # Importing it takes a second.
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoardLogger(place.folder, name="", version="tensorboard")


def _errors(module: TrainingModule) -> list[float]:
    return [line["val_mae"] for line in module.history]


class _Keeper(Checkpoint):
    """Keeps the epoch asked for, then the last: a resumed run needs what lies in the folder and the last checkpoint."""

    def __init__(self, place: Place, progress: Progress) -> None:
        self.place = place
        self.progress = progress

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write both files and report; being a `Checkpoint`, after the module has written its history."""
        module = cast(TrainingModule, pl_module)
        errors, line = _errors(module), module.history[-1]
        if trainer.logger is not None:
            trainer.logger.log_metrics({k: v for k, v in line.items() if k != "epoch"}, step=int(line["epoch"]))
        if kept_epoch(module.run.training, errors) == len(errors) - 1:
            trainer.save_checkpoint(self.place.folder / KEPT_FILE)
        trainer.save_checkpoint(self.place.folder / RESUME_FILE)
        trainer.should_stop = finished(module.run.training, errors)
        self.progress.advance(
            1,
            f"{self.place.name}, validation MAE {line['val_mae']:.3f}"
            f" (state-point mean {line['val_mae_baseline']:.3f})",
        )


class _AtomicCheckpoints(TorchCheckpointIO):
    """Checkpoints that are whole or absent, and verified."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_archive(Path(path), checkpoint)

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return _verified(Path(path))


def _read(path: Path, identity: str) -> dict[str, Any]:
    """Return the checkpoint at `path`. Raises `CheckpointError` if it is damaged or of another run or fold."""
    checkpoint = _verified(path)
    if checkpoint.get("identity") != identity:
        raise CheckpointError(f"{path} belongs to another run or fold", _remedy(path))
    return checkpoint


def _verified(path: Path) -> dict[str, Any]:
    checkpoint, verified = read_archive(path, "checkpoint", _remedy(path), _remedy(path))
    if not verified:
        raise CheckpointError(f"{path} is damaged, or of an older version: it carries no checksum", _remedy(path))
    return checkpoint


def _remedy(path: Path) -> str:
    return f"Delete the folder {path.parent}: the fold is then trained again."


def _quiet() -> None:
    """Silence what does not concern the user: hints on loaders, and advertisements."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
