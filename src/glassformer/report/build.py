"""Build the report of a folder: <folder>/data and <folder>/training in, <folder>/report/index.html out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from markupsafe import Markup

from glassformer.core.errors import DatasetError
from glassformer.core.files import write_atomically
from glassformer.core.json_files import Number, checked, read_json
from glassformer.core.layout import OutFolder, TrainingFolder, configuration_of
from glassformer.core.provenance import code_version
from glassformer.core.run import Run
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.predictions import Predictions, read_predictions
from glassformer.dataset.sample import Sample
from glassformer.dataset.species import mixture_words, mixtures_of
from glassformer.dataset.summary import StatePointSummary, summarise
from glassformer.evaluate.evaluation import ALL, Evaluation, evaluate
from glassformer.report import words
from glassformer.report.figures import msd_figure, prediction_figure, scattering_figure, training_figure
from glassformer.report.naming import names_of, titles_of
from glassformer.report.page import plots, save, template
from glassformer.report.particle_figures import learned_species, particle_figure
from glassformer.report.propensity import Propensities, read_propensities
from glassformer.report.run_file import read_run
from glassformer.report.style import QUANTITIES, STYLE

# Those that tell the values of their curves.
INTERACTIVE = ("msd", "scattering", "predictions", "training")
# What the page needs of every epoch.
HISTORY = ("epoch", "train_loss", "val_mae", "kept")
LOSSES = {"mse": "mean squared error", "mae": "mean absolute error", "huber": "Huber"}


def build_report(folder: Path) -> Path:
    """Write the report of `folder` and return the path of its page.

    Reads sample files, predictions, the run's settings, training histories and, if there are any, held-out
    propensities; writes report/index.html, which needs
    nothing beside it, and every figure as SVG and PNG in report/figures. Raises `DatasetError`, `PredictionError`,
    `StorageError`.
    """
    files = OutFolder(folder)
    training = files.training()
    samples = read_dataset(files.data)
    predictions = read_predictions(training.predictions)
    histories = read_histories(training)
    run = read_run(training, predictions.parameter_hash)
    evaluation = evaluate(predictions)
    _refuse_foreign(predictions, samples, files)
    propensities = read_propensities(files, samples)
    data = summarise(samples)
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figures = _draw(samples, predictions, histories, run, propensities, files.report.figures)
    page = template("demo.html.jinja").render(
        figures=figures,
        plots=plots(),
        data=data,
        evaluation=evaluation,
        everything=ALL,
        predictions=predictions,
        particle_letters=[predictions.species_names[kind] for kind in learned_species(predictions)],
        code_version=code_version(),
        facts=provenance(samples),
        histories=histories,
        run=run,
        text=_text(samples, data, predictions, evaluation, histories, run, propensities),
        propensity=None if propensities is None else propensities.section(names_of(samples)),
    )
    write_atomically(files.report.page, page.encode())
    return files.report.page


def _refuse_foreign(predictions: Predictions, samples: Sequence[Sample], files: OutFolder) -> None:
    """Raise `DatasetError` if a configuration is predicted that is not in the data: by name, and by its contents."""
    known = {one.identifier: one.configuration.fingerprint for one in samples}
    # A configuration may itself be called so that it reads like a draw.
    names = [name if name in known else configuration_of(name) for name in predictions.configurations]
    absent = set(names) - known.keys()
    if absent:
        raise DatasetError(f"{min(absent)} is predicted but not in {files.data}", "Train again on this data.")
    pairs = zip(names, predictions.fingerprints, strict=False)
    other = sorted({name for name, fingerprint in pairs if known[name] != fingerprint})
    if other:
        raise DatasetError(
            f"{files.trainings} predicts other configurations than those in {files.data}: of {len(set(names))}"
            f" with these names {len(other)} have other contents, first {other[0]}",
            "Give the data that it was trained on, or train again on these.",
        )


def _draw(
    samples: Sequence[Sample],
    predictions: Predictions,
    histories: list[list[dict[str, float]]],
    run: Run | None,
    propensities: Propensities | None,
    folder: Path,
) -> dict[str, Markup]:
    titles = titles_of(samples)
    figures = {
        "msd": msd_figure(samples, predictions.times),
        "scattering": scattering_figure(samples),
        "predictions": prediction_figure(predictions, titles),
        "training": training_figure(histories, *training_labels(run, predictions.species_names)),
    }
    if propensities is not None:
        figures |= propensities.figures(titles)
    for kind in learned_species(predictions):
        figures[f"particles-{predictions.species_names[kind]}"] = particle_figure(predictions, titles, kind)
    return {name: save(figure, name, folder, interactive=name in INTERACTIVE) for name, figure in figures.items()}


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
    whose = words.listed(learned) + (" particles" if one_by_one else "")
    return LOSSES[
        run.training.loss
    ], f"ln {symbol} of {whose}" if targets.scale == "log" else f"{symbol} of {whose}  {unit}"


def _text(
    samples: Sequence[Sample],
    data: Sequence[StatePointSummary],
    predictions: Predictions,
    evaluation: Evaluation,
    histories: list[list[dict[str, float]]],
    run: Run | None,
    propensities: Propensities | None,
) -> dict[str, Any]:
    """Return the sentences of the page."""
    label = words.label_words(predictions)
    return {
        "lead": words.lead(samples, predictions, run, propensities is not None),
        "label": label,
        "result": words.result(evaluation, predictions, run),
        "note": words.note(evaluation, samples, label, run),
        "particles": words.particle_note(evaluation, samples),
        "predictions": words.prediction_caption(predictions),
        "msd": words.msd_caption(samples, predictions.times),
        "scattering": words.scattering_caption(samples, data),
        "equilibrium": words.equilibrium_note(samples, data),
        "training": words.training_caption(histories, run, evaluation.leaked),
        "told": "" if run is None else words.told(run),
        "quantity": words.quantity_definition(predictions),
        "names": names_of(samples),
        "examined": {row.label: words.examined(samples, row) for row in data},
        "folds": words.count(len(histories), "fold"),
        "unit": "draws" if evaluation.leaked else "configurations",
    }


def provenance(samples: Sequence[Sample]) -> dict[str, str]:
    """Return how the samples were made: every value of the fact, if they differ."""
    names = ("engine", "time_step", "seed", "protocol")
    made = {name: "; ".join(dict.fromkeys(str(getattr(sample.facts, name)) for sample in samples)) for name in names}
    return made | {"mixture": "; ".join(mixture_words(mixture) for mixture in mixtures_of(samples))}


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
        reason = f"it says no {missing[0]}" if missing else "no epoch is marked as kept"
        raise DatasetError(f"{path} is no {what}: {reason}", remedy)
    return lines
