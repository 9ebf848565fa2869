"""Commands. Exit codes: 0 done, 2 bad input, 1 anything else."""

import contextlib
import io
import json
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

import glassformer
from glassformer.cli.bench import bench
from glassformer.cli.caches import matplotlib_folder
from glassformer.cli.console import console, cores, print_error, print_table, progress, resumable
from glassformer.core.errors import GlassformerError, SettingsError

ALL_CORES = cores()

app = typer.Typer(
    name="glassformer",
    help="From a glass former's structure to its dynamics: simulate, learn, predict, and say honestly how well.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(bench, name="bench")

Workers = Annotated[int, typer.Option(min=1, help="Cores to use.", show_default="all")]
CampaignArgument = Annotated[str, typer.Argument(help="Campaign file (TOML), or the name of one that ships.")]
Changes = Annotated[list[str], typer.Option("--set", help="Change a setting: KEY=VALUE, as schedule.until=20.")]
Only = Annotated[list[str], typer.Option(help="Only these state points, by label: T0.50_P1.55, or T0.50.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def main() -> None:
    """Run the command line; expected failures print one clear error instead of a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # A name that is no text, as an old file system has them, is shown with its bytes.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with matplotlib_folder():
            app()
    except GlassformerError as error:
        print_error(error)
        sys.exit(error.exit_code)


def _version(value: bool) -> None:
    if value:
        console.print(f"glassformer {glassformer.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


@app.command()
@resumable
def demo(
    out: Annotated[Path, typer.Option(help="Folder for data, training and report.")] = Path("demo"),
    workers: Workers = ALL_CORES,
) -> None:
    """Simulate, train, evaluate and report: the whole path in a few minutes."""
    from glassformer.cli.demo import run_demo
    from glassformer.core.presets import CAMPAIGNS, RUNS, preset

    run_demo(out, preset(CAMPAIGNS, "demo"), preset(RUNS, "demo"), workers)


@app.command()
@resumable
def experiment(
    study: Annotated[str, typer.Argument(help="Study file (TOML), or the name of one that ships.")] = "",
    scale: Annotated[str, typer.Option(help="demo (minutes), small (hours) or full (as in the thesis).")] = "demo",
    out: Annotated[Path | None, typer.Option(help="Folder for all of it.", show_default="experiment-SCALE")] = None,
    only: Annotated[list[str], typer.Option(help="Only these experiments or groups of them, by name.")] = [],  # noqa: B006
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it will cost, and stop.")] = False,
    workers: Workers = ALL_CORES,
    list_them: Annotated[
        bool, typer.Option("--list", help="List the studies that ship, or a study's experiments.")
    ] = False,
) -> None:
    """Run a study, such as the thesis's experiments, from the simulations to the report."""
    from glassformer.cli.experiment import print_cost, print_study, run_study
    from glassformer.core.experiment import load_study
    from glassformer.core.presets import study_presets

    if not study:
        if not list_them:
            raise SettingsError("got no study", "Name a file, or one that ships: glassformer experiment --list.")
        print_table(["study", "what it is"], [list(row) for row in study_presets().items()], ["left", "left"])
        return
    settings, folder = load_study(study), out or Path(f"experiment-{scale}")
    if list_them:
        print_study(settings, scale, only)
    elif dry_run:
        print_cost(settings, scale, only, folder, workers)
    else:
        run_study(settings, scale, only, folder, workers)


@app.command()
@resumable
def simulate(
    campaign: CampaignArgument = "",
    out: Annotated[Path | None, typer.Option(help="Dataset folder.")] = None,
    changes: Changes = [],  # noqa: B006
    only: Only = [],  # noqa: B006
    workers: Workers = ALL_CORES,
    list_them: Annotated[bool, typer.Option("--list", help="List the campaigns that ship with glassformer.")] = False,
    show: Annotated[bool, typer.Option(help="Print the campaign file, to be saved and changed.")] = False,
) -> None:
    """Simulate what is missing of a campaign."""
    from glassformer.core.presets import campaign_presets, find_campaign, load_campaign

    if list_them:
        print_table(["campaign", "what it is"], [list(row) for row in campaign_presets().items()], ["left", "left"])
        return
    if not campaign:
        raise SettingsError("got no campaign", "Name a file, or one that ships: glassformer simulate --list.")
    if show:
        print(find_campaign(campaign).read_text(encoding="utf-8"), end="")
        return
    if out is None:
        raise SettingsError("got no folder for the dataset", "Name it: --out DATASET.")
    from glassformer.cli.tables import print_summary
    from glassformer.dataset.folder import read_dataset
    from glassformer.dataset.summary import summarise
    from glassformer.simulate.campaign import run_campaign

    settings = load_campaign(campaign, changes, only)
    with progress() as stages:
        made = run_campaign(settings, out, stages, workers)
    console.print(f"{made} configurations made or extended")
    print_summary(summarise(read_dataset(out)))


@app.command()
def plan(
    campaign: CampaignArgument,
    out: Annotated[Path | None, typer.Option(help="Dataset folder: what it holds is not counted.")] = None,
    changes: Changes = [],  # noqa: B006
    only: Only = [],  # noqa: B006
    workers: Workers = ALL_CORES,
    as_json: AsJson = False,
) -> None:
    """Say what a campaign will cost, from rates measured on this machine."""
    from glassformer.cli.tables import print_plan
    from glassformer.core.presets import load_campaign
    from glassformer.core.progress import Silent
    from glassformer.simulate.plan import plan_campaign

    settings = load_campaign(campaign, changes, only)
    with contextlib.nullcontext(Silent()) if as_json else progress() as stages:
        planned = plan_campaign(settings, out, workers, stages)
    if as_json:
        print(json.dumps(planned.as_json(), indent=1))
    else:
        print_plan(planned)


@app.command()
def status(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    as_json: AsJson = False,
) -> None:
    """Say how far a campaign has come, also while it runs."""
    from glassformer.cli.tables import print_status
    from glassformer.simulate.status import campaign_status

    found = campaign_status(dataset)
    if as_json:
        print(json.dumps(found.as_json(), indent=1))
    else:
        print_status(found)


@app.command()
@resumable
def quench(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    workers: Workers = ALL_CORES,
) -> None:
    """Find the inherent structures of a dataset's configurations, where they are missing."""
    from glassformer.dataset.quench import quench_dataset

    with progress() as stages:
        done = quench_dataset(dataset, stages, workers)
    console.print(f"{done.found} inherent structures found, {done.there} were there")
    if done.found:
        drop = done.start_energy - done.energy
        console.print(f"energy a particle: {done.start_energy:.4f} -> {done.energy:.4f}, {drop:.4f} lower on average")


@app.command()
@resumable
def train(
    run: Annotated[str, typer.Argument(help="Run file (TOML), or the name of one that ships.")],
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    out: Annotated[Path, typer.Option(help="Folder for models and predictions.")],
    network: Annotated[str, typer.Option(help="Another network: one that ships, or a file (TOML).")] = "",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.", show_default="all")] = ALL_CORES,
    processes: Annotated[int, typer.Option(min=1, help="Processes that train one network together.")] = 1,
    allow_unequilibrated: Annotated[
        bool, typer.Option("--allow-unequilibrated", help="Use configurations that are not in equilibrium, too.")
    ] = False,
) -> None:
    """Train a network on a dataset, with cross-validation by configuration."""
    from glassformer.cli.tables import print_evaluation
    from glassformer.core.run import load_run
    from glassformer.dataset.folder import read_dataset
    from glassformer.dataset.predictions import read_predictions
    from glassformer.evaluate.evaluation import evaluate as score

    settings, samples = load_run(run, network), read_dataset(dataset)
    from glassformer.train.training import train_run

    with progress() as stages:
        predictions = train_run(settings, samples, out, stages, threads, allow_unequilibrated, processes)
    print_evaluation(score(read_predictions(predictions)))
    console.print(f"predictions of all folds: {predictions}", soft_wrap=True)


@app.command()
def predict(
    checkpoint: Annotated[Path, typer.Argument(help="A model.pt that train wrote.")],
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    out: Annotated[Path, typer.Option(help="Prediction file (HDF5).")],
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse configurations outside what the network was trained on.")
    ] = False,
) -> None:
    """Predict the dynamics of a dataset's configurations with a trained network."""
    from glassformer.cli.tables import print_notices
    from glassformer.core.errors import PredictionError
    from glassformer.dataset.folder import read_dataset
    from glassformer.dataset.predictions import write_predictions
    from glassformer.train.checkpoint import read_model
    from glassformer.train.prediction import predict as run_model

    model, samples = read_model(checkpoint), read_dataset(dataset)
    predictions = run_model(model, samples)
    if strict and predictions.notices:
        raise PredictionError("\n".join(predictions.notices), "Leave these out, or predict without --strict.")
    write_predictions(out, predictions)
    seen = sum(role != "test" for role in predictions.roles)
    print_notices(predictions.notices)
    console.print(f"{len(samples)} configurations predicted, {seen} of them seen in training: {out}", soft_wrap=True)


@app.command()
def evaluate(
    predictions: Annotated[Path, typer.Argument(help="Prediction file.")],
    as_json: AsJson = False,
) -> None:
    """Score predictions of configurations that training had not seen."""
    from glassformer.cli.tables import print_evaluation
    from glassformer.dataset.predictions import read_predictions
    from glassformer.evaluate.evaluation import evaluate as score

    evaluation = score(read_predictions(predictions))
    if as_json:
        print(json.dumps(evaluation.as_json(), indent=1))
    else:
        print_evaluation(evaluation)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder that holds data/ and training/.")],
) -> None:
    """Write report/index.html and its figures from a folder's data and training."""
    from glassformer.report.build import build_report

    console.print(str(build_report(folder)), soft_wrap=True)


@app.command()
def info(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    as_json: AsJson = False,
) -> None:
    """Check every file of a dataset and print what it holds."""
    from glassformer.cli.tables import print_summary
    from glassformer.dataset.folder import read_dataset
    from glassformer.dataset.summary import summarise

    summaries = summarise(read_dataset(dataset))
    if as_json:
        print(json.dumps([summary.as_json() for summary in summaries], indent=1))
    else:
        print_summary(summaries)


@app.command()
def analyse(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    observables: Annotated[str, typer.Option(help="Which, separated by commas; 'list' lists them.")] = "",
    compare: Annotated[Path | None, typer.Option(help="Folder of published MSD tables to compare with.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to.", show_default="DATASET-analysis")] = None,
) -> None:
    """Write observables as tables (CSV) and figures, with fits; compare with published curves."""
    from glassformer.cli.tables import print_fits, print_published_comparison
    from glassformer.dataset.folder import read_dataset
    from glassformer.report.analyse import analyse as write_observables
    from glassformer.report.analysis import OBSERVABLES

    if observables == "list":
        print_table(["observable", "what it is"], [[o.name, o.meaning] for o in OBSERVABLES.values()], ["left", "left"])
        return
    samples = read_dataset(dataset)
    folder = out or dataset.resolve().with_name(f"{dataset.resolve().name}-analysis")
    if compare is None or observables:
        wanted = [name.strip() for name in observables.split(",") if name.strip()]
        say = partial(console.print, markup=False, soft_wrap=True)
        print_fits(write_observables(samples, wanted, folder, say))
    if compare is not None:
        from glassformer.report.comparison import compare as compare_with

        print_published_comparison(compare_with(samples, compare, folder))
    console.print(f"tables and figures: {folder}", soft_wrap=True)


@app.command()
def networks(
    sources: Annotated[list[str], typer.Argument(metavar="[NETWORK]...", help="Which, or files; all by default.")] = [],  # noqa: B006
    particles: Annotated[int, typer.Option(min=1, help="Particles of the configuration.")] = 4096,
    measured: Annotated[bool, typer.Option("--measure", help="Measure seconds and memory on this machine.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads to measure on.", show_default="all")] = ALL_CORES,
    as_json: AsJson = False,
) -> None:
    """List the networks that ship with glassformer, and what they cost."""
    from glassformer.cli.networks import network_costs, print_networks
    from glassformer.core.progress import Silent

    with contextlib.nullcontext(Silent()) if as_json else progress() as stages:
        costs = network_costs(sources, particles, threads, measured, stages)
    if as_json:
        print(json.dumps([asdict(cost) for cost in costs], indent=1))
    else:
        print_networks(costs)


@app.command("mode-coupling")
def mode_coupling(
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    couplings: Annotated[str, typer.Option(help="Values of a, separated by commas; the glass begins at 4.")] = "",
) -> None:
    """Solve the schematic mode-coupling equation and draw its correlators."""
    from glassformer.report.mode_coupling import COUPLINGS, write_correlators

    try:
        wanted = [float(text) for text in couplings.split(",")] if couplings else COUPLINGS
    except ValueError:
        raise SettingsError(f"got couplings '{couplings}'; expected numbers", "Such as 3.9,4,4.1.") from None
    console.print(str(write_correlators(out, wanted)), soft_wrap=True)


@app.command()
def doctor() -> None:
    """Check what works on this machine, and say how to fix what does not."""
    from glassformer.cli.doctor import examine, print_findings

    if not print_findings(examine()):
        raise typer.Exit(1)
