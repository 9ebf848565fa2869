"""The command `propensity`: which particles of a structure will move."""

import contextlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from glassformer.cli.console import console, print_table, progress, resumable
from glassformer.cli.options import (
    ALL_CORES,
    AsJson,
    MixtureOfFile,
    SpeciesOfTypes,
    TemperatureOfFile,
    Threads,
    flag,
)
from glassformer.core.errors import PredictionError, SettingsError
from glassformer.core.progress import Silent
from glassformer.core.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from glassformer.baselines.propensity_model import ModelCard, Prediction, PropensityPredictor
    from glassformer.core.arrays import FloatArray
    from glassformer.core.progress import Progress
    from glassformer.dataset.sample import Sample

# Centers of two particles nearer than this part of their sigma are a mistake, not a liquid.
OVERLAP = 0.6
# Of a prediction file, which evaluate and leaderboard read.
PREDICTIONS_SUFFIX = ".h5"


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model says of a sample at `time`, with warnings of all kinds."""

    sample: "Sample"
    card: "ModelCard"
    time: float
    prediction: "Prediction"
    warnings: tuple[str, ...]


@resumable
def propensity(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="Structure in any format that import reads, sample or dataset.", show_default=False
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="One that ships, or a file that train wrote.",
            show_default="the first that ships for this liquid",
        ),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write every particle: .extxyz, .gsd, .lammpstrj or .npz.", show_default=False
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="PAGE.html", help="Write a page with a view that can be turned.", show_default=False),
    ] = None,
    time: Annotated[
        float | None, typer.Option(metavar="T", help="Time of the propensity.", show_default="the model's last")
    ] = None,
    temperature: TemperatureOfFile = None,
    mixture: MixtureOfFile = "",
    species: SpeciesOfTypes = "",
    threads: Threads = ALL_CORES,
    as_json: AsJson = False,
    list_them: Annotated[bool, flag("--list", "List the models that ship with glassformer.")] = False,
    card: Annotated[bool, flag("--card", "Print the card of MODEL: data, scores, limits.")] = False,
) -> None:
    """Predict which particles of a structure will move, how far, and how sure that is."""
    from glassformer.cli.model_cards import load_model, print_card, print_models

    if list_them:
        print_models(as_json)
        return
    if card:
        print_card(load_model(model), as_json)
        return
    if source is None:
        raise SettingsError("got no structure", "Name a file: glassformer propensity FILE.")
    samples = _samples(source, mixture, temperature, species, as_json)
    if out is not None:
        _check_out(out, len(samples))
    if report is not None:
        _check_report(report, len(samples))
    with contextlib.nullcontext(Silent()) if as_json else progress() as stages:
        answers = [_answer(sample, model, time, threads, stages) for sample in samples]
    if out is not None:
        _write(out, answers, model)
    if report is not None:
        _write_report(report, answers[0], source)
    if as_json:
        print(json.dumps([_as_json(answer) for answer in answers], indent=1))
    else:
        _print(answers, {"every particle": out, "report": report})


def _samples(source: Path, mixture: str, temperature: float | None, species: str, quiet: bool) -> "list[Sample]":
    from glassformer.core.presets import load_mixture
    from glassformer.dataset.folder import read_samples
    from glassformer.dataset.imports import Choices, samples_of
    from glassformer.dataset.readers.read import is_hdf5, read_file
    from glassformer.dataset.sample_checks import check_sample

    if source.is_dir() or is_hdf5(source):
        return read_samples(source)
    choices = Choices(load_mixture(mixture) if mixture else None, temperature, species, without_draws=True)
    samples = samples_of(read_file(source), choices, lambda text: None if quiet else console.print(text, style="dim"))
    for sample in samples:
        check_sample(sample, str(source))
    return samples


def _answer(sample: "Sample", model: str, time: float | None, threads: int, stages: "Progress") -> Answer:
    from glassformer.baselines.propensity_model import describe
    from glassformer.cli.model_cards import model_for
    from glassformer.observables.descriptors import DescriptorSettings

    configuration, facts = sample.configuration, sample.facts
    _refuse_overlaps(sample)
    predictor = model_for(model, facts.mixture, facts.temperature, time)
    mismatches = predictor.mismatches(facts.mixture, configuration.density, facts.temperature)
    if facts.mixture.identity != predictor.card.mixture.identity:
        raise PredictionError(
            f"{sample.identifier}: the model {predictor.card.name} cannot be used: {'; '.join(mismatches)}",
            "Train one on data of this mixture: glassformer train propensity DATASET --out DIR.",
        )
    sample = _derived(sample, predictor, threads, stages)
    settings = DescriptorSettings.of(predictor.card.descriptors)
    cage = None if predictor.card.reads == "inherent" else sample.cage
    table = describe(sample.configuration, sample.mixture, settings, threads, cage)
    prediction = predictor.predict(table, configuration.species, facts.temperature, time)
    last = float(predictor.card.times_at(facts.temperature)[-1])
    seen = ("the model was trained on this structure: no test of it",) if predictor.has_seen(configuration) else ()
    warnings = (*seen, *(f"outside the model's range: {text}" for text in mismatches), *prediction.warnings)
    return Answer(sample, predictor.card, last if time is None else time, prediction, warnings)


def _refuse_overlaps(sample: "Sample") -> None:
    from scipy.spatial import cKDTree

    from glassformer.physics.box import minimum_image

    configuration, sigma = sample.configuration, sample.mixture.sigma
    box = configuration.box.copy()
    box[configuration.dimension :] = 0
    pairs = cKDTree(configuration.positions, boxsize=box).query_pairs(OVERLAP * sigma.max(), output_type="ndarray")
    first, second = pairs.T
    apart = minimum_image(configuration.positions[first] - configuration.positions[second], configuration.box)
    limit = OVERLAP * sigma[configuration.species[first], configuration.species[second]]
    overlapping = np.flatnonzero(np.sqrt((apart**2).sum(1)) < limit)
    if len(overlapping):
        i, j = pairs[overlapping[0]] + 1
        raise PredictionError(
            f"{sample.identifier}: {counted(len(overlapping), 'pair')} of particles overlap, such as numbers {i} and"
            f" {j} at a distance of {np.sqrt((apart[overlapping[0]] ** 2).sum()):.3g}",
            "Check the box, the units and the species: this is no equilibrium structure of the mixture.",
        )


def _derived(sample: "Sample", predictor: "PropensityPredictor", threads: int, stages: "Progress") -> "Sample":
    """Return the sample with what the model reads: inherent structure, cage positions."""
    from glassformer.core.seeds import named_seed
    from glassformer.physics.inherent import inherent_structure
    from glassformer.simulate.cage import CageSampling, sample_cages

    card = predictor.card
    if sample.configuration.inherent_positions is None:
        stages.start("quench", 1, "structures")
        found = inherent_structure(sample.configuration, sample.mixture, threads=threads)
        sample = replace(sample, configuration=replace(sample.configuration, inherent_positions=found.positions))
        stages.advance(1)
    wanted = {name: value for name, value in card.cages.items() if name != "draws"}
    known = sample.cage
    # Cages of another radius or time would be described wrongly: they are sampled again, as the model's were.
    if card.reads == "inherent" or (known is not None and (known.kind, known.sampling) == (card.reads, wanted)):
        return sample
    changes: dict[str, Any] = {**card.cages, "draws": int(card.cages["draws"])}
    sampling = CageSampling(**changes)
    stages.start("cages", 1, "structures")
    seed = named_seed(0, "propensity", sample.configuration.fingerprint)
    cage = sample_cages(
        sample.configuration, sample.mixture, sample.facts.temperature, seed, card.reads, sampling, stages.advance,
        threads,
    )  # fmt: skip
    return replace(sample, cage=cage)


def _check_out(out: Path, structures: int) -> None:
    from glassformer.dataset.exports import FORMATS
    from glassformer.dataset.predictions import refuse_to_replace

    known = [*(suffix for suffix, _ in FORMATS.values()), PREDICTIONS_SUFFIX]
    if out.suffix not in known:
        raise SettingsError(f"got --out {out}; expected a name that ends with {', '.join(known)}")
    if out.suffix == PREDICTIONS_SUFFIX:
        refuse_to_replace(out)
    elif structures > 1:
        raise SettingsError(
            f"got {structures} structures and one file of one structure to write",
            f"Give a sample, or write a prediction file: --out FILE{PREDICTIONS_SUFFIX}.",
        )


def _check_report(report: Path, structures: int) -> None:
    if report.suffix != ".html":
        raise SettingsError(f"got --report {report}; expected a name that ends with .html")
    if structures > 1:
        raise SettingsError(
            f"got {structures} structures and a page about one", "Give a sample or a file of one structure."
        )


def _write_report(report: Path, answer: Answer, source: Path) -> None:
    from glassformer.core.files import write_atomically
    from glassformer.report.prediction import prediction_page

    page = prediction_page(answer.sample, answer.card, answer.time, answer.prediction, answer.warnings, source.name)
    write_atomically(report, page.encode())


def _write(out: Path, answers: list[Answer], model: str) -> None:
    from glassformer.core.files import write_atomically
    from glassformer.dataset.exports import FORMATS
    from glassformer.dataset.writers.columns import structure_of

    if out.suffix == PREDICTIONS_SUFFIX:
        _write_predictions(out, answers, model)
        return
    answer, found = answers[0], answers[0].prediction
    columns: dict[str, FloatArray] = {
        "propensity": found.propensity,
        "uncertainty": found.uncertainty,
        "distance_from_training": found.distance,
    }
    structure = structure_of(answer.sample.without_draws())
    contents = next(make for suffix, make in FORMATS.values() if suffix == out.suffix)
    write_atomically(out, contents(replace(structure, columns=columns), answer.sample))


def _write_predictions(out: Path, answers: list[Answer], model: str) -> None:
    from glassformer.cli.model_cards import model_for
    from glassformer.dataset.predictions import write_predictions
    from glassformer.train.propensity_prediction import as_predictions

    used, times = {answer.card.name for answer in answers}, {answer.time for answer in answers}
    if len(used) > 1 or len(times) > 1:
        raise SettingsError(
            f"got predictions of {counted(len(used), 'model')} at {counted(len(times), 'time')}; a prediction file"
            " holds those of one model at one time",
            "Name both: --model MODEL --time T; or predict one state point at a time.",
        )
    facts = answers[0].sample.facts
    predictor = model_for(model, facts.mixture, facts.temperature, answers[0].time)
    samples, found = [answer.sample for answer in answers], [answer.prediction for answer in answers]
    write_predictions(out, as_predictions(predictor, samples, found, times.pop()))


def _as_json(answer: Answer) -> dict[str, Any]:
    found = answer.prediction
    return {
        "structure": answer.sample.identifier,
        "model": answer.card.name,
        "time": answer.time,
        "warnings": list(answer.warnings),
        "species": answer.sample.configuration.species.tolist(),
        "propensity": np.round(found.propensity, 6).tolist(),
        "uncertainty": np.round(found.uncertainty, 6).tolist(),
        "distance_from_training": np.round(found.distance, 4).tolist(),
    }


def _print(answers: list[Answer], written: "Mapping[str, Path | None]") -> None:
    rows = []
    for answer in answers:
        found = answer.prediction
        for kind, name in enumerate(answer.sample.mixture.species):
            of_it = answer.sample.configuration.species == kind
            if of_it.any():
                mean, error = found.propensity[of_it], found.uncertainty[of_it]
                top = np.quantile(mean, 0.95)
                rows.append(
                    [answer.sample.identifier, name, f"{of_it.sum():,}", f"{mean.mean():.3f}", f"{top:.3f}",
                     f"{np.sqrt((error**2).mean()):.3f}", f"{100 * (found.distance[of_it] > 1).mean():.1f} %"]
                )  # fmt: skip
    answer = answers[0]
    console.print(f"propensity |r(t) - r(0)| at t = {answer.time:g}, model {answer.card.name}")
    headings = ["structure", "species", "particles", "mean", "top 5%", "error", "unlike"]
    print_table(headings, rows, ["left", "left", "right", "right", "right", "right", "right"])
    for one in answers:
        for text in one.warnings:
            console.print(f"warning: {one.sample.identifier}: {text}", style="yellow", soft_wrap=True)
    for what, path in written.items():
        if path is not None:
            console.print(f"{what}: {path}", soft_wrap=True)
