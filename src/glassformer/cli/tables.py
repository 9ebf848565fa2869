"""Results as rows of text."""

import math
from typing import TYPE_CHECKING

import numpy as np

from glassformer.cli.console import console, print_table
from glassformer.dataset.summary import StatePointSummary
from glassformer.evaluate.evaluation import Evaluation

if TYPE_CHECKING:
    # Importing it takes half a second, for numba, which other commands do not need.
    from glassformer.benchmark.gpu import GpuSpeed
    from glassformer.benchmark.isoconfigurational import Comparison, Decay


def print_summary(summaries: list[StatePointSummary]) -> None:
    """Print what a dataset holds and how well it was equilibrated."""
    print_table(
        ["state point", "configs x draws", "density", "tau_alpha", "held for", "in tau_alpha"],
        [
            [
                row.label,
                f"{row.configurations} x {row.draws}",
                f"{row.density:.4f}",
                number(row.tau_alpha, 1),
                f"{row.equilibration_time:g}",
                number(row.equilibration_in_tau_alpha, 1),
            ]
            for row in summaries
        ],
    )


def print_evaluation(evaluation: Evaluation) -> None:
    """Print MAE and R^2 of the network beside its baselines."""
    print_table(
        ["state point", "t", "n", "MAE", "(mean)", "(rho)", "R2", "(mean)", "(rho)", "R2 max"],
        [
            [
                row.state_point,
                f"{row.time:g}",
                str(row.configurations),
                *(number(score.mae, 3) for score in row.models.values()),
                *(number(score.r2, 2) for score in row.models.values()),
                number(row.r2_ceiling, 2),
            ]
            for row in evaluation.rows
        ],
    )
    console.print(
        "MAE and R2 of ln MSD_A for configurations that the network never saw. (mean): the state-point mean instead of"
        " the network; (rho): a line in the density; R2 max: what the draws' noise leaves possible.",
        style="dim",
    )
    if evaluation.left_out:
        console.print(f"{evaluation.left_out} configurations were seen in training and are not scored.")


def print_comparison(comparison: "Comparison") -> None:
    """Print how fast lockstep and its peers ran, and the ratios."""
    console.print(
        f"{comparison.configuration}; {comparison.draws} draws of {comparison.particles} particles, {comparison.steps}"
        f" steps, one core each; {comparison.host}; {comparison.lammps}"
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
        f"Ratio: lockstep's speed over this one's. Pairs a particle: {comparison.pairs_first:.1f} at first,"
        f" {comparison.pairs_last:.1f} at last; compilation took {comparison.compile_seconds:.1f} s. Energy drift a"
        " particle: the most of lockstep's draws over all steps, and one draw of LAMMPS over a quarter of them.",
        style="dim",
    )


def print_decay(decays: "list[Decay]") -> None:
    """Print how lockstep's advantage falls with time."""
    for decay in decays:
        console.print(f"\nT = {decay.temperature:.2f}: lockstep over lj/cut/opt")
        print_table(
            ["t", "pairs a particle", "ratio"],
            [
                [f"{moment:.3g}", f"{pairs:.0f}", f"{ratio:.1f}"]
                for moment, pairs, ratio in zip(decay.times, decay.pairs, decay.ratios, strict=True)
            ],
        )


def print_gpu_speeds(speeds: "list[GpuSpeed]") -> None:
    """Print speeds by number of configurations."""
    console.print(f"{speeds[0].device}; {speeds[0].configuration}; {speeds[0].draws} draws, N = {speeds[0].particles}")
    print_table(
        ["configurations", "M atom-steps/s", "range", "energy drift"],
        [
            [
                str(speed.configurations),
                f"{speed.atom_steps_per_second / 1e6:.0f}",
                f"{speed.least / 1e6:.0f} to {speed.greatest / 1e6:.0f}",
                f"{speed.energy_drift:.1e}",
            ]
            for speed in speeds
        ],
    )


def number(value: float, decimals: int) -> str:
    """Return `value`, or 'n/a' for NaN."""
    return "n/a" if math.isnan(value) else f"{value:.{decimals}f}"
