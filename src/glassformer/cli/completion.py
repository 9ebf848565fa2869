"""Shell completion: the names of what ships with the package, and files of the current folder that may replace them."""

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from textwrap import shorten

import typer

from glassformer.core.errors import GlassformerError
from glassformer.core.layout import MODEL_SUFFIX, OTHER_HDF5_FILES, SAMPLE_SUFFIX
from glassformer.core.parsl_runner import ready_configs
from glassformer.core.presets import (
    campaign_presets,
    load_campaign,
    mixture_presets,
    network_presets,
    recipe_presets,
    run_presets,
    shipped_models,
    study_presets,
)

# A name and what it means; zsh and fish show both.
Names = list[tuple[str, str]]
Completion = Callable[[str], Names]
# Longest meaning, so that it fits into a line beside the longest name.
WIDTH = 60


def _or_file(shipped: Callable[[], dict[str, str]], suffix: str) -> Completion:
    """Return a function that offers the names of `shipped`, and the files of the current folder with this suffix.

    Where nothing fits, such as a path into another folder, the shell completes paths itself.
    """

    def complete(incomplete: str) -> Names:
        files = {path.name: "" for path in sorted(Path().glob(f"*{suffix}"))}
        return _starting(shipped() | files, incomplete)

    return complete


def _one_of(names: Iterable[str]) -> Completion:
    def complete(incomplete: str) -> Names:
        return _starting(dict.fromkeys(names, ""), incomplete)

    return complete


def _starting(meanings: dict[str, str], incomplete: str) -> Names:
    # One line for each: a sentence may go on after its colon.
    return [
        (name, shorten(meaning.partition(":")[0].removesuffix("."), WIDTH, placeholder="..."))
        for name, meaning in meanings.items()
        if name.startswith(incomplete)
    ]


def _runs_and_recipes() -> dict[str, str]:
    return run_presets() | recipe_presets()


def _models() -> dict[str, str]:
    return dict.fromkeys(shipped_models(), "")


def _configs() -> dict[str, str]:
    return dict.fromkeys(ready_configs(), "")


def _holds_samples(folder: Path) -> bool:
    """Tell by the names of its files alone, for speed."""
    return any(path.name not in OTHER_HDF5_FILES for path in folder.glob(f"[!.]*{SAMPLE_SUFFIX}"))


def state_points(ctx: typer.Context, incomplete: str) -> Names:
    """Return the labels of the state points of the campaign, or of the datasets of `train`, on the command line."""
    # An option without its value, the one to complete, ends the parsing before arguments get their names.
    given = [ctx.params.get("campaign", ""), *map(str, ctx.params.get("datasets", [])), *ctx.args]
    labels: list[str] = []
    if ctx.info_name == "train":
        folders = [folder for one in given if one for folder in sorted(Path(one).glob("*/"))]
        labels = [folder.name for folder in folders if _holds_samples(folder)]
    elif any(given):
        with contextlib.suppress(GlassformerError):
            labels = [point.label for point in load_campaign(next(filter(None, given))).state_points]
    return _starting(dict.fromkeys(labels, ""), incomplete)


campaigns = _or_file(campaign_presets, ".toml")
configs = _or_file(_configs, ".py")
formats = _one_of(("extxyz", "gsd", "lammps", "npz"))
frames = _one_of(("first", "last", "all"))
mixtures = _or_file(mixture_presets, ".toml")
models = _or_file(_models, MODEL_SUFFIX)
networks = _or_file(network_presets, ".toml")
runs = _or_file(_runs_and_recipes, ".toml")
scales = _one_of(("demo", "small", "full"))
studies = _or_file(study_presets, ".toml")
