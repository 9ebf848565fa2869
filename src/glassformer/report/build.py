"""Build the report of a folder: <folder>/data and <folder>/training in, <folder>/report/index.html out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from markupsafe import Markup

from glassformer.core.errors import DatasetError
from glassformer.core.files import write_atomically
from glassformer.core.layout import STRUCTURE_AWARE, OutFolder, configuration_of
from glassformer.core.provenance import code_version
from glassformer.core.words import counted
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.predictions import Predictions
from glassformer.dataset.sample import Sample
from glassformer.dataset.species import mixture_words, mixtures_of
from glassformer.dataset.summary import StatePointSummary, summarise
from glassformer.evaluate.evaluation import ALL, ModelScore, Row
from glassformer.report import liquid_words, words
from glassformer.report.figures import msd_figure, scattering_figure
from glassformer.report.naming import names_of, titles_of
from glassformer.report.page import plots, save, template
from glassformer.report.particle_figures import learned_species, particle_figure
from glassformer.report.propensity import Propensities, read_propensities
from glassformer.report.style import STYLE
from glassformer.report.trained import Trained

# Those that tell the values of their curves.
INTERACTIVE = ("msd", "scattering", "predictions", "training")
# What knows no structure, by its name among the scores, as the table calls it.
BASELINES = (("state_point_mean", "state-point mean"), ("density_fit", "density alone"))


def build_report(folder: Path) -> Path:
    """Write the report of `folder` and return the path of its page.

    Reads sample files, predictions, the run's settings, training histories and, if there are any, held-out
    propensities; writes report/index.html, which needs nothing beside it, and every figure as SVG and PNG in
    report/figures. Raises `DatasetError`, `PredictionError`, `StorageError`.
    """
    files = OutFolder(folder)
    training = files.training()
    samples = read_dataset(files.data)
    if not training.predictions.exists():
        raise DatasetError(
            f"{folder} holds a dataset, but no predictions: {training.predictions} does not exist",
            "Train on the data first, or report on the data alone:"
            f" glassformer analyse {files.data} --report page.html.",
        )
    second = files.training(STRUCTURE_AWARE)
    trained = [Trained.read(training, "ParticleNet" if second.predictions.exists() else "network")]
    if second.predictions.exists():
        trained.append(Trained.read(second, "structure-aware network"))
    for one in trained:
        _refuse_foreign(one.predictions, samples, files)
    propensities = read_propensities(files, samples)
    data = summarise(samples)
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figures = _draw(samples, trained, propensities, files.report.figures)
    first = trained[0]
    page = template("demo.html.jinja").render(
        figures=figures,
        plots=plots(),
        data=data,
        trained=trained,
        models=[*(one.title for one in trained), *(title for _, title in BASELINES)],
        rows=_rows(trained),
        evaluation=first.evaluation,
        everything=ALL,
        particle_letters=[first.predictions.species_names[kind] for kind in learned_species(first.predictions)],
        code_version=code_version(),
        facts=provenance(samples),
        text=_text(samples, data, trained, propensities),
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


def _rows(trained: Sequence[Trained]) -> list[tuple[Row, list[ModelScore]]]:
    """Return each row of the table with the scores of the networks, then of the baselines.

    Several networks were tested on the same configurations.
    """
    others = [{(row.state_point, row.time): row for row in one.evaluation.rows} for one in trained[1:]]
    asked = {(row.state_point, row.time) for row in trained[0].evaluation.rows}
    if any(other.keys() != asked for other in others):
        raise DatasetError(
            f"{trained[1].title} was tested at other state points or times than {trained[0].title}",
            f"Train both on the same data, or move the folder {STRUCTURE_AWARE} elsewhere.",
        )
    return [
        (
            row,
            [
                row.models["network"],
                *(other[row.state_point, row.time].models["network"] for other in others),
                *(row.models[name] for name, _ in BASELINES),
            ],
        )
        for row in trained[0].evaluation.rows
    ]


def _draw(
    samples: Sequence[Sample], trained: Sequence[Trained], propensities: Propensities | None, folder: Path
) -> dict[str, Markup]:
    titles, followed, predictions = titles_of(samples), followed_in_time(samples), trained[0].predictions
    figures = trained[0].figures(titles)
    for one in trained[1:]:
        figures |= {f"{name}-{STRUCTURE_AWARE}": figure for name, figure in one.figures(titles).items()}
    if followed:
        figures |= {"msd": msd_figure(followed, predictions.times), "scattering": scattering_figure(followed)}
    narrow = {} if propensities is None else propensities.figures(titles, stacked=True)
    if propensities is not None:
        figures |= propensities.figures(titles)
    for kind in learned_species(predictions):
        figures[f"particles-{predictions.species_names[kind]}"] = particle_figure(predictions, titles, kind)
    return {
        name: save(figure, name, folder, interactive=name.partition("-")[0] in INTERACTIVE, narrow=narrow.get(name))
        for name, figure in figures.items()
    }


def _text(
    samples: Sequence[Sample],
    data: Sequence[StatePointSummary],
    trained: Sequence[Trained],
    propensities: Propensities | None,
) -> dict[str, Any]:
    """Return the sentences of the page."""
    followed, first = followed_in_time(samples), trained[0]
    predictions, evaluation, run = first.predictions, first.evaluation, first.run
    label = words.label_words(predictions)
    return {
        "lead": words.lead(samples, predictions, run, propensities is not None),
        "label": label,
        "results": [words.result(one.evaluation, one.predictions, one.run) for one in trained],
        "note": words.note(evaluation, samples, label, run),
        "particles": words.particle_note(evaluation, samples),
        "predictions": words.prediction_caption(predictions),
        "msd": liquid_words.msd_caption(followed, predictions.times) if followed else "",
        "scattering": liquid_words.scattering_caption(followed, data) if followed else "",
        "not_followed": liquid_words.not_followed(samples, followed),
        "equilibrium": liquid_words.equilibrium_note(samples, data),
        "training": [words.training_caption(one.histories, one.run, one.evaluation.leaked) for one in trained],
        "told": "" if run is None else words.told(run),
        "quantity": words.quantity_definition(predictions),
        "names": names_of(samples),
        "folds": [counted(len(one.histories), "fold") for one in trained],
        "unit": "draws" if evaluation.leaked else "configurations",
    }


def followed_in_time(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples whose MSD and F_s are known: neither bare structures nor imported mean propensities."""
    return [sample for sample in samples if sample.ensemble is not None and sample.ensemble.msd is not None]


def provenance(samples: Sequence[Sample]) -> dict[str, str]:
    """Return how the samples were made: every value of the fact, if they differ, and 'not stated' without any."""
    names = ("engine", "time_step", "seed", "protocol", "source", "licence")
    made = {}
    for name in names:
        values = [getattr(sample.facts, name) for sample in samples]
        made[name] = "; ".join(dict.fromkeys(str(value) for value in values if value is not None)) or "not stated"
    return made | {"mixture": "; ".join(mixture_words(mixture) for mixture in mixtures_of(samples))}
