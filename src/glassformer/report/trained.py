"""A training as a page shows it: what was predicted, how well, and how the networks learned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from glassformer.core.errors import DatasetError
from glassformer.core.json_files import Number, checked, read_json
from glassformer.core.layout import TrainingFolder
from glassformer.core.run import Run
from glassformer.core.words import listed
from glassformer.dataset.predictions import Predictions, read_predictions
from glassformer.evaluate.evaluation import Evaluation, evaluate
from glassformer.report.figures import prediction_figure, training_figure
from glassformer.report.run_file import read_run
from glassformer.report.style import QUANTITIES

# What the page needs of every epoch.
HISTORY = ("epoch", "train_loss", "val_mae", "kept")
LOSSES = {"mse": "mean squared error", "mae": "mean absolute error", "huber": "Huber"}


@dataclass(frozen=True, eq=False)
class Trained:
    """What is read of the folder of a training, called `title`; `run` is None if its settings are not there."""

    title: str
    predictions: Predictions
    evaluation: Evaluation
    histories: list[list[dict[str, float]]]
    run: Run | None

    @classmethod
    def read(cls, folder: TrainingFolder, title: str) -> "Trained":
        """Read the folder. Raises `DatasetError`, `PredictionError`, `StorageError`."""
        predictions = read_predictions(folder.predictions)
        run = read_run(folder, predictions.parameter_hash)
        return cls(title, predictions, evaluate(predictions), read_histories(folder), run)

    def figures(self, titles: Mapping[str, str]) -> dict[str, Figure]:
        """Return the figures that every training has; `titles`: of the state points."""
        labels = training_labels(self.run, self.predictions.species_names)
        return {
            "predictions": prediction_figure(self.predictions, titles),
            "training": training_figure(self.histories, *labels),
        }


def training_labels(run: Run | None, species: Sequence[str] = ("A", "B")) -> tuple[str, str]:
    """Return the name of the loss, and what the validation error is of, with its unit; `species`: their names."""
    if run is None:
        return "", "the labels"
    targets, one_by_one = run.targets, run.network.head == "particle"
    symbol, unit = QUANTITIES[targets.quantity]
    if one_by_one and targets.quantity == "squared-displacement":
        symbol = "$|r(t) - r(0)|^2$"
    learned: Sequence[str] = species[:1]
    if one_by_one and targets.species in species:
        learned = [targets.species]
    elif one_by_one and targets.species != "A":
        learned = species
    whose = listed(learned) + (" particles" if one_by_one else "")
    return LOSSES[
        run.training.loss
    ], f"ln {symbol} of {whose}" if targets.scale == "log" else f"{symbol} of {whose}  {unit}"


def read_histories(training: TrainingFolder) -> list[list[dict[str, float]]]:
    """Return the training histories of all folds in `training`, in order. Raises `DatasetError`, `StorageError`."""
    return [_read_history(fold.history) for fold in training.folds() if fold.history.exists()]


def _read_history(path: Path) -> list[dict[str, float]]:
    what, remedy = "training history", f"Delete {path.parent} and train again."
    values = read_json(path, DatasetError, what, remedy)
    # Older versions wrote the list alone.
    values = values.get("epochs", values) if isinstance(values, dict) else values
    lines = checked(values, list[dict[str, Number]], path, DatasetError, what, remedy)
    missing = [name for name in HISTORY if not all(name in line for line in lines)]
    if missing or not any(line["kept"] for line in lines):
        reason = f"'{missing[0]}' is missing" if missing else "no epoch is marked as kept"
        raise DatasetError(f"{path} is not a {what}: {reason}", remedy)
    return lines
