"""The commands verify and repair."""

import contextlib
import json
from typing import TYPE_CHECKING, Annotated

import typer

from glassformer.cli.console import console, print_table, progress, resumable
from glassformer.cli.options import ALL_CORES, AsJson, Dataset, Workers, flag
from glassformer.core.progress import Silent
from glassformer.core.words import counted

if TYPE_CHECKING:
    from glassformer.simulate.verify import Verification


def verify(dataset: Dataset, workers: Workers = ALL_CORES, as_json: AsJson = False) -> None:
    """Read every byte of a dataset and compare it with the checksums; the exit status is 1 if a file is damaged."""
    from glassformer.simulate.verify import verify_dataset

    with contextlib.nullcontext(Silent()) if as_json else progress() as stages:
        found = verify_dataset(dataset, stages, workers)
    if as_json:
        print(json.dumps(found.as_json(), indent=1))
    else:
        _print(found)
    if not found.whole:
        raise typer.Exit(1)


@resumable
def repair(
    dataset: Dataset,
    recompute: Annotated[
        bool, flag("--recompute", "Simulate damaged samples again, if the dataset contains their campaign.")
    ] = False,
    workers: Workers = ALL_CORES,
    as_json: AsJson = False,
) -> None:
    """Rename damaged files to FILE.damaged; with --recompute, simulate their samples again, byte for byte."""
    from glassformer.simulate.verify import repair_dataset

    with contextlib.nullcontext(Silent()) if as_json else progress() as stages:
        done = repair_dataset(dataset, stages, workers, recompute)
    if as_json:
        print(json.dumps(done.as_json(), indent=1))
    else:
        _print(done.found)
        for old, new in done.renamed:
            console.print(f"{old} is now {new}", soft_wrap=True)
        if done.recomputed:
            console.print(f"recomputed: {', '.join(done.recomputed)}", soft_wrap=True)
        elif done.renamed:
            console.print("`glassformer repair --recompute`, or `glassformer simulate`, simulates them again.")
    if any(not one.readable for one in done.found.damaged):
        raise typer.Exit(1)


def _print(found: "Verification") -> None:
    if found.damaged:
        rows = [[one.file, one.problem if one.readable else f"not read: {one.problem}"] for one in found.damaged]
        print_table(["file", "problem"], rows, ["left", "left"])
    if found.without_checksum:
        older = counted(len(found.without_checksum), "sample")
        console.print(f"{older} of an older version without checksum: damage may go unseen.", style="yellow")
    bad = f"{len(found.damaged)} damaged" if found.damaged else "all whole"
    console.print(f"{counted(found.files, 'sample')}, {bad}; campaign.json: {found.campaign}")
