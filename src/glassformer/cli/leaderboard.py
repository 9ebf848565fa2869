"""Published scores of propensities, with this package's own and the user's beside them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassformer.cli.console import console, print_columns
from glassformer.cli.options import AsJson, flag

if TYPE_CHECKING:
    from glassformer.evaluate.leaderboard import Entry


def leaderboard(
    predictions: Annotated[
        list[Path],
        typer.Argument(
            metavar="PREDICTIONS",
            help="Prediction files with propensities of particles at T = 0.44 and rho = 1.2.",
            show_default=False,
        ),
    ] = [],  # noqa: B006
    trained_on: Annotated[
        int | None,
        typer.Option(
            "--trained-on", min=1, metavar="N", help="Number of training configurations of each.", show_default=False
        ),
    ] = None,
    short_dynamics: Annotated[
        bool, flag("--short-dynamics", "The models of PREDICTIONS use averages over short trajectories.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare published scores of propensities with those of this package and of prediction files."""
    from glassformer.dataset.predictions import read_predictions
    from glassformer.evaluate.leaderboard import Kind, board_as_json, entry_of, file_name, own, published

    known = published()
    kind: Kind = "short dynamics" if short_dynamics else "static"
    entries = [
        *own().entries,
        *(entry_of(read_predictions(path), file_name(path), kind, trained_on) for path in predictions),
    ]
    if as_json:
        print(json.dumps(board_as_json(known, entries), indent=1))
    else:
        print_board(known.source, known.entries, entries)


def print_board(source: str, published: Sequence["Entry"], own: Sequence["Entry"]) -> None:
    """Print a table for each class, then what one must know to compare."""
    from glassformer.evaluate.leaderboard import CLASSES, DENSITY, SPECIES, TEMPERATURE, WARNINGS, ranked

    everything = [*published, *own]
    console.print(
        f"Propensity of {SPECIES} particles, Kob-Andersen at T = {TEMPERATURE}, rho = {DENSITY}: Pearson's correlation"
        " within a configuration, mean over test configurations."
    )
    for kind, meaning in CLASSES.items():
        console.print()
        console.print(f"{kind}: {meaning}", style="bold")
        entries = ranked(everything, kind)
        if entries:
            _print_entries(entries, own)
        else:
            console.print("no entries")
    console.print()
    for warning in WARNINGS:
        console.print(f"warning: {warning}", style="yellow")
    console.print(
        "*: own entry; in parentheses: standard error over test configurations, of the last digits. train,"
        " test: numbers of configurations, - if not known. Classes are not ranked together; each is ordered by"
        " its score at t = 4120 (tau_alpha).",
        style="dim",
    )
    console.print(f"Source of entries without *: {source}", style="dim")
    for entry in own:
        console.print(f"* {_remark(entry)}", style="dim")


def _print_entries(entries: Sequence["Entry"], own: Sequence["Entry"]) -> None:
    """Print one class: first what the entries are, then as many times side by side as the terminal has room for."""
    from glassformer.evaluate.leaderboard import times_of

    names = [f"{entry.name} *" if any(entry is one for one in own) else entry.name for entry in entries]
    sizes = [[_count(entry.training_configurations), str(entry.test_configurations)] for entry in entries]
    columns = [("train", [one[0] for one in sizes]), ("test", [one[1] for one in sizes])]
    columns += [(f"{time:g}", [_score(entry, time) for entry in entries]) for time in times_of(entries)]
    headings, cells = zip(*columns, strict=True)
    rows = [[name, *row] for name, row in zip(names, zip(*cells, strict=True), strict=True)]
    print_columns(["model", *headings], rows)


def _count(number: int | None) -> str:
    return "-" if number is None else str(number)


def _score(entry: "Entry", time: float) -> str:
    """Return '.798(14)', the standard error in units of the last digit; without what is not known."""
    place = entry.place(time)
    if place is None:
        return ""
    return _short(entry.scores[place]) + (f"({1000 * entry.errors[place]:.0f})" if entry.errors else "")


def _short(value: float) -> str:
    """Return '.798': three decimals without the zero before the point."""
    return f"{value:.3f}".replace("0.", ".", 1)


def _remark(entry: "Entry") -> str:
    """Return what is to be said of an own entry: where its score comes from, and its ceilings."""
    ceilings = ", ".join(
        f"{_short(value)} (t = {time:g})" for time, value in zip(entry.times, entry.ceilings, strict=False)
    )
    parts = [entry.note, f"ceiling {ceilings}" if ceilings else "ceiling not known", entry.reference]
    return f"{entry.name}: {'; '.join(part for part in parts if part)}"
