"""Build the report of experiments: data, cooling, training and results of a folder in, report/index.html out."""

import base64
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup

from glassformer.core.errors import DatasetError, PredictionError
from glassformer.core.files import write_atomically
from glassformer.core.layout import SAMPLE_SUFFIX, OutFolder, ReportFolder
from glassformer.core.provenance import code_version
from glassformer.core.run import Run
from glassformer.core.words import listed
from glassformer.dataset.folder import data_hash, read_dataset
from glassformer.dataset.predictions import Predictions, read_predictions
from glassformer.dataset.sample import Sample
from glassformer.dataset.species import first_species, species_names
from glassformer.dataset.summary import StatePointSummary, summarise
from glassformer.evaluate.audit import compare_audits
from glassformer.evaluate.experiments import compare_rows
from glassformer.evaluate.paired import difference
from glassformer.evaluate.results import ExperimentResult, pairs, read_result
from glassformer.report import experiment_words, liquid_words, words
from glassformer.report.animation import distribution_animation
from glassformer.report.build import provenance
from glassformer.report.cooling import cooling_figure
from glassformer.report.experiment_figures import curves_figure, errors_figure, predicted, ratio_figure, simulated
from glassformer.report.figures import scattering_figure, training_figure
from glassformer.report.histogram import prediction_histograms
from glassformer.report.naming import names_of, short_names, titles_of
from glassformer.report.page import plots, save, template
from glassformer.report.run_file import read_run
from glassformer.report.spread import band_figure, distribution_figure, linear_figure, species_figure
from glassformer.report.style import STYLE, at_time
from glassformer.report.trained import read_histories, training_labels

FORMATS = ("svg", "pdf", "png")
# Figures of the liquid that tell the values of their curves.
INTERACTIVE = ("species", "scattering")
# Experiments whose predictions are drawn one by one: the thesis's training scenarios.
SCENARIOS = ("one", "four", "structure", "replaced")
# Those whose predictions at state points between are compared.
INTERPOLATED = ("four", "structure")


@dataclass(frozen=True, eq=False)
class Scenario:
    """An experiment with its figures: predictions on the curves, their histograms by time, and its training."""

    result: ExperimentResult
    curves: Markup
    histograms: dict[str, Markup]
    training: Markup


def build_experiments_report(folder: Path, order: Sequence[str]) -> Path:
    """Write the report of `folder`, experiments in the `order` of their names; return the path of its page.

    Figures go to report/figures as SVG, PDF and PNG, and the animation as GIF; the page needs nothing beside it.
    Raises `DatasetError`, `PredictionError`, `StorageError`.
    """
    files = OutFolder(folder)
    samples = read_dataset(files.data)
    results = read_results(folder, order)
    figures = files.report.figures
    titles, data = titles_of(samples), summarise(samples)
    compared = pairs(results, results)
    runs = {result.name: read_run(files.training(result.name), result.parameter_hash) for result in results}
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        scored = [result for result in results if result.rows]
        liquid, sentence = _liquid(samples, files.cooling, files.report)
        parts = {
            "liquid": liquid,
            "cooling_sentence": sentence,
            "overview": _overview(scored, names_of(samples), first_species(samples), figures),
            "scenarios": [
                _scenario(files, result, samples, titles, runs[result.name])
                for result in scored
                if result.group in SCENARIOS
            ],
        }
    page = template("experiments.html.jinja").render(
        plots=plots(),
        results=scored,
        audits=[result for result in results if result.audit],
        comparisons=[(one, line) for one, other in compared for line in compare_rows(one.rows, other.rows)],
        audit_differences={one.name: {} for one in results}
        | {one.name: compare_audits(one.audit, other.audit) for one, other in compared},
        difference=difference,
        data_hash=data_hash(samples),
        shown=SCENARIOS,
        data=data,
        facts=provenance(samples),
        text=_text(samples, data, results, scored, runs, any(one.name == "four-again" for one, _ in compared)),
        code_version=code_version(),
        animation=_embedded(files.report.animation),
        **parts,
    )
    write_atomically(files.report.page, page.encode())
    return files.report.page


def read_results(folder: Path, order: Sequence[str]) -> list[ExperimentResult]:
    """Return the results in `folder`: those named in `order`, as far as they are there, then all others.

    Results of an older version, or damaged, are left out. Raises `DatasetError` if there is none.
    """
    there = OutFolder(folder).experiments()
    names = [name for name in order if name in there] + [name for name in there if name not in order]
    found = []
    for name in names:
        # One of an older version, which its own study will make again, does not cost the page.
        with contextlib.suppress(PredictionError):
            found.append(read_result(OutFolder(folder).training(name).result))
    if not found:
        raise DatasetError(f"{folder} holds no finished experiment", "Run some: glassformer experiment thesis.")
    return found


def _liquid(samples: Sequence[Sample], cooling: Path, report: ReportFolder) -> tuple[dict[str, Markup], str]:
    """Draw what needs no network; return the figures and what V(T) says."""
    drawn = {
        "band": band_figure(samples),
        "species": species_figure(samples),
        "linear": linear_figure(samples),
        "scattering": scattering_figure(samples),
        "distribution": distribution_figure(samples),
    }
    sentence = ""
    # It may have been stopped before its first sample.
    if any(cooling.glob(f"*/*{SAMPLE_SUFFIX}")):
        drawn["cooling"], sentence = cooling_figure(read_dataset(cooling))
    distribution_animation(samples, report.animation)
    figures = {name: save(figure, name, report.figures, FORMATS, name in INTERACTIVE) for name, figure in drawn.items()}
    return figures, sentence


def _overview(
    results: Sequence[ExperimentResult], names: Mapping[str, str], species: str, figures: Path
) -> dict[str, Markup]:
    if not results:
        return {}
    drawn = {"errors": save(errors_figure(results, species), "errors", figures, FORMATS)}
    together = [result for result in results if result.group in INTERPOLATED]
    if together:
        drawn["ratio"] = save(ratio_figure(together, names, species), "ratio", figures, FORMATS)
    return drawn


def _text(
    samples: Sequence[Sample],
    data: Sequence[StatePointSummary],
    results: Sequence[ExperimentResult],
    scored: Sequence[ExperimentResult],
    runs: experiment_words.Runs,
    again: bool,
) -> dict[str, Any]:
    """Return the sentences of the page."""
    species = first_species(samples)
    audits = [result for result in results if result.audit]
    names = names_of(samples)
    absent = sorted({row.state_point for result in results for row in result.rows} - names.keys())
    return {
        "lead": experiment_words.lead(samples, results),
        "species": species,
        "each": listed(f"of {name}" for name in species_names(samples)),
        "errors": experiment_words.errors_caption(scored, species),
        "ratio": experiment_words.ratio_caption([one for one in scored if one.group in INTERPOLATED], species),
        "scores": experiment_words.score_note(scored),
        "audit": experiment_words.audit_note(audits, runs),
        "comparison": experiment_words.comparison_note(again),
        "relaxation": experiment_words.relaxation_words(samples),
        "run": experiment_words.run_words(samples),
        "equilibrium": experiment_words.equilibrium_note(samples, data),
        "names": names | short_names(absent, names),
        "trained_on": {result.name: experiment_words.trained_on(result, names) for result in results},
        "curves": {result.name: experiment_words.curves_caption(result, species) for result in results},
        "told": {name: words.told(run) for name, run in runs.items() if run is not None},
        "scattering": liquid_words.scattering_caption(samples, data),
    }


def _scenario(
    files: OutFolder, result: ExperimentResult, samples: Sequence[Sample], titles: Mapping[str, str], run: Run | None
) -> Scenario:
    training, figures = files.training(result.name), files.report.figures
    tests = [read_predictions(training.fold(fold).test) for fold in range(result.folds)]
    histograms = {}
    for target, time in enumerate(tests[0].times):
        name = f"{result.name}-histogram-t{time:g}"
        unit = r"[$\sigma_{AA}^2$]"
        groups = _msd(tests, target, titles)
        figure = prediction_histograms(
            groups, at_time(time), f"MSD of {first_species(samples)}  {unit}", r"[$\sigma_{AA}^{-2}$]"
        )
        histograms[f"{time:g}"] = save(figure, name, figures, FORMATS)
    return Scenario(
        result,
        save(curves_figure(samples, tests, result.trained_on), f"{result.name}-curves", figures, FORMATS),
        histograms,
        save(
            training_figure(read_histories(training), *training_labels(run, tests[0].species_names)),
            f"{result.name}-training",
            figures,
            FORMATS,
        ),
    )


def _msd(tests: Sequence[Predictions], target: int, titles: Mapping[str, str]) -> dict[str, Any]:
    """Return labels and predictions of MSD_A of every state point, by title."""
    return {
        title: (np.exp(simulated(tests, name)[:, target]), np.exp(predicted(tests, name)[:, target]))
        for name, title in titles.items()
        if any(name in test.state_points for test in tests)
    }


def _embedded(path: Path) -> str:
    return "data:image/gif;base64," + base64.b64encode(path.read_bytes()).decode()
