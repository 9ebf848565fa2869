"""Scores of single particles as tables."""

from collections.abc import Iterator, Sequence
from typing import Any

from glassformer.cli.console import console, number, print_table
from glassformer.evaluate.evaluation import Evaluation


def print_particle_scores(evaluation: Evaluation, gap: bool = True) -> None:
    """Print what there is: correlations, uncertainties, chi_4 and lengths; with `gap`, below an empty line."""
    _print(
        evaluation, "particles", ["PCC", "std. error", "pooled", "Spearman", "ceiling", "ratio"],
        ["pcc_mean", "pcc_error", "pcc_pooled", "spearman", "ceiling", "ratio"], 3,
        "PCC: Pearson's correlation of predicted and simulated values over the particles of a configuration, the mean"
        " over n configurations, with its standard error; pooled: over the particles of all of them together. Spearman:"
        " the same of ranks. ceiling: the PCC that perfect predictions would have, given the noise of few draws; ratio:"
        " PCC / ceiling.", gap,
    )  # fmt: skip
    _print(
        evaluation, "uncertainty", ["within 1 s", "within 2 s", "<z^2>", "rank correlation"],
        ["within_1_sigma", "within_2_sigma", "mean_squared_z", "rank_correlation"], 3,
        "s: stated uncertainty; z = error / s. Gaussian errors of the stated width: .683, .954 and 1. Rank correlation:"
        " of s with |error|.",
    )  # fmt: skip
    _print(
        evaluation, "chi_4", ["chi_4 predicted", "std. error", "simulated", "std. error", "noise"],
        ["prediction", "prediction_error", "label", "label_error", "noise"], 2,
        "chi_4 = N var(q) over configurations, q: mean over particles. noise: the part of the simulated"
        " one that comes from few draws. A perfect prediction has simulated - noise.",
    )  # fmt: skip
    _print(
        evaluation, "lengths", ["xi predicted", "std. error", "simulated", "std. error"],
        ["prediction", "prediction_error", "label", "label_error"], 2,
        "xi: correlation length of the mobility, in sigma_AA, from G_4(r).",
    )  # fmt: skip


def _print(
    evaluation: Evaluation,
    table: str,
    headings: list[str],
    names: Sequence[str],
    decimals: int,
    note: str,
    gap: bool = True,
) -> None:
    """Print one table of `Row`, if any row has it, with what its columns mean."""
    rows = [
        [
            point,
            time,
            species,
            str(score.n_configurations),
            *(number(getattr(score, name), decimals) for name in names),
        ]
        for point, time, species, score in _scores(evaluation, table)
    ]
    if not rows:
        return
    if gap:
        console.print()
    print_table(["state point", "t", "species", "n", *headings], rows)
    console.print(note, style="dim")


def _scores(evaluation: Evaluation, table: str) -> Iterator[tuple[str, str, str, Any]]:
    for row in evaluation.rows:
        for species, score in getattr(row, table).items():
            yield row.state_point, f"{row.time:g}", species, score
