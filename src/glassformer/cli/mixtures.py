"""The mixtures that ship."""

import json
from typing import Annotated

import typer

from glassformer.cli import completion
from glassformer.cli.console import console, print_file, print_table
from glassformer.cli.options import AsJson, flag
from glassformer.core.errors import SettingsError
from glassformer.core.mixture import ratio
from glassformer.core.presets import MIXTURES, find, load_mixture, mixture_presets
from glassformer.core.words import counted


def mixtures(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="MIXTURE",
            help="Files (TOML), or names of mixtures that ship.",
            show_default="all that ship",
            autocompletion=completion.mixtures,
        ),
    ] = [],  # noqa: B006
    as_json: AsJson = False,
    show: Annotated[bool, flag("--show", "Print the file of one MIXTURE, as a template to edit.")] = False,
) -> None:
    """List the mixtures that ship with glassformer and can be named in campaigns."""
    if show:
        if len(names) != 1:
            raise SettingsError(
                f"got {counted(len(names), 'mixture')} with --show; expected one", "Name one: glassformer mixtures."
            )
        print_file(find(MIXTURES, names[0]))
        return
    meanings = mixture_presets()
    known = {name: load_mixture(name) for name in names or meanings}
    if as_json:
        rows = [
            {"meaning": meanings.get(name, "")} | mixture.model_dump(mode="json") for name, mixture in known.items()
        ]
        print(json.dumps(rows, indent=1))
        return
    print_table(
        ["mixture", "description", "species", "composition", "dimensions"],
        [
            [name, meanings.get(name, ""), ", ".join(mixture.species), ratio(mixture), str(mixture.dimension)]
            for name, mixture in known.items()
        ],
        ["left", "left", "left", "left", "right"],
    )
    console.print("composition: parts of each species, in numbers of particles.", style="dim")
