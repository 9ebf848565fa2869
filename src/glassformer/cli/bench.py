"""The bench commands: speed and memory compared with a named peer in the same run."""

import contextlib
import functools
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, ParamSpec

import typer

from glassformer.cli.console import errors, progress, resumable
from glassformer.cli.options import AsJson, Group, flag
from glassformer.core.cores import cores
from glassformer.core.errors import SettingsError
from glassformer.core.words import counted

if TYPE_CHECKING:
    from benchmarks.network_task import Shape
    from benchmarks.networks import Call
    from glassformer.core.progress import Progress

bench = typer.Typer(cls=Group, help="Measure speed and compare it with other codes.", no_args_is_help=True)

# What published timings use; fewer on a machine that has fewer.
TWO_CORES = min(2, cores())

Particles = Annotated[int, typer.Option(min=5, metavar="N", help="Particles per configuration.")]
Neighbors = Annotated[int, typer.Option(min=1, metavar="K", help="Neighbours per particle.")]
Batch = Annotated[int, typer.Option(min=1, metavar="N", help="Configurations per batch.")]
Rounds = Annotated[int, typer.Option(min=1, metavar="N", help="Repetitions per contender.")]
Threads = Annotated[int, typer.Option(min=1, metavar="N", help="CPU threads of each contender.")]
Precision = Annotated[
    Literal["float32", "bf16"],
    typer.Option(metavar="TYPE", help="Precision of glassformer's network: float32 or bf16. Peers use float32."),
]
KerasPython = Annotated[
    str | None,
    typer.Option(
        metavar="PYTHON",
        help="Python with TensorFlow, to compare with Keras; or set GLASSFORMER_KERAS_PYTHON.",
        show_default="this one",
    ),
]


Given = ParamSpec("Given")


def of_checkout(command: Callable[Given, None]) -> Callable[Given, None]:
    """Return `command` such that it may import `benchmarks`: the folder beside src, which no installed package has.

    It raises `SettingsError` where there is none.
    """

    @functools.wraps(command)
    def wrapped(*args: Given.args, **kwargs: Given.kwargs) -> None:
        root = Path(__file__).resolve().parents[3]
        if not (root / "benchmarks" / "peers").is_dir():
            raise SettingsError(
                "the benchmarks are not part of the installed package; they run from a checkout of the repository",
                "Clone the repository and install it from there: pip install -e .",
            )
        if str(root) not in sys.path:
            sys.path.insert(0, str(root))
        command(*args, **kwargs)

    return wrapped


def _stages(as_json: bool) -> "contextlib.AbstractContextManager[Progress]":
    from glassformer.core.progress import Silent

    return contextlib.nullcontext(Silent()) if as_json else progress()


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1))


@bench.command("isoconfigurational")
@resumable
@of_checkout
def isoconfigurational(
    steps: Annotated[int, typer.Option(min=100, metavar="N", help="Steps of lockstep.")] = 20_000,
    rounds: Annotated[int, typer.Option(min=1, metavar="N", help="Rounds in which the engines take turns.")] = 5,
    decay: Annotated[
        bool, flag("--decay", "Also measure how the ratio changes with time at T = 0.44, 0.50, 0.56.")
    ] = False,
    until: Annotated[float, typer.Option(min=2, metavar="TIME", help="Last time of --decay.")] = 100.0,
    as_json: AsJson = False,
) -> None:
    """Compare lockstep with LAMMPS: 16 draws of 4096 particles at T = 0.44, one core each."""
    if rounds > steps:
        raise SettingsError(
            f"got {counted(rounds, 'round')} and {counted(steps, 'step')}; expected at least one step per round",
            "Ask for fewer rounds.",
        )
    from benchmarks.isoconfigurational import compare
    from benchmarks.isoconfigurational import decay as follow_decay
    from glassformer.cli.bench_tables import print_comparison, print_decay

    with _stages(as_json) as stages:
        comparison = compare(steps, rounds, stages)
        decays = [follow_decay(temperature, until, stages) for temperature in (0.44, 0.50, 0.56)] if decay else []
    if as_json:
        _print_json(comparison.as_json() | {"decay": [asdict(one) for one in decays]})
    else:
        print_comparison(comparison)
        print_decay(decays)


@bench.command("gpu")
@resumable
@of_checkout
def gpu(
    configurations: Annotated[
        list[int], typer.Option(min=1, metavar="N", help="Configurations of 32 draws run together. Repeatable.")
    ] = [1, 8, 64],  # noqa: B006
    steps: Annotated[int, typer.Option(min=1, metavar="N", help="Steps per round.")] = 1000,
    rounds: Annotated[int, typer.Option(min=1, metavar="N", help="Repetitions per number.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Measure lockstep on a GPU, in atom-steps per second."""
    from benchmarks.gpu import measure
    from glassformer.cli.bench_tables import print_gpu_speeds

    with _stages(as_json) as stages:
        speeds = [measure(number, steps, rounds, stages) for number in configurations]
    if as_json:
        _print_json([asdict(speed) for speed in speeds])
    else:
        print_gpu_speeds(speeds)


@bench.command("train-step")
@resumable
@of_checkout
def train_step(
    particles: Particles = 4096,
    neighbors: Neighbors = 20,
    batch: Batch = 2,
    rounds: Rounds = 5,
    threads: Threads = TWO_CORES,
    precision: Precision = "float32",
    keras_python: KerasPython = None,
    as_json: AsJson = False,
) -> None:
    """Compare a training step of ParticleNet with the same network in Keras and in plain torch."""
    from benchmarks.network_task import Shape

    _compare("train_step", Shape(particles, neighbors, batch, threads, precision), rounds, keras_python, as_json)


@bench.command("predict")
@resumable
@of_checkout
def predict(
    particles: Particles = 4096,
    neighbors: Neighbors = 20,
    batch: Batch = 2,
    rounds: Rounds = 5,
    threads: Threads = TWO_CORES,
    precision: Precision = "float32",
    keras_python: KerasPython = None,
    as_json: AsJson = False,
) -> None:
    """Compare a prediction of ParticleNet, from positions to outputs, with Keras and plain torch."""
    from benchmarks.network_task import Shape

    _compare("predict", Shape(particles, neighbors, batch, threads, precision), rounds, keras_python, as_json)


def _compare(call: "Call", shape: "Shape", rounds: int, keras_python: str | None, as_json: bool) -> None:
    from benchmarks.networks import compare
    from glassformer.cli.bench_tables import print_networks

    with _stages(as_json) as stages:
        comparison = compare(call, shape, rounds, keras_python, stages)
    if as_json:
        _print_json(comparison.as_json())
    else:
        print_networks(comparison)
    if comparison.keras_missing:
        errors.print(comparison.keras_missing, soft_wrap=True)


@bench.command("neighbors")
@resumable
@of_checkout
def neighbors(
    particles: Particles = 4096,
    neighbors: Neighbors = 20,
    rounds: Rounds = 5,
    threads: Threads = TWO_CORES,
    as_json: AsJson = False,
) -> None:
    """Compare the search for neighbours in feature space with torch.cdist and with SciPy's k-d tree."""
    from benchmarks.feature_neighbors import compare_searches
    from glassformer.cli.bench_tables import print_searches

    with _stages(as_json) as stages:
        searches = compare_searches(particles, neighbors, threads, rounds, stages)
    if as_json:
        _print_json(searches.as_json())
    else:
        print_searches(searches)


@bench.command("cost")
@resumable
@of_checkout
def cost(
    particles: Annotated[
        list[int], typer.Option(min=5, metavar="N", help="Particles per configuration. Repeatable.")
    ] = [1000, 4096, 16_000, 64_000],  # noqa: B006
    neighbors: Neighbors = 20,
    batch: Batch = 1,
    rounds: Rounds = 3,
    threads: Threads = TWO_CORES,
    precision: Precision = "float32",
    as_json: AsJson = False,
) -> None:
    """Measure how time and memory of ParticleNet grow with N, in training and in prediction."""
    from benchmarks.cost_by_size import measure_costs
    from benchmarks.network_task import Shape
    from glassformer.cli.bench_tables import print_costs

    with _stages(as_json) as stages:
        costs = measure_costs(particles, Shape(0, neighbors, batch, threads, precision), rounds, stages)
    if as_json:
        _print_json(costs.as_json())
    else:
        print_costs(costs)
