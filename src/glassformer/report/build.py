"""Build the report of a folder: <folder>/data and <folder>/training in, <folder>/report/index.html out."""

import json
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from markupsafe import Markup

from glassformer.core.errors import DatasetError
from glassformer.core.files import write_atomically
from glassformer.core.provenance import code_version
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.predictions import Predictions, read_predictions
from glassformer.dataset.sample import Sample
from glassformer.dataset.summary import by_state_point, summarise
from glassformer.evaluate.evaluation import ALL, evaluate
from glassformer.report.figures import (
    msd_figure,
    prediction_figure,
    scattering_figure,
    title_of,
    training_figure,
)
from glassformer.report.page import save, template
from glassformer.report.style import STYLE

DATA, TRAINING, REPORT = "data", "training", "report"


def build_report(folder: Path) -> Path:
    """Write the report of `folder` and return the path of its page.

    Reads sample files, predictions and training histories; writes report/index.html, which needs nothing beside it, and
    every figure as SVG and PNG in report/figures. Raises `DatasetError`, `PredictionError`, `StorageError`.
    """
    samples = read_dataset(folder / DATA)
    predictions = read_predictions(folder / TRAINING / "predictions.h5")
    histories = read_histories(folder / TRAINING)
    evaluation = evaluate(predictions)
    titles = {name: title_of(members[0]) for name, members in by_state_point(samples).items()}
    foreign = set(predictions.configurations) - {sample.identifier for sample in samples}
    if foreign:
        raise DatasetError(f"{min(foreign)} is predicted but not in {folder / DATA}", "Train again on this data.")
    target = folder / REPORT
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figures = _draw(samples, predictions, histories, titles, target / "figures")
    page = template("demo.html.jinja").render(
        figures=figures,
        titles=titles,
        data=summarise(samples),
        evaluation=evaluation,
        everything=ALL,
        predictions=predictions,
        code_version=code_version(),
        facts=samples[0].facts,
        histories=histories,
    )
    path = target / "index.html"
    write_atomically(path, page.encode())
    return path


def _draw(
    samples: Sequence[Sample],
    predictions: Predictions,
    histories: list[list[dict[str, float]]],
    titles: dict[str, str],
    folder: Path,
) -> dict[str, Markup]:
    figures = {
        "msd": msd_figure(samples, predictions.times),
        "scattering": scattering_figure(samples),
        "predictions": prediction_figure(predictions, titles),
        "training": training_figure(histories),
    }
    return {name: save(figure, name, folder) for name, figure in figures.items()}


def read_histories(training: Path) -> list[list[dict[str, float]]]:
    """Return the training histories of all folds in `training`, in order. Raises `DatasetError`."""
    try:
        paths = sorted(training.glob("fold-*/history.json"), key=lambda path: int(path.parent.name.partition("-")[2]))
        histories = [json.loads(path.read_text()) for path in paths]
        if not all(any(line["kept"] for line in history) for history in histories):
            raise ValueError("no epoch is marked as kept")
        return histories
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"a training history in {training} cannot be read: {error}", "Train it anew.") from error
