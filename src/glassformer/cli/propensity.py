"""The command `propensity`: which particles of a structure will move."""

import contextlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from glassformer.cli import completion
from glassformer.cli.console import console, number, print_remark, print_table, progress, stoppable
from glassformer.cli.options import (
    ALL_CORES,
    AsJson,
    MixtureOfFile,
    SpeciesOfTypes,
    TemperatureOfFile,
    Threads,
    flag,
)
from glassformer.core.errors import SettingsError
from glassformer.core.progress import Silent
from glassformer.core.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from glassformer.api.propensities import Propensity
    from glassformer.api.structures import Structures

# Of a prediction file, which evaluate and leaderboard read.
PREDICTIONS_SUFFIX = ".h5"
# Other names of the formats.
SAME_FORMAT = {".xyz": ".extxyz"}
# Files of one structure. Predictions hold any structures, the others frames of the same particles.
OF_ONE = (".npz",)
# Files without a place for text, such as warnings.
WITHOUT_TEXT = (".gsd", ".lammpstrj")


@stoppable
def propensity(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="Structure in any format that import reads, a sample, or a dataset.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="Shipped model, or a model file written by train.",
            show_default="the first that fits mixture, temperature, time",
            autocompletion=completion.models,
        ),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the values of all particles: .extxyz (or .xyz), .gsd, .lammpstrj, .npz or .h5.",
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="PAGE.html", help="Write a self-contained page with a rotatable view.", show_default=False
        ),
    ] = None,
    time: Annotated[
        float | None, typer.Option(metavar="T", help="Time of the propensity.", show_default="the model's last time")
    ] = None,
    temperature: TemperatureOfFile = None,
    mixture: MixtureOfFile = "",
    species: SpeciesOfTypes = "",
    frames: Annotated[
        str,
        typer.Option(
            metavar="WHICH",
            help="Frames of FILE: first, last, all, a number from 0, or START:STOP:STEP.",
            show_default="last of a run, else all",
            autocompletion=completion.frames,
        ),
    ] = "",
    threads: Threads = ALL_CORES,
    as_json: AsJson = False,
    list_them: Annotated[bool, flag("--list", "List the models that ship with glassformer.")] = False,
    card: Annotated[bool, flag("--card", "Print the card of MODEL: data, scores, limits.")] = False,
) -> None:
    """Predict which particles of a structure will move, how far, and with what uncertainty."""
    from glassformer.baselines.shipped_models import load_model
    from glassformer.cli.model_cards import print_card, print_models

    if list_them:
        print_models(as_json)
        return
    if card:
        print_card(load_model(model), as_json)
        return
    if source is None:
        raise SettingsError("no structure was given", "Give a file: glassformer propensity FILE.")
    from glassformer.api import propensities

    structures = _structures(source, mixture, temperature, species, frames, as_json)
    if out is not None:
        _check_out(out, structures, source)
    if report is not None:
        _check_report(report, len(structures), source)
    # All that can be refused is refused before anything is computed.
    models = [propensities.usable_model(one, model, time) for one in structures]
    with contextlib.nullcontext(Silent()) if as_json else progress() as stages:
        told = [
            (one.name, propensities.outside_range(one, chosen)) for one, chosen in zip(structures, models, strict=True)
        ]
        for text in _together(told):
            stages.say(text)
        answers = [
            propensities.propensity(one, chosen, time, threads=threads, progress=stages)
            for one, chosen in zip(structures, models, strict=True)
        ]
    if out is not None:
        _write(out, answers)
    if report is not None:
        _write_report(report, answers[0], source)
    if as_json:
        print(json.dumps([_as_json(answer) for answer in answers], indent=1))
    else:
        _print(answers, {"values of all particles": out, "report": report})


def _structures(
    source: Path, mixture: str, temperature: float | None, species: str, frames: str, quiet: bool
) -> "Structures":
    from glassformer.api.reading import read

    found = read(
        source, mixture=mixture or None, temperature=temperature, species=species, frames=frames, without_draws=True
    )
    if not quiet:
        for note in found.notes:
            print_remark(note)
    return found


def _check_out(out: Path, structures: "Structures", source: Path) -> None:
    from glassformer.dataset.exports import FORMATS
    from glassformer.dataset.predictions import refuse_to_replace

    known = [*(suffix for suffix, _ in FORMATS.values()), *SAME_FORMAT, PREDICTIONS_SUFFIX]
    if out.suffix not in known:
        raise SettingsError(
            f"got --out {out}; expected a name that ends with {', '.join(known)}",
            "For a picture, give --report PAGE.html.",
        )
    if out.suffix == PREDICTIONS_SUFFIX:
        refuse_to_replace(out)
        return
    unlike = _unlike(structures)
    fitting = [PREDICTIONS_SUFFIX] if unlike else [one for one in known if one not in OF_ONE]
    if len(structures) == 1 or out.suffix in fitting:
        return
    holds = "one" if out.suffix in OF_ONE else f"frames of the same particles: {unlike}"
    raise SettingsError(
        f"got {len(structures)} structures; a file {out.suffix} holds {holds}",
        f"{_one_of(source)} Or write {', '.join(fitting)}.",
    )


def _unlike(structures: "Structures") -> str:
    """Return how a structure differs from the first in its particles, '' if none does: readers refuse such frames."""
    first = structures[0]
    species = np.array(first.species_names)[first.species]
    for one in structures:
        if one.particles != first.particles:
            return f"{first.name} has {first.particles} particles, {one.name} has {one.particles}"
        changed = int((np.array(one.species_names)[one.species] != species).sum())
        if changed:
            return f"{counted(changed, 'particle')} of {one.name} and {first.name} differ in species"
    return ""


def _check_report(report: Path, structures: int, source: Path) -> None:
    if report.suffix != ".html":
        raise SettingsError(f"got --report {report}; expected a name that ends with .html")
    if structures > 1:
        raise SettingsError(f"got {structures} structures; a page shows one", _one_of(source))


def _one_of(source: Path) -> str:
    return "Give one sample of the dataset." if source.is_dir() else "Choose one frame, such as --frames last."


def _write_report(report: Path, answer: "Propensity", source: Path) -> None:
    from glassformer.core.files import write_atomically
    from glassformer.report.prediction import prediction_page

    card = answer.predictor.card
    page = prediction_page(answer.sample, card, answer.time, answer.prediction, answer.warnings, source.name)
    write_atomically(report, page.encode())


def _write(out: Path, answers: "list[Propensity]") -> None:
    from glassformer.api.propensities import predictions_of
    from glassformer.core.files import write_atomically
    from glassformer.dataset.exports import FORMATS
    from glassformer.dataset.predictions import write_predictions
    from glassformer.dataset.writers.columns import structure_of

    if out.suffix == PREDICTIONS_SUFFIX:
        write_predictions(out, predictions_of(answers))
        return
    structures = []
    for answer in answers:
        structure = structure_of(answer.sample.without_draws())
        facts = {"structure": answer.structure.name} | structure.facts | answer.facts
        structures.append(replace(structure, columns=answer.columns, facts=facts))
    wanted = SAME_FORMAT.get(out.suffix, out.suffix)
    make = next(make for suffix, make in FORMATS.values() if suffix == wanted)
    write_atomically(out, make(structures, answers[0].sample))


def _as_json(answer: "Propensity") -> dict[str, Any]:
    digits = {"distance_from_training": 4}
    columns = {name: _numbers(np.round(column, digits.get(name, 6))) for name, column in answer.columns.items()}
    return {
        "structure": answer.structure.name,
        "model": answer.model,
        "time": answer.time,
        "warnings": list(answer.warnings),
        "temperature": answer.structure.temperature,
        "species_names": list(answer.structure.species_names),
        "by_species": [asdict(one) | {"error": _numbers([one.error])[0]} for one in answer.by_species()],
        "species": answer.structure.species.tolist(),
        **columns,
    }


def _numbers(values: "Iterable[float]") -> list[float | None]:
    """Return the values for JSON, which has no NaN."""
    return [None if np.isnan(value) else float(value) for value in values]


def _together(told: "Sequence[tuple[str, tuple[str, ...]]]") -> list[str]:
    """Return the warnings of all structures as lines, each text once."""
    names: dict[str, list[str]] = {}
    for name, texts in told:
        for text in texts:
            names.setdefault(text, []).append(name)
    return [f"warning: {_named(some)}: {text}" for text, some in names.items()]


def _headers(answers: "Sequence[Propensity]") -> list[str]:
    """Return a line for each time and model, with its structures if there are several such lines."""
    names: dict[str, list[str]] = {}
    for one in answers:
        text = f"propensity |r(t) - r(0)| at t = {one.time:g}, model {one.model}"
        names.setdefault(text, []).append(one.structure.name)
    return list(names) if len(names) == 1 else [f"{text}: {_named(some)}" for text, some in names.items()]


def _named(names: "Sequence[str]") -> str:
    first, *more = names
    return first + (f" and {counted(len(more), 'more structure')}" if more else "")


def _print(answers: "list[Propensity]", written: "Mapping[str, Path | None]") -> None:
    rows = [
        [answer.structure.name, one.species, f"{one.particles:,}", f"{one.mean:.3f}", f"{one.top:.3f}",
         number(one.error, 3), f"{100 * one.unlike:.1f} %"]
        for answer in answers
        for one in answer.by_species()
    ]  # fmt: skip
    for text in _headers(answers):
        console.print(text, soft_wrap=True)
    headings = ["structure", "species", "particles", "mean", "top 5%", "error", "unlike"]
    print_table(headings, rows, ["left", "left", "right", "right", "right", "right", "right"])
    for text in _together([(one.structure.name, one.warnings) for one in answers]):
        console.print(text, style="yellow", soft_wrap=True)
    for what, path in written.items():
        if path is not None:
            console.print(f"{what}: {path}", soft_wrap=True)
            if path.suffix in WITHOUT_TEXT and any(one.warnings for one in answers):
                others = ".extxyz and .h5" if len(answers) > 1 else ".extxyz, .npz and .h5"
                console.print(f"{path.name} has no place for the warnings; {others} have.", soft_wrap=True)
