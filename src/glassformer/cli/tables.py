"""Results as rows of text."""

import math

from glassformer.cli.console import console, print_table
from glassformer.dataset.summary import StatePointSummary
from glassformer.evaluate.evaluation import Evaluation


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


def number(value: float, decimals: int) -> str:
    """Return `value`, or 'n/a' for NaN."""
    return "n/a" if math.isnan(value) else f"{value:.{decimals}f}"
