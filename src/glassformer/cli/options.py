"""What the commands' options have in common, and how their help looks."""

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperArgument, TyperGroup

from glassformer.cli import completion
from glassformer.cli.examples import example
from glassformer.core.cores import cores

ALL_CORES = cores()
# Columns of a terminal that a table of options needs.
NARROW = 60


def flag(name: str, help_text: str) -> Any:
    """Return an option that is given or not: it takes no value, so its help names none."""
    return typer.Option(name, metavar="", help=help_text, show_default=False)


class Group(TyperGroup):
    """A group of commands whose help names values, such as DIR, not types of Python, and ends with an example."""

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option --help."""
        return _without_type(super().get_help_option(ctx))

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options; those of shell completion take no value, which Typer's own help would name."""
        found: list[Any] = super().get_params(ctx)
        for parameter in found:
            if parameter.name in _COMPLETION:
                parameter.metavar, parameter.help = "", _COMPLETION[parameter.name]
        return found

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; in a narrow terminal without tables, as that of commands."""
        columns = shutil.get_terminal_size().columns
        if columns < NARROW:
            self.rich_markup_mode, formatter.width = None, columns
        super().format_help(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands in a narrow terminal, each with the first paragraph of its help, as in a wide one."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, (one.help or "").strip().partition("\n\n")[0]) for name, one in commands if one is not None]
            )

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command called `cmd_name`, or None."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            # The option is made once and kept by the command.
            _without_type(command.get_help_option(ctx))
            _fit(command)
            command.epilog = example(cmd_name if ctx.parent is None else f"{self.name} {cmd_name}")
            for parameter in command.params:
                if isinstance(parameter, TyperArgument):
                    # Its name in capitals says what it is; the type beside it would be <str> or <list[str]>.
                    parameter.display_type_rich = lambda ctx: None  # type: ignore[method-assign]
        return command


_COMPLETION = {
    "install_completion": "Install completion for your shell.",
    "show_completion": "Print the completion script.",
}


def _fit(command: Any) -> None:
    """In a narrow terminal, write the help without tables, which would cut off names of options."""
    columns = shutil.get_terminal_size().columns
    if columns < NARROW and not isinstance(command, Group):
        command.rich_markup_mode = None
        command.context_settings["terminal_width"] = columns


def _without_type(option: Any) -> Any:
    if option is not None:
        option.metavar, option.help = "", "Show this help and exit."
    return option


Workers = Annotated[int, typer.Option(min=1, metavar="N", help="Cores to use.", show_default="all")]
Threads = Annotated[int, typer.Option(min=1, metavar="N", help="CPU threads to use.", show_default="all")]
Walltime = Annotated[
    str,
    typer.Option(
        "--walltime",
        metavar="TIME",
        help="Stop in time before the job ends, such as 4h or 12:00:00 from now.",
        show_default="end of the SLURM job",
    ),
]
AsJson = Annotated[bool, flag("--json", "Print JSON instead of tables.")]
NoVerify = Annotated[
    bool, flag("--no-verify", "Count samples that are not in the index as complete, without reading them.")
]
Dataset = Annotated[Path, typer.Argument(metavar="DATASET", help="Dataset folder.", show_default=False)]
CampaignArgument = Annotated[
    str,
    typer.Argument(
        metavar="CAMPAIGN",
        help="Campaign file (TOML), or name of a shipped campaign.",
        autocompletion=completion.campaigns,
    ),
]
Changes = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as schedule.until=20. Repeatable."),
]
Only = Annotated[
    list[str],
    typer.Option(
        metavar="LABEL",
        help="Only this state point, such as T0.50_P1.55 or T0.50. Repeatable.",
        autocompletion=completion.state_points,
    ),
]
# What a file of another code may not say itself.
MixtureOfFile = Annotated[
    str,
    typer.Option(
        "--mixture",
        metavar="MIXTURE",
        help="Mixture: one that ships, or a file (TOML).",
        show_default="stated in the file",
        autocompletion=completion.mixtures,
    ),
]
TemperatureOfFile = Annotated[
    float | None,
    typer.Option("--temperature", metavar="T", help="Temperature in LJ units.", show_default="stated in the file"),
]
SpeciesOfTypes = Annotated[
    str,
    typer.Option("--species", metavar="MAP", help="Species of each type, such as 1=A,2=B.", show_default="in order"),
]
