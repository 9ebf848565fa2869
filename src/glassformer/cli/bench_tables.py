"""Results of the benchmarks as rows of text."""

from typing import TYPE_CHECKING

import numpy as np

from glassformer.cli.console import console, print_table
from glassformer.core.words import counted

if TYPE_CHECKING:
    from benchmarks.cost_by_size import Costs
    from benchmarks.feature_neighbors import Searches
    from benchmarks.gpu import GpuSpeed
    from benchmarks.isoconfigurational import Comparison, Decay
    from benchmarks.networks import Comparison as NetworkComparison


def print_comparison(comparison: "Comparison") -> None:
    """Print how fast lockstep and its peers ran, and the ratios."""
    draws, particles = counted(comparison.draws, "draw"), counted(comparison.particles, "particle")
    console.print(
        f"{comparison.configuration}; {draws} of {particles}, {counted(comparison.steps, 'step')}, one core each;"
        f" {comparison.host}; {comparison.lammps}"
    )
    rows = []
    for name, speed in comparison.speed.items():
        ratios = None if name == "lockstep" else comparison.ratios(name)
        rows.append(
            [
                name,
                f"{speed.median / 1e6:.2f}",
                f"{speed.energy_drift:.1e}",
                "" if ratios is None else f"{np.median(ratios):.1f}",
                "" if ratios is None else f"{ratios.min():.1f} to {ratios.max():.1f}",
                "" if ratios is None else f"{comparison.ratio_with_compilation(name):.1f}",
            ]
        )
    print_table(["engine", "M atom-steps/s", "energy drift", "ratio", "range", "with compilation"], rows)
    console.print(
        f"ratio: speed of lockstep divided by that of the engine, median of the rounds. Pairs per particle:"
        f" {comparison.pairs_first:.1f} at the start, {comparison.pairs_last:.1f} at the end. Compilation took"
        f" {comparison.compile_seconds:.1f} s. energy drift: per particle, the largest of lockstep's draws over all"
        " steps, and that of one LAMMPS draw over a quarter of them.",
        style="dim",
    )


def print_decay(decays: "list[Decay]") -> None:
    """Print how the speedup of lockstep falls with time."""
    for decay in decays:
        console.print(f"\nT = {decay.temperature:.2f}: lockstep over lj/cut/opt")
        print_table(
            ["t", "pairs per particle", "ratio"],
            [
                [f"{moment:.3g}", f"{pairs:.0f}", f"{ratio:.1f}"]
                for moment, pairs, ratio in zip(decay.times, decay.pairs, decay.ratios, strict=True)
            ],
        )


def print_gpu_speeds(speeds: "list[GpuSpeed]") -> None:
    """Print speeds by number of configurations."""
    console.print(
        f"{speeds[0].device}; {speeds[0].configuration}; {counted(speeds[0].draws, 'draw')}, N = {speeds[0].particles}"
    )
    print_table(
        ["configurations", "M atom-steps/s", "range", "share of the limit", "energy drift"],
        [
            [
                str(speed.configurations),
                f"{speed.atom_steps_per_second / 1e6:.0f}",
                f"{speed.least / 1e6:.0f} to {speed.greatest / 1e6:.0f}",
                f"{speed.share_of_limit:.0%}",
                f"{speed.energy_drift:.1e}",
            ]
            for speed in speeds
        ],
    )


def print_networks(comparison: "NetworkComparison") -> None:
    """Print time and memory of ParticleNet and its peers, and their ratios."""
    shape = comparison.shape
    console.print(
        f"{comparison.call.replace('_', ' ')}: N = {shape.particles}, k = {shape.neighbors}, batches of {shape.batch},"
        f" {counted(shape.threads, 'thread')}; {comparison.host}; first graph {comparison.first_graph}"
    )
    rows = []
    for name, contest in comparison.contests.items():
        ratios = None if name == "glassformer" else comparison.speedups(name)
        rows.append(
            [
                name,
                _decimals(comparison.seconds(name), 3),
                "" if ratios is None else f"{np.median(ratios):.2f}",
                "" if ratios is None else f"{ratios.min():.2f} to {ratios.max():.2f}",
                _gigabytes(contest.peak_bytes),
                _gigabytes(contest.increase_bytes),
                "" if ratios is None else _decimals(comparison.memory_ratio(name), 2),
            ]
        )
    print_table(["network", "s per config", "speedup", "range", "peak GB", "rise GB", "memory ratio"], rows)
    _print_agreement(comparison)
    if comparison.sgemm:
        console.print(
            f"The {comparison.network_gflop:.0f} GFLOP of the layers would take"
            f" {np.median(comparison.sgemm_shares()):.0%} of the time of glassformer's step at the speed of a matrix"
            f" product on this machine, {np.median(comparison.sgemm):.0f} GFLOP/s."
        )
    console.print(
        "speedup: time of the network divided by that of glassformer, median of the rounds; peak: memory of the whole"
        " process; rise: above the memory before the first call; memory ratio: peak of glassformer divided by that of"
        " the network.",
        style="dim",
    )


def _print_agreement(comparison: "NetworkComparison") -> None:
    for name in comparison.contests:
        outputs, losses = comparison.output_difference(name), comparison.loss_difference(name)
        if name != "glassformer" and outputs is not None:
            of_losses = "" if losses is None else f", and the losses of the first steps by {losses:.0e}"
            console.print(f"{name}: the first outputs differ by {outputs:.0e} of the largest output{of_losses}.")


def print_searches(searches: "Searches") -> None:
    """Print the time of each neighbour search, and where its result differs from the exact one."""
    console.print(
        f"N = {searches.particles}, k = {searches.neighbors}, {counted(searches.threads, 'thread')}; {searches.host}"
    )
    rows = []
    for one in searches.by_channels:
        for name, search in one.searches.items():
            ratios = None if name == "glassformer" else one.speedups(name)
            rows.append(
                [
                    f"{one.channels}, {one.features}",
                    name,
                    f"{np.median(search.seconds):.3f}",
                    "" if ratios is None else f"{np.median(ratios):.2f}",
                    "" if ratios is None else f"{ratios.min():.2f} to {ratios.max():.2f}",
                    str(search.differing),
                    f"{search.excess:.0e}",
                ]
            )
    headings = ["C, features", "method", "s", "speedup", "range", "differ", "excess"]
    print_table(headings, rows, ["left", "left", "right", "right", "right", "right", "right"])
    console.print(
        "speedup: time of the method divided by that of glassformer; differ: particles whose neighbours are not those"
        " that the k-d tree finds in float64; excess: relative error of the squared distance to the farthest of these.",
        style="dim",
    )


def print_costs(costs: "Costs") -> None:
    """Print time and memory by N."""
    shape = costs.shape
    console.print(f"k = {shape.neighbors}, batches of {shape.batch}, {counted(shape.threads, 'thread')}; {costs.host}")
    rows = []
    for size in costs.sizes:
        for name, cost in (("predict", size.predict), ("train step", size.train_step)):
            if cost is not None:
                rows.append(
                    [
                        str(size.particles),
                        name,
                        f"{cost.seconds:.3g}",
                        _decimals(cost.exponent, 2),
                        f"{cost.neighbor_share:.0%}",
                        _gigabytes(cost.peak_bytes),
                        _gigabytes(cost.increase_bytes),
                    ]
                )
    headings = ["N", "call", "s per config", "exponent", "in neighbours", "peak GB", "rise GB"]
    print_table(headings, rows, ["right", "left", "right", "right", "right", "right", "right"])
    for size in costs.sizes:
        if size.failed:
            console.print(f"N = {size.particles}: {size.failed}", style="yellow", soft_wrap=True)
    console.print(
        "exponent: of the time as a power of N, from the previous size; in neighbours: share of the time spent on"
        " finding neighbours in feature space; rise: above the memory before the first call.",
        style="dim",
    )


def _decimals(value: float | None, decimals: int) -> str:
    return "" if value is None else f"{value:.{decimals}f}"


def _gigabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e9:.2f}"
