"""What `simulate` needs on a cluster: parts of a campaign, Parsl, and files for sbatch."""

import math
import re
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassformer.cli import completion
from glassformer.cli.options import CampaignArgument, Changes, Only
from glassformer.core.errors import EngineError, SettingsError
from glassformer.core.words import counted

if TYPE_CHECKING:
    from glassformer.core.campaign import Campaign
    from glassformer.core.parsl_runner import Runner
    from glassformer.simulate.campaign import Choice

Parsl = Annotated[
    str,
    typer.Option(
        "--parsl",
        metavar="FILE",
        help="Run on Parsl: a Python file that defines config, or workstation, slurm, nodes or gpu.",
        show_default="processes of this machine",
        autocompletion=completion.configs,
    ),
]
SBATCH = """\
#!/bin/bash
#SBATCH --job-name=glassformer
#SBATCH --array=1-{array}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={cores}
#SBATCH --time={time}
#SBATCH --output=glassformer-%A_%a.log
#SBATCH --open-mode=append
# The run stops itself before the time is up (exit status 75). Submit the same file again: it continues.
#SBATCH --signal=B:TERM@60
{more}{about}
export OMP_NUM_THREADS=1
exec {command} --part "$SLURM_ARRAY_TASK_ID/{parts}" --workers "$SLURM_CPUS_PER_TASK" --walltime {time}
"""


def choice(part: str, verify: bool) -> "Choice":
    """Return which tasks `--part` asks for: '3/40' is the third of forty parts. Raises `SettingsError`."""
    from glassformer.simulate.campaign import Choice

    if not part:
        return Choice(verify=verify)
    found = re.fullmatch(r"(\d+)/(\d+)", part)
    number, parts = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= parts:
        raise SettingsError(f"got --part {part}; expected K/N with K from 1 to N", "For example --part 3/40.")
    return Choice(number, parts, verify=verify)


def refuse_workers(context: typer.Context, parsl: str) -> None:
    """Raise `SettingsError` if `--workers` is given with `--parsl`, where it would say nothing."""
    if parsl and workers_given(context):
        raise SettingsError(
            f"got --workers {context.params['workers']} and --parsl {parsl}, whose configuration sets the number of"
            " workers",
            f"Omit --workers, or change the configuration: glassformer simulate --parsl {parsl} --show.",
        )


def workers_given(context: typer.Context) -> bool:
    """Tell whether `--workers` is on the command line."""
    source = context.get_parameter_source("workers")
    return source is not None and source.name == "COMMANDLINE"


def runner(parsl: str) -> "Runner | None":
    """Return what runs tasks by the Parsl configuration `parsl`, or None if that is empty. Raises `SettingsError`."""
    if not parsl:
        return None
    from glassformer.core.parsl_runner import config_file, load_config, run_on_parsl

    path = config_file(parsl)
    # Mistakes are reported before anything starts.
    load_config(path)
    return partial(run_on_parsl, path)


def sbatch(
    campaign: CampaignArgument,
    out: Annotated[Path, typer.Option(metavar="DATASET", help="Folder for the dataset.", show_default=False)],
    parts: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Number of jobs in the array.", show_default="as many as fit into the wall time"
        ),
    ] = None,
    nodes: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Number of jobs that run at a time, at most; each takes one node or part of one.",
            show_default="all",
        ),
    ] = None,
    cores: Annotated[int, typer.Option(min=1, metavar="N", help="Cores per job.")] = 1,
    time: Annotated[
        str, typer.Option(metavar="TIME", help="Wall time per job, such as 4h, or in a format of SLURM.")
    ] = "24:00:00",
    directives: Annotated[
        list[str],
        typer.Option(
            "--directive", metavar="TEXT", help="Another option of sbatch, such as --partition=long. Repeatable."
        ),
    ] = [],  # noqa: B006
    rate: Annotated[
        float | None,
        typer.Option(
            min=1.0,
            metavar="STEPS",
            help="Draw steps per second of one core of the cluster (engine cuda: of one GPU), as `plan` prints them.",
            show_default="measured on this machine",
        ),
    ] = None,
    changes: Changes = [],  # noqa: B006
    only: Only = [],  # noqa: B006
) -> None:
    """Print a batch script for SLURM: a job array in which each job simulates part of a campaign."""
    from glassformer.core.presets import load_campaign
    from glassformer.core.walltime import seconds_of, slurm_time

    # A mistake is told now, and not by forty jobs.
    settings, seconds, about = load_campaign(campaign, changes, only), seconds_of(time), ""
    if parts is None:
        parts, about = _parts(settings, out, cores, seconds, rate)
    source = str(Path(campaign).absolute()) if Path(campaign).is_file() else campaign
    options = [option for value in changes for option in ("--set", value)]
    options += [option for value in only for option in ("--only", value)]
    command = [sys.executable, "-m", "glassformer", "simulate", source, "--out", str(out.absolute()), *options]
    if settings.engine == "cuda" and not any(re.match("--(gpus|gres)|-G", text) for text in directives):
        directives = [*directives, "--gpus=1"]
    more = "".join(f"#SBATCH {text}\n" for text in directives)
    array = str(parts) if nodes is None or nodes >= parts else f"{parts}%{nodes}"
    script = SBATCH.format(
        array=array, parts=parts, cores=cores, time=slurm_time(seconds), more=more, about=about,
        command=shlex.join(command),
    )  # fmt: skip
    print(script, end="")


def _parts(settings: "Campaign", out: Path, cores: int, walltime: float, rate: float | None) -> tuple[int, str]:
    """Return how many parts fit into the `walltime` in seconds, and a comment on why. Raises as `plan_parts` does."""
    from glassformer.core.progress import Silent
    from glassformer.core.walltime import usable
    from glassformer.simulate.draws import check_engine, engine_of
    from glassformer.simulate.parts import plan_parts

    if rate is None:
        try:
            check_engine(settings)
        except EngineError as error:
            raise EngineError(
                f"{error.problem}: the rate of the cluster's nodes cannot be measured here",
                "Give the draw steps per second that glassformer plan prints on one of the nodes with --rate STEPS, or"
                " the number of jobs with --parts N.",
            ) from None
    hours = usable(walltime) / 3600
    parts = plan_parts(settings, out if out.exists() else None, cores, hours, Silent(), rate)
    source = "measured where this file was made" if rate is None else "given"
    unit = "GPU" if engine_of(settings) == "cuda" else "core"
    rates = f"{parts.rate:,.0f} draw steps per second and {unit} ({source})"
    longest = f"{parts.hours:.3g} of {hours:.3g} hours on {counted(1 if unit == 'GPU' else cores, unit)}"
    times = math.ceil(parts.hours / hours)
    again = f" Longer than the wall time: submit {times} times." if times > 1 else ""
    return parts.number, (
        f"# At most {parts.core_hours:.3g} {unit}-hours, at {rates}.\n"
        f"# The longest part takes at most {longest}.{again}\n"
    )
