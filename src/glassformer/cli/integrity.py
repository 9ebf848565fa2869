"""The commands verify and repair."""

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassformer.cli.console import console, print_note, print_table, progress, resumable
from glassformer.cli.options import ALL_CORES, AsJson, Dataset, Workers, flag
from glassformer.core.progress import Silent
from glassformer.core.words import counted

if TYPE_CHECKING:
    from glassformer.simulate.verify import Verification


def verify(dataset: Dataset, workers: Workers = ALL_CORES, as_json: AsJson = False) -> None:
    """Read every byte of a dataset and compare it with the checksums; the exit status is 1 if a file is damaged.

    DATASET may also be what train, demo, experiment or propensity wrote.
    """
    from glassformer.simulate.outputs import verify_folder

    with contextlib.nullcontext(Silent()) if as_json else progress() as stages:
        found = verify_folder(dataset, stages, workers)
    if as_json:
        print(json.dumps(found.as_json(), indent=1))
    else:
        _print(found)
    if found.campaign and ":" not in found.campaign:
        advise_repair(dataset, not found.whole)
    elif not found.whole:
        print_note(
            "repair the datasets in it with `glassformer repair DATASET --recompute`. Delete damaged files of other"
            " kinds, and run the command that wrote them again."
        )
        raise typer.Exit(1)


def advise_repair(dataset: Path, damaged: bool) -> None:
    """Say what to do about damaged files of `dataset`, if there are any, and end with exit status 1."""
    if damaged:
        print_note(
            "set damaged files aside, and simulate their samples again if the dataset contains its campaign:"
            f" glassformer repair {dataset} --recompute"
        )
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
    """Rename damaged files to FILE.damaged; with --recompute, simulate their samples again, byte for byte.

    A whole sample that lies in the place of another one is moved to its own place, if that is free.
    """
    from glassformer.simulate.verify import repair_dataset

    with contextlib.nullcontext(Silent()) if as_json else progress() as stages:
        done = repair_dataset(dataset, stages, workers, recompute)
    if as_json:
        print(json.dumps(done.as_json(), indent=1))
    else:
        _print(done.found)
        if done.recomputed:
            console.print(f"recomputed: {', '.join(done.recomputed)}", soft_wrap=True)
        elif any(".damaged" in new for _, new in done.renamed):
            console.print("`glassformer repair --recompute`, or `glassformer simulate`, simulates them again.")
    unread = sum(not one.readable for one in done.found.damaged)
    if unread:
        print_note(
            f"{counted(unread, 'file')} could not be read, and nothing was changed there. Correct permissions, links"
            " or the disk, and run the command again"
        )
        raise typer.Exit(1)


def _print(found: "Verification") -> None:
    if found.damaged:
        rows = [[one.file, one.problem if one.readable else f"not read: {one.problem}"] for one in found.damaged]
        print_table(["file", "problem"], rows, ["left", "left"])
    if found.without_checksum:
        older = counted(len(found.without_checksum), "file")
        console.print(f"{older} of an older version without checksum: damage may go unseen.", style="yellow")
    if found.missing:
        aside = f"; {found.set_aside} of them set aside as damaged" if found.set_aside else ""
        console.print(f"Missing samples of the campaign (not simulated yet, or removed): {found.missing}{aside}")
    bad = f"{len(found.damaged)} damaged" if found.damaged else "all whole"
    others = f" and {counted(found.others, 'other file')}" if found.others else ""
    campaign = f"; campaign.json: {found.campaign}" if found.campaign else ""
    console.print(f"{counted(found.files, 'sample')}{others}, {bad}{campaign}", soft_wrap=True)
