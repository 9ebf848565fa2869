"""Commands. Exit codes: 0 done, 2 bad input, 75 stopped before the walltime ended, 1 anything else."""

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from glassformer.cli import cluster, files, integrity, learn, studies
from glassformer.cli.analyse import analyse
from glassformer.cli.baselines import baselines
from glassformer.cli.bench import bench
from glassformer.cli.caches import matplotlib_folder
from glassformer.cli.cage import cage
from glassformer.cli.console import (
    InterruptedByUserError,
    console,
    print_error,
    print_file,
    print_note,
    print_table,
    progress,
    resumable,
    set_quiet,
    show_notices,
)
from glassformer.cli.leaderboard import leaderboard
from glassformer.cli.mixtures import mixtures
from glassformer.cli.options import (
    ALL_CORES,
    AsJson,
    CampaignArgument,
    Changes,
    Dataset,
    Group,
    NoVerify,
    Only,
    Walltime,
    Workers,
    flag,
)
from glassformer.cli.propensity import propensity
from glassformer.cli.streams import guard_streams
from glassformer.core.errors import GlassformerError, SettingsError, StorageError
from glassformer.core.files import storage_error
from glassformer.core.signals import StopRequested, stop_on_signals
from glassformer.core.version import __version__
from glassformer.core.walltime import stopped_in_time
from glassformer.core.words import counted

# The code with which typer ends, without a word, on Ctrl-C outside of what is resumable.
CTRL_C = 130
QUIET = "--quiet"

app = typer.Typer(
    cls=Group,
    name="glassformer",
    help="Simulate glass-forming liquids, learn their dynamics from their structure, and score the predictions.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)

app.add_typer(bench, name="bench")


def main() -> None:
    """Run the command line; expected failures print one clear error instead of a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # A name that is no text, as an old file system has them, is shown with its bytes.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if sys.stdout is None and "--json" in sys.argv[1:]:
        _print_last(
            GlassformerError("standard output is closed: JSON cannot be printed", "Keep it open, or omit --json.")
        )
        sys.exit(1)
    guard_streams()
    if "" in sys.argv[1:]:
        _print_last(SettingsError("got an empty argument", "A shell variable may be unset. Give the file or folder."))
        sys.exit(2)
    stop_on_signals()
    show_notices()
    try:
        with matplotlib_folder():
            app(_quiet_first(sys.argv[1:]), prog_name="glassformer")
    except GlassformerError as error:
        _print_last(error)
        sys.exit(error.exit_code)
    except OSError as error:
        # Met where nobody expects the file system to refuse, such as on asking whether a file exists.
        if not error.filename:
            raise
        _print_last(storage_error("access", Path(os.fsdecode(error.filename)), error))
        sys.exit(StorageError.exit_code)
    except SystemExit as end:
        if end.code != CTRL_C:
            raise
        _print_last(InterruptedByUserError("stopped"))
        sys.exit(1)
    except (KeyboardInterrupt, StopRequested) as stop:
        # Of a command that has nothing to continue.
        _print_last(InterruptedByUserError(f"stopped by {stop.name}" if isinstance(stop, StopRequested) else "stopped"))
        sys.exit(1)


def _quiet_first(words: list[str]) -> list[str]:
    """Return the words of the command line with --quiet before the command, wherever it was given."""
    return [QUIET, *(word for word in words if word != QUIET)] if QUIET in words else words


def _print_last(error: GlassformerError) -> None:
    """Print the error that ends the command, if there is still somewhere to print to."""
    with contextlib.suppress(OSError, ValueError):
        print_error(error)


def _version(value: bool) -> None:
    if value:
        console.print(f"glassformer {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            is_eager=True,
            metavar="",
            help="Show the version and exit.",
            show_default=False,
        ),
    ] = False,
    quiet: Annotated[
        bool, flag(QUIET, "Print results and errors only: no progress, no notes. Also accepted after the command.")
    ] = False,
) -> None:
    set_quiet(quiet)


app.command()(studies.demo)
app.command()(studies.experiment)


@app.command()
@resumable
def simulate(
    context: typer.Context,
    campaign: CampaignArgument = "",
    out: Annotated[
        Path | None, typer.Option(metavar="DATASET", help="Folder for the dataset.", show_default=False)
    ] = None,
    changes: Changes = [],  # noqa: B006
    only: Only = [],  # noqa: B006
    workers: Workers = ALL_CORES,
    part: Annotated[
        str,
        typer.Option(metavar="K/N", help="Simulate only part K of N, such as 3/40 in a job array.", show_default="all"),
    ] = "",
    parsl: cluster.Parsl = "",
    walltime: Walltime = "",
    no_verify: NoVerify = False,
    list_them: Annotated[bool, flag("--list", "List the campaigns that ship with glassformer.")] = False,
    show: Annotated[bool, flag("--show", "Print the campaign, or the file of --parsl, as a template to edit.")] = False,
) -> None:
    """Simulate the configurations and draws of a campaign that its dataset does not contain yet."""
    from glassformer.core.presets import CAMPAIGNS, campaign_presets, find, load_campaign

    if list_them:
        print_table(["campaign", "description"], [list(row) for row in campaign_presets().items()], ["left", "left"])
        return
    if show and parsl:
        from glassformer.core.parsl_runner import config_file

        print_file(config_file(parsl))
        return
    if not campaign:
        raise SettingsError(
            "no campaign was given", "Give a file, or the name of a shipped one: glassformer simulate --list."
        )
    if show:
        print_file(find(CAMPAIGNS, campaign))
        return
    if out is None:
        raise SettingsError("no folder for the dataset was given", "Give it with --out DATASET.")
    from glassformer.cli.tables import print_summary
    from glassformer.dataset.folder import list_dataset
    from glassformer.dataset.summary import summarise_digests
    from glassformer.simulate.campaign import run_campaign

    cluster.refuse_workers(context, parsl)
    settings, chosen = load_campaign(campaign, changes, only), cluster.choice(part, not no_verify)
    with stopped_in_time(walltime), progress() as stages:
        made = run_campaign(settings, out, stages, workers, chosen, cluster.runner(parsl))
    console.print(f"{counted(made, 'configuration')} simulated or extended")
    if not part:
        print_summary(summarise_digests(list_dataset(out)))


app.command()(cluster.sbatch)


@app.command()
def plan(
    campaign: CampaignArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET",
            help="Dataset folder; samples that it already contains are not counted.",
            show_default=False,
        ),
    ] = None,
    changes: Changes = [],  # noqa: B006
    only: Only = [],  # noqa: B006
    workers: Workers = ALL_CORES,
    as_json: AsJson = False,
) -> None:
    """Estimate the core-hours, time and bytes of a campaign, from rates measured on this machine."""
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
    dataset: Dataset,
    no_verify: NoVerify = False,
    as_json: AsJson = False,
) -> None:
    """Show the progress of a campaign, also while it runs; the exit status is 1 if a sample is damaged."""
    from glassformer.cli.tables import print_status
    from glassformer.simulate.status import campaign_status

    found = campaign_status(dataset, not no_verify, print_note)
    if as_json:
        print(json.dumps(found.as_json(), indent=1))
    else:
        print_status(found)
    integrity.advise_repair(dataset, found.damaged)


@app.command()
@resumable
def quench(
    dataset: Dataset,
    workers: Workers = ALL_CORES,
    walltime: Walltime = "",
) -> None:
    """Compute the inherent structures of a dataset's configurations, which some networks read."""
    from glassformer.simulate.quench import quench_dataset

    with stopped_in_time(walltime), progress() as stages:
        done = quench_dataset(dataset, stages, workers)
    found = counted(done.found, "inherent structure")
    console.print(f"{found} found; {done.there} {'was' if done.there == 1 else 'were'} in the dataset already")
    if done.found:
        drop = done.start_energy - done.energy
        console.print(
            f"mean energy per particle: {done.start_energy:.4f} in the configurations, {done.energy:.4f} in their"
            f" inherent structures, {drop:.4f} lower"
        )


app.command()(cage)
app.command()(learn.train)
app.command()(learn.predict)
app.command()(learn.evaluate)
app.command()(propensity)
app.command()(leaderboard)


@app.command()
def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder that contains data/ and training/.", show_default=False)
    ],
) -> None:
    """Write the report DIR/report/index.html and its figures from DIR/data and DIR/training."""
    from glassformer.report.build import build_report

    console.print(str(build_report(folder)), soft_wrap=True)


app.command()(integrity.verify)
app.command()(integrity.repair)
app.command()(files.info)
app.command("import")(files.import_)
app.command()(files.export)
app.command()(files.ends)


app.command()(analyse)
app.command()(baselines)
app.command()(learn.networks)
app.command()(mixtures)


@app.command("mode-coupling")
def mode_coupling(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write to.", show_default=False)],
    couplings: Annotated[
        str,
        typer.Option(
            metavar="NUMBERS",
            help="Values of the coupling a, separated by commas, such as 3.9,4,4.1; a glass for a >= 4.",
            show_default="some on both sides of 4",
        ),
    ] = "",
) -> None:
    """Solve the schematic mode-coupling equation; write its correlators as tables (CSV) and a figure."""
    from glassformer.report.mode_coupling import COUPLINGS, write_correlators

    try:
        wanted = [float(text) for text in couplings.split(",")] if couplings else COUPLINGS
    except ValueError:
        raise SettingsError(
            f"got couplings '{couplings}'; expected numbers", "For example --couplings 3.9,4,4.1."
        ) from None
    console.print(str(write_correlators(out, wanted)), soft_wrap=True)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check the installation and what is optional, and say how to fix what does not work."""
    from glassformer.cli.doctor import examine, print_findings

    if not print_findings(examine(), as_json):
        raise typer.Exit(1)
