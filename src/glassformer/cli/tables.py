"""Results as rows of text."""

import math
from typing import TYPE_CHECKING, Any

from glassformer.cli.console import console, print_table
from glassformer.dataset.summary import StatePointSummary
from glassformer.evaluate.evaluation import Evaluation

if TYPE_CHECKING:
    from collections.abc import Sequence

    # Importing it takes half a second, for numba, which other commands do not need.
    from glassformer.report.comparison import Comparison as PublishedComparison
    from glassformer.simulate.plan import Plan
    from glassformer.simulate.status import Status


# A liquid has some by chance, about one in a thousand.
CRYSTALLISED = 0.05


def print_summary(summaries: list[StatePointSummary]) -> None:
    """Print what a dataset holds and how well it was equilibrated."""
    print_table(
        ["state point", "samples", "density", "tau_alpha", "held, in tau_alpha", "in equilibrium"],
        [
            [
                row.label,
                f"{row.configurations} x {row.draws}",
                f"{row.density:.4f}",
                number(row.hold_tau_alpha if math.isnan(row.tau_alpha) else row.tau_alpha, 1),
                f"{row.equilibration_time:g}, {number(row.equilibration_in_tau_alpha, 1)}",
                f"{row.in_equilibrium} of {row.configurations}",
            ]
            for row in summaries
        ],
    )
    crystals = [row for row in summaries if row.crystalline_fraction > CRYSTALLISED]
    for row in crystals:
        console.print(
            f"{row.label}: up to {row.crystalline_fraction:.0%} of a configuration's particles have crystalline"
            " surroundings",
            style="yellow",
        )


def print_plan(plan: "Plan") -> None:
    """Print what a campaign costs."""
    rates = plan.rates
    console.print(
        f"one core: {rates.equilibration:,.0f} steps/s of LAMMPS to equilibrate, {rates.draws:,.0f} steps/s of draws by"
        f" {rates.engine}"
    )
    print_table(
        ["state point", "configs", "draws", "equilibration", "draws take", "files"],
        [
            [
                cost.label,
                str(cost.configurations),
                str(cost.draws),
                f"{_span(cost.equilibration_hours, cost.most_equilibration_hours)} h",
                f"{_hours(cost.draw_hours)} h",
                _size(cost.bytes),
            ]
            for cost in plan.costs
        ],
    )
    console.print(
        f"In all {_span(*plan.core_hours)} core-hours, {_size(plan.bytes)};"
        f" on {plan.workers} cores {_wall(*plan.wall_hours)}."
    )
    console.print(
        "From ... to: holding ends after two windows at best, at worst when its budget is used up. Draws in lockstep"
        " become slower as they drift apart: long runs of a hot liquid take longer than said.",
        style="dim",
    )


def _span(least: float, most: float) -> str:
    low, high = _hours(least), _hours(most)
    return low if low == high else f"{low} to {high}"


def _wall(least: float, most: float) -> str:
    if most < 2:
        return f"{_span(60 * least, 60 * most)} minutes"
    return f"{_span(least, most)} hours" if most < 72 else f"{_span(least / 24, most / 24)} days"


def _hours(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _size(size: int) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000  # type: ignore[assignment]
    return f"{size:,.1f} TB"


def print_status(status: "Status") -> None:
    """Print how a campaign stands."""
    print_table(
        ["state point", "asked", "done", "in equilibrium", "begun", "missing"],
        [
            [
                point.label,
                *(str(n) for n in (point.asked, point.done, point.in_equilibrium, len(point.begun), point.missing)),
            ]
            for point in status.points
        ],
    )
    for point in status.points:
        for line in point.begun:
            console.print(f"{point.label}/{line}")
    console.print("A run is going on." if status.running else "No run is going on.")


def print_fits(fits: list[dict[str, Any]]) -> None:
    """Print every fit in a line."""
    for fit in fits:
        if "failed" in fit:
            console.print(f"{fit['fit']}, {fit['state_point']}: not fitted: {fit['failed']}", style="dim")
            continue
        names = [name for name in fit if name not in ("fit", "state_point") and not name.endswith("_error")]
        values = [f"{name} = {fit[name]:.4g} +- {fit[f'{name}_error']:.1g}" for name in names]
        console.print(f"{fit['fit']}, {fit['state_point']}: {', '.join(values)}")


def print_published_comparison(found: "list[PublishedComparison]") -> None:
    """Print how far a dataset lies from published curves."""
    print_table(
        ["state point", "times", "A", "at t", "B", "at t", "density", "held", "published"],
        [
            [
                one.label,
                str(len(one.times)),
                f"{one.largest[0]:.1f}",
                f"{one.when[0]:.3g}",
                f"{one.largest[1]:.1f}",
                f"{one.when[1]:.3g}",
                f"{one.density:.4f}",
                number(one.held_density, 4),
                "" if one.published_density is None else f"{one.published_density:.3f}",
            ]
            for one in found
        ],
    )
    console.print(
        "A, B: largest difference of the mean MSD from the published mean, in published standard deviations of one run."
        " held: mean density of the last two windows of holding.",
        style="dim",
    )


def print_evaluation(evaluation: Evaluation) -> None:
    """Print MAE and R^2 of the network beside its baselines, and how well it sorts particles."""
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
    scored = "draws of configurations that it saw" if evaluation.leaked else "configurations that the network never saw"
    console.print(
        f"MAE and R2 of {evaluation.label} for {scored}. (mean): the state-point mean instead of the network; (rho): a"
        " line in the density; R2 max: what the draws' noise leaves possible.",
        style="dim",
    )
    _print_particle_scores(evaluation)
    if evaluation.leaked:
        console.print(
            "LEAKED: the split was by draw, so the network was trained on other draws of these very structures. The"
            " scores say nothing of structures that it has not seen.",
            style="bold red",
        )
    print_notices(evaluation.notices)
    if evaluation.left_out:
        console.print(f"{evaluation.left_out} configurations were seen in training and are not scored.")


def print_notices(notices: "Sequence[str]") -> None:
    """Print where a network was used outside what it was trained on."""
    for notice in notices:
        console.print(f"warning: {notice}", style="yellow", markup=False, soft_wrap=True)


def _print_particle_scores(evaluation: Evaluation) -> None:
    rows = [(row, letter, score) for row in evaluation.rows for letter, score in row.particles.items()]
    if not rows:
        return
    console.print()
    print_table(
        ["state point", "t", "species", "n", "Pearson", "+-", "max"],
        [
            [
                row.state_point,
                f"{row.time:g}",
                letter,
                str(row.configurations),
                *(number(value, 3) for value in (score.pearson, score.pearson_error, score.pearson_ceiling)),
            ]
            for row, letter, score in rows
        ],
    )
    console.print(
        "Pearson: correlation of predicted and simulated displacements over the particles of a configuration, the mean"
        " over configurations; max: what the draws' noise leaves possible, where the data tell.",
        style="dim",
    )


def number(value: float, decimals: int, signed: bool = False) -> str:
    """Return `value`, with its sign in any case if `signed`, or 'n/a' for NaN."""
    return "n/a" if math.isnan(value) else f"{value:{'+' if signed else ''}.{decimals}f}"
