"""One fold's weights: from epoch to epoch, what is kept on the disk, and how training continues after a kill."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from glassformer.core.errors import CheckpointError
from glassformer.core.progress import Progress
from glassformer.train.archive import read_archive, write_archive
from glassformer.train.data import Loader
from glassformer.train.learner import Learner
from glassformer.train.nodes import from_first
from glassformer.train.schedule import finished, kept_epoch

KEPT_FILE = "kept.ckpt"
RESUME_FILE = "last.ckpt"
FORMAT = "glassformer checkpoint"


@dataclass(frozen=True)
class Place:
    """Where a fold is trained, how its progress is called: 'fold 2 of 4', and what its checkpoints are known by."""

    folder: Path
    name: str
    identity: str


def fit(learner: Learner, train: Loader, validation: Loader, place: Place, progress: Progress) -> None:
    """Train, resuming if the folder holds an unfinished run; then `kept_weights` are in the folder.

    Raises `CheckpointError` if what the folder holds is damaged or of another run, `TrainingError` if it diverges.
    """
    settings, resume = learner.settings, place.folder / RESUME_FILE
    # Of several processes the first writes and reads: on another node a file may appear later.
    writes = learner.rank == 0
    state = from_first(lambda: _read(resume, place.identity) if resume.exists() else None)
    if state is not None:
        learner.restore(state)
        progress.expect(-len(learner.history))
        progress.say(f"{place.name} continues after epoch {len(learner.history)}")
    with _events(place.folder / "tensorboard", writes and settings.tensorboard) as write_events:
        while not finished(settings, learner.errors):
            learner.train_epoch(train, validation)
            line = learner.history[-1]
            write_events(line)
            if writes:
                _keep(learner, place)
            progress.advance(
                1,
                f"{place.name}, validation MAE {line['val_mae']:.3f} (state-point mean {line['val_mae_baseline']:.3f})",
            )
    progress.expect(len(learner.history) - settings.epochs)


def kept_weights(place: Place) -> dict[str, Tensor]:
    """Return the network's weights at the epoch that `training.keep` says. Raises `CheckpointError`."""
    weights: dict[str, Tensor] = _read(place.folder / KEPT_FILE, place.identity)["weights"]
    return weights


def remove_checkpoints(folder: Path) -> None:
    """Remove what only an unfinished fold needs; no process may still be at it."""
    for path in (folder / KEPT_FILE, folder / RESUME_FILE):
        path.unlink(missing_ok=True)


def _keep(learner: Learner, place: Place) -> None:
    """Write the epoch asked for, then the last: a resumed run needs what lies in the folder and the last checkpoint."""
    checkpoint = {"format": FORMAT, "identity": place.identity} | learner.state()
    if kept_epoch(learner.settings, learner.errors) == len(learner.errors) - 1:
        write_archive(place.folder / KEPT_FILE, checkpoint)
    write_archive(place.folder / RESUME_FILE, checkpoint)


def _read(path: Path, identity: str) -> dict[str, Any]:
    """Return the checkpoint at `path`. Raises `CheckpointError` if it is damaged or of another run or fold."""
    remedy = f"Delete the folder {path.parent}: the fold is then trained again."
    checkpoint, verified = read_archive(path, "checkpoint", remedy, remedy)
    if not verified:
        raise CheckpointError(f"{path} is damaged, or of an older version: it carries no checksum", remedy)
    if checkpoint.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} was written by an older version of glassformer; this one cannot continue from it", remedy
        )
    if checkpoint["identity"] != identity:
        raise CheckpointError(f"{path} belongs to another run or fold", remedy)
    return checkpoint


@contextmanager
def _events(folder: Path, wanted: bool) -> Iterator[Callable[[dict[str, float]], None]]:
    """Give a function that writes a line of the history for TensorBoard to `folder`, or does nothing."""
    if not wanted:
        yield lambda line: None
        return
    # Importing it takes a second.
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder) as writer:

        def write(line: dict[str, float]) -> None:
            for name, value in line.items():
                if name != "epoch":
                    writer.add_scalar(name, value, int(line["epoch"]))

        yield write
