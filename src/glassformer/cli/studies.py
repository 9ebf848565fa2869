"""The commands that run from simulation to report: demo, experiment."""

from pathlib import Path
from typing import Annotated

import typer

from glassformer.cli import cluster, completion
from glassformer.cli.console import print_file, print_note, print_table, resumable
from glassformer.cli.options import ALL_CORES, Walltime, Workers, flag
from glassformer.core.errors import SettingsError
from glassformer.core.walltime import stopped_in_time


@resumable
def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for data, training and report.")] = Path("demo"),
    workers: Workers = ALL_CORES,
) -> None:
    """Run the whole workflow in a few minutes: simulate, train, evaluate and report."""
    from glassformer.cli.demo import run_demo
    from glassformer.core.presets import CAMPAIGNS, RUNS, load_recipe, preset

    runs = preset(RUNS, "demo"), preset(RUNS, "demo-structure")
    run_demo(out, preset(CAMPAIGNS, "demo"), *runs, load_recipe("demo-propensity"), workers)


@resumable
def experiment(
    context: typer.Context,
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY",
            help="Study file (TOML), or name of a shipped study.",
            show_default=False,
            autocompletion=completion.studies,
        ),
    ] = "",
    scale: Annotated[
        str,
        typer.Option(
            metavar="SCALE",
            help="Size of data and networks: demo (minutes), small (hours) or full (as in the thesis).",
            autocompletion=completion.scales,
        ),
    ] = "demo",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Output folder.", show_default="experiment-SCALE")
    ] = None,
    only: Annotated[
        list[str], typer.Option(metavar="NAME", help="Run only this experiment or group of experiments. Repeatable.")
    ] = [],  # noqa: B006
    dry_run: Annotated[bool, flag("--dry-run", "Estimate the cost and stop.")] = False,
    workers: Workers = ALL_CORES,
    parsl: cluster.Parsl = "",
    walltime: Walltime = "",
    list_them: Annotated[bool, flag("--list", "List the shipped studies, or the experiments of STUDY.")] = False,
    show: Annotated[bool, flag("--show", "Print the study file, as a template to edit.")] = False,
    as_json: Annotated[bool, flag("--json", "Print the cost of --dry-run as JSON.")] = False,
) -> None:
    """Run a study, such as the experiments of the thesis, from simulation to report."""
    from glassformer.cli.experiment import print_study, run_study
    from glassformer.core.experiment import load_study
    from glassformer.core.presets import STUDIES, find, study_presets

    if as_json and not dry_run:
        raise SettingsError("got --json without --dry-run", "The results are in results.json of the output folder.")
    if not study:
        if not list_them:
            raise SettingsError(
                "no study was given", "Give a file, or the name of a shipped one: glassformer experiment --list."
            )
        print_table(["study", "description"], [list(row) for row in study_presets().items()], ["left", "left"])
        return
    if show:
        print_file(find(STUDIES, study))
        return
    settings, folder = load_study(study), out or Path(f"experiment-{scale}")
    if list_them:
        print_study(settings, scale, only)
    elif dry_run:
        from glassformer.cli.study_cost import print_cost

        print_cost(settings, scale, only, folder, workers, as_json)
    else:
        if parsl and cluster.workers_given(context):
            print_note(
                f"--workers {workers}: for the inherent structures; the rest runs on the workers of --parsl {parsl}"
            )
        with stopped_in_time(walltime):
            run_study(settings, scale, only, folder, workers, cluster.runner(parsl))
