"""The command `cage`."""

from typing import Annotated, Any, Literal

import typer

from glassformer.cli.console import console, progress, resumable
from glassformer.cli.options import ALL_CORES, Dataset, Walltime, Workers
from glassformer.core.walltime import stopped_in_time
from glassformer.core.words import counted


@resumable
def cage(
    dataset: Dataset,
    kind: Annotated[
        Literal["restricted", "window"],
        typer.Option(
            metavar="KIND",
            help="restricted: no particle leaves its cage (a static property); window: free draws (short dynamics).",
        ),
    ] = "restricted",
    draws: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Trajectories per configuration.", show_default="32; of ends of draws 16"
        ),
    ] = None,
    begin: Annotated[
        float | None,
        typer.Option(metavar="T", help="Time at which averaging starts.", show_default="5 or 0.5; of ends 3 or 0.5"),
    ] = None,
    end: Annotated[
        float | None,
        typer.Option(metavar="T", help="Time at which averaging ends.", show_default="25 or 13; of ends 13"),
    ] = None,
    radius: Annotated[
        float | None,
        typer.Option(metavar="R", help="Radius of the wall around a restricted cage.", show_default="0.4"),
    ] = None,
    workers: Workers = ALL_CORES,
    walltime: Walltime = "",
) -> None:
    """Sample the cage positions of a dataset's configurations: mean positions of particles in their cages."""
    from dataclasses import replace

    from glassformer.simulate.cage import SAMPLING, cage_dataset

    asked = {"draws": draws, "begin": begin, "end": end, "radius": radius}
    changes: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    # A mistake is found before anything is read.
    chosen = replace(SAMPLING[kind], **changes)
    with stopped_in_time(walltime), progress() as stages:
        there, made = cage_dataset(dataset, kind, changes, stages, workers)
    console.print(f"cages of {counted(made, 'configuration')} sampled; {there} already had them")
    if kind == "window":
        console.print(
            f"Predict propensities from them at t = {10 * chosen.end:g} or later; earlier times are too close to the"
            " sampled window."
        )
