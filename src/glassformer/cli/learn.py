"""The commands around networks: train, predict, evaluate, networks."""

import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from glassformer.cli import completion
from glassformer.cli.console import console, print_file, print_table, progress, resumable
from glassformer.cli.options import ALL_CORES, AsJson, Only, Threads, Walltime, flag
from glassformer.core.errors import SettingsError
from glassformer.core.walltime import stopped_in_time
from glassformer.core.words import counted

Device = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option(metavar="DEVICE", help="auto (a GPU if there is one), cpu or cuda."),
]


@resumable
def train(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Run file or recipe (TOML), or name of a shipped one.",
            show_default=False,
            autocompletion=completion.runs,
        ),
    ] = "",
    datasets: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATASET",
            help="Dataset folder. A recipe accepts several, with different times.",
            show_default=False,
        ),
    ] = [],  # noqa: B006
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for models and predictions.", show_default=False)
    ] = None,
    network: Annotated[
        str,
        typer.Option(
            metavar="NETWORK",
            help="Network that replaces the run's own: a file (TOML), or name of a shipped network.",
            show_default=False,
            autocompletion=completion.networks,
        ),
    ] = "",
    start: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="MODEL", help="Model file whose weights training starts from.", show_default=False
        ),
    ] = None,
    only: Only = [],  # noqa: B006
    threads: Threads = ALL_CORES,
    processes: Annotated[
        int, typer.Option(min=1, metavar="N", help="Processes that train one network together, such as one per GPU.")
    ] = 1,
    distributed: Annotated[
        bool, flag("--distributed", "Be one of the processes that srun or torchrun started, on one or more nodes.")
    ] = False,
    device: Device = "auto",
    memory: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="GB",
            help="Memory per machine for samples and graphs; what does not fit is read again in every epoch.",
            show_default="half of what is free",
        ),
    ] = None,
    walltime: Walltime = "",
    allow_unequilibrated: Annotated[
        bool, flag("--allow-unequilibrated", "Also use configurations that are not in equilibrium.")
    ] = False,
    list_them: Annotated[bool, flag("--list", "List the runs that ship with glassformer.")] = False,
    as_json: Annotated[bool, flag("--json", "Print scores and paths as JSON, and progress to standard error.")] = False,
    show: Annotated[bool, flag("--show", "Print the run file, as a template to edit.")] = False,
) -> None:
    """Train a network or a propensity model on a dataset, with cross-validation over configurations."""
    from glassformer.core.presets import RECIPES, RUNS, find, is_recipe, load_recipe, recipe_presets, run_presets

    if list_them:
        rows = [[name, what] for name, what in (run_presets() | recipe_presets()).items()]
        print_table(["run or recipe", "description"], rows, ["left", "left"])
        return
    if not run:
        raise SettingsError("no run was given", "Give a file, or the name of a shipped one: glassformer train --list.")
    recipe = is_recipe(run)
    if show:
        print_file(find(RECIPES if recipe else RUNS, run))
        return
    if not datasets:
        raise SettingsError("no dataset was given", "Give its folder: glassformer train RUN DATASET --out DIR.")
    if out is None:
        raise SettingsError("no folder for models and predictions was given", "Give it with --out DIR.")
    if recipe:
        if start is not None:
            raise SettingsError("got --from with a recipe; only networks start from weights", "Leave --from out.")
        if distributed:
            raise SettingsError("got --distributed with a recipe; one process trains it", "Leave --distributed out.")
        from glassformer.cli.propensity_training import train_and_print

        with stopped_in_time(walltime):
            train_and_print(load_recipe(run).learning_from(only), datasets, out, threads, as_json)
        return
    if only:
        raise SettingsError(
            "got --only with a run of networks; it is for recipes of propensity models",
            "Put the state points into a folder of their own.",
        )
    from glassformer.cli.network_training import Machine, train_and_score
    from glassformer.core.run import load_run

    machine = Machine(threads, processes, device, distributed, memory)
    with stopped_in_time(walltime):
        train_and_score(load_run(run, network), datasets, out, machine, allow_unequilibrated, start, as_json)


def predict(
    checkpoint: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="Model file written by train.", show_default=False),
    ],
    structures: Annotated[
        Path,
        typer.Argument(
            metavar="FILE-OR-FOLDER",
            help="Sample file, folder of sample files, or dataset; draws are not needed.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Prediction file to write (HDF5).", show_default=False)],
    strict: Annotated[bool, flag("--strict", "Refuse configurations outside the range of the training data.")] = False,
    network: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Network of your own, package.module:Class, that the model file may import.",
            show_default=False,
        ),
    ] = "",
    device: Device = "auto",
) -> None:
    """Predict the dynamics of configurations with a trained network, at the times it was trained for."""
    from glassformer.cli.tables import bare_structures, print_notices
    from glassformer.core.errors import PredictionError
    from glassformer.dataset.folder import read_samples
    from glassformer.dataset.predictions import refuse_to_replace, write_predictions
    from glassformer.train.checkpoint import read_model
    from glassformer.train.device import choose_device
    from glassformer.train.prediction import predict as run_model

    refuse_to_replace(out)
    place = choose_device(device)
    model, samples = read_model(checkpoint, allowed=(network,)), read_samples(structures)
    predictions = run_model(model, samples, device=place)
    if strict and predictions.notices:
        raise PredictionError("\n".join(predictions.notices), "Leave these out, or predict without --strict.")
    write_predictions(out, predictions)
    seen = sum(role != "test" for role in predictions.roles)
    print_notices(predictions.notices)
    predicted = counted(len(samples), "configuration")
    console.print(f"{predicted} predicted, {seen} of them seen in training: {out}", soft_wrap=True)
    bare = sum(sample.ensemble is None for sample in samples)
    if bare:
        words = bare_structures(bare, len(samples))
        console.print(f"{words}: there is nothing to compare {'its' if bare == 1 else 'their'} prediction with.")


def evaluate(
    predictions: Annotated[
        Path,
        typer.Argument(metavar="PREDICTIONS", help="Prediction file written by train or predict.", show_default=False),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET",
            help="Dataset that was predicted; adds correlation lengths.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score the predictions for configurations that the network had not seen in training."""
    from glassformer.cli.tables import print_evaluation
    from glassformer.dataset.predictions import read_predictions
    from glassformer.dataset.structures import structures_by_fingerprint
    from glassformer.evaluate.evaluation import evaluate as score

    predicted = read_predictions(predictions)
    evaluation = score(predicted, None if data is None else structures_by_fingerprint(data))
    if as_json:
        print(json.dumps(evaluation.as_json(), indent=1))
    else:
        print_evaluation(evaluation)


def networks(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="NETWORK",
            help="Files (TOML), names of networks that ship, or package.module:Class.",
            show_default="all that ship",
            autocompletion=completion.networks,
        ),
    ] = [],  # noqa: B006
    particles: Annotated[int, typer.Option(min=1, metavar="N", help="Particles per configuration.")] = 4096,
    measured: Annotated[bool, flag("--measure", "Measure seconds and memory on this machine.")] = False,
    threads: Threads = ALL_CORES,
    as_json: AsJson = False,
    show: Annotated[bool, flag("--show", "Print the file of one NETWORK, as a template to edit.")] = False,
    check: Annotated[bool, flag("--check", "Test one NETWORK: invariances, gradients, odd structures.")] = False,
) -> None:
    """List the shipped networks and their cost, or test a network, shipped or your own."""
    from glassformer.core.presets import NETWORKS, find
    from glassformer.core.progress import Silent

    if (show or check) and len(sources) != 1:
        option = "--show" if show else "--check"
        raise SettingsError(
            f"got {counted(len(sources), 'network')} with {option}; expected one", "Name one: glassformer networks."
        )
    if show:
        print_file(find(NETWORKS, sources[0]))
        return
    from glassformer.cli.networks import check_one, network_costs, print_networks

    if check:
        check_one(sources[0], as_json)
        return

    with contextlib.nullcontext(Silent()) if as_json else progress() as stages:
        costs = network_costs(sources, particles, threads, measured, stages)
    if as_json:
        print(json.dumps([asdict(cost) for cost in costs], indent=1))
    else:
        print_networks(costs)
