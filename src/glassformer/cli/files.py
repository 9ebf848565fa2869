"""The commands around files of other codes: import, export, ends, info."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from glassformer.cli import completion
from glassformer.cli.console import console, print_note, print_table, progress
from glassformer.cli.options import AsJson, Dataset, MixtureOfFile, SpeciesOfTypes, TemperatureOfFile, flag
from glassformer.core.errors import SettingsError
from glassformer.core.words import counted

Incomplete = Annotated[bool, flag("--incomplete", "Use the complete frames of a file whose last frame is cut off.")]


def import_(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SRC...", help="Files: LAMMPS dump or data, extended XYZ, GSD, RUMD, BOTAN, GlassBench."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DATASET", help="Dataset to write or extend.", show_default=False)],
    mixture: MixtureOfFile = "",
    temperature: TemperatureOfFile = None,
    species: SpeciesOfTypes = "",
    label: Annotated[
        str, typer.Option(metavar="LABEL", help="Name of the state point.", show_default="such as T0.44_rho1.20")
    ] = "",
    frames: Annotated[
        str,
        typer.Option(
            metavar="FRAMES",
            help="first, last, all, a number from 0, or START:STOP:STEP.",
            show_default="the last of a run, else all",
            autocompletion=completion.frames,
        ),
    ] = "",
    times: Annotated[
        str,
        typer.Option(
            metavar="TIMES", help="Times of the draws or propensities, such as 0.13,1.3.", show_default="from the file"
        ),
    ] = "",
    without_draws: Annotated[bool, flag("--without-draws", "Import only the structures.")] = False,
    incomplete: Incomplete = False,
) -> None:
    """Import structures, and the draws of files that have any, as samples of a dataset."""
    from glassformer.core.presets import load_mixture
    from glassformer.dataset.imports import Choices, import_files

    choices = Choices(
        load_mixture(mixture) if mixture else None, temperature, species, label, frames, _times(times), without_draws,
        incomplete,
    )  # fmt: skip
    written = import_files(sources, out, choices, lambda text: console.print(text, soft_wrap=True))
    console.print(f"{counted(len(written), 'sample')} imported: {out}", soft_wrap=True)


def export(
    dataset: Dataset,
    to: Annotated[
        str,
        typer.Option(
            metavar="FORMAT", help="extxyz, gsd, lammps or npz.", show_default=False, autocompletion=completion.formats
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write to.", show_default=False)],
    predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Prediction file whose predictions are added as columns.", show_default=False
        ),
    ] = None,
) -> None:
    """Export a dataset's structures, with propensities and predictions as columns of the particles."""
    from glassformer.dataset.exports import export as write_files
    from glassformer.dataset.folder import read_dataset
    from glassformer.dataset.predictions import read_predictions

    known = None if predictions is None else read_predictions(predictions)
    written = write_files(read_dataset(dataset), to, out, known)
    console.print(f"{counted(len(written), 'file')} written: {out}", soft_wrap=True)


def ends(
    dataset: Dataset,
    out: Annotated[Path, typer.Option(metavar="DATASET", help="Dataset to write or extend.", show_default=False)],
    draws: Annotated[int, typer.Option(min=1, metavar="N", help="Draws of each configuration whose ends to take.")] = 8,
) -> None:
    """Take the configurations at the end of draws, each with its draw run backwards, to train propensity models.

    DATASET must hold displacement vectors: imported draws do, and campaigns with keep_displacements.
    """
    from glassformer.dataset.ends import write_ends

    with progress() as stages:
        existed, written = write_ends(dataset, out, draws, stages)
    console.print(f"{counted(written, 'configuration')} written; {existed} existed already: {out}", soft_wrap=True)


def info(
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", help="Dataset folder, sample, or file of another code.", show_default=False),
    ],
    incomplete: Incomplete = False,
    as_json: AsJson = False,
) -> None:
    """Check a dataset or a file of another code, and print its contents."""
    from glassformer.dataset.readers.read import is_hdf5

    if path.is_file() and not is_hdf5(path):
        _file_info(path, incomplete, as_json)
        return
    from glassformer.cli.tables import print_summary
    from glassformer.dataset.folder import list_dataset, read_samples
    from glassformer.dataset.summary import summarise, summarise_digests

    summaries = summarise(read_samples(path)) if path.is_file() else summarise_digests(list_dataset(path, print_note))
    if as_json:
        print(json.dumps([summary.as_json() for summary in summaries], indent=1))
    else:
        print_summary(summaries)


def _file_info(path: Path, incomplete: bool, as_json: bool) -> None:
    from glassformer.dataset.readers.read import read_file
    from glassformer.dataset.readers.summary import summary

    found = summary(read_file(path, incomplete))
    if as_json:
        print(json.dumps(found, indent=1))
        return
    notes = found.pop("notes")
    for name in ("steps", "times"):
        if found[name] is not None:
            found[name] = " to ".join(_text(value) for value in dict.fromkeys(found[name]))
    rows = [[name.replace("_", " "), _text(value)] for name, value in found.items() if value not in (None, False)]
    print_table(["", "content"], rows, ["left", "left"])
    for note in notes:
        console.print(note, style="dim")


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count:,} of {name}" for name, count in value.items())
    if isinstance(value, list):
        return ", ".join(_text(one) for one in value)
    if isinstance(value, bool):
        return "yes"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _times(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        found = (-1.0,)
    if not all(0 < time < 1e12 for time in found):
        raise SettingsError(f"got --times {text}; expected positive numbers", "For example --times 0.13,1.3,13.")
    return found
