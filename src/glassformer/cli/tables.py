"""Results as rows of text."""

import math
from typing import TYPE_CHECKING, Any

from glassformer.cli.console import console, number, print_table
from glassformer.cli.particle_tables import print_particle_scores
from glassformer.core.words import counted, some_of
from glassformer.dataset.facts import MOST_DRIFT
from glassformer.dataset.species import DIMENSIONS
from glassformer.dataset.summary import StatePointSummary
from glassformer.evaluate.evaluation import Evaluation

if TYPE_CHECKING:
    from collections.abc import Sequence

    # Importing it takes half a second, for numba, which other commands do not need.
    from glassformer.evaluate.published import Comparison as PublishedComparison
    from glassformer.simulate.plan import Plan
    from glassformer.simulate.status import Status


# In a liquid about one particle in a thousand has such surroundings by chance.
CRYSTALLISED = 0.05


def print_summary(summaries: list[StatePointSummary]) -> None:
    """Print what a dataset holds and how well it was equilibrated."""
    first = " or ".join(dict.fromkeys(row.species[0] for row in summaries))
    for line in dict.fromkeys(map(_mixture, summaries)):
        console.print(line, markup=False)
    print_table(
        ["state point", "samples", "density", "tau_alpha", "held", "held / tau_alpha", "in equilibrium"],
        [
            [
                row.label,
                f"{row.configurations} x {row.draws or ('n/a' if row.means else 0)}",
                f"{row.density:.4f}",
                number(row.hold_tau_alpha if math.isnan(row.tau_alpha) else row.tau_alpha, 1),
                "n/a" if math.isnan(row.equilibration_time) else f"{row.equilibration_time:g}",
                number(row.equilibration_in_tau_alpha, 1),
                row.shown,
            ]
            for row in summaries
        ],
    )
    console.print(
        f"samples: configurations x draws; tau_alpha: time at which F_s of {first} falls to 1/e; held: time spent at"
        " the state point before the draws, the shortest of any configuration.",
        style="dim",
    )
    for row in summaries:
        if row.bare:
            console.print(f"{row.label}: {bare_structures(row.bare, row.configurations)}.", style="dim")
        if row.means:
            which = "" if row.means == row.configurations else f" of {row.means} of {row.configurations} configurations"
            console.print(f"{row.label}: only mean propensities{which}, without MSD and F_s.", style="dim")
    crystals = [row for row in summaries if row.crystalline_fraction > CRYSTALLISED]
    for row in crystals:
        console.print(
            f"{row.label}: up to {row.crystalline_fraction:.0%} of a configuration's particles have crystalline"
            " surroundings",
            style="yellow",
        )
    for row in summaries:
        if row.conserving_energy < row.configurations:
            console.print(
                f"{row.label}: in {row.configurations - row.conserving_energy} of"
                f" {counted(row.configurations, 'configuration')} draws do not conserve energy: it changed by up to"
                f" {row.energy_drift:.2g} per particle, more than {MOST_DRIFT:g}. The time step is too long.",
                style="yellow",
            )


def bare_structures(number_of: int, configurations: int) -> str:
    """Return the words that say how many of the configurations have no draws."""
    what = "is a bare structure" if number_of == 1 else "are bare structures"
    return f"{number_of} of {counted(configurations, 'configuration')} {what}, without draws"


def _mixture(row: StatePointSummary) -> str:
    """Return 'mixture: kob-andersen, A:B = 80:20, three dimensions'."""
    parts = [row.mixture, DIMENSIONS[row.dimension]]
    if len(row.species) > 1:
        parts.insert(1, f"{':'.join(row.species)} = {row.composition}")
    return f"mixture: {', '.join(parts)}"


def not_in_equilibrium(number_of: int, samples: int) -> str:
    """Return the line that says how many of the configurations used were not shown to be in equilibrium."""
    verb = "was" if number_of == 1 else "were"
    of = f"{number_of} of {counted(samples, 'configuration')}"
    return f"{of} {verb} not shown to be in equilibrium; {'it is' if number_of == 1 else 'they are'} used anyway"


def print_plan(plan: "Plan") -> None:
    """Print what a campaign costs."""
    rates, unit, on_device = plan.rates, plan.unit, plan.unit == "device"
    what, equilibrated = ("this device", "") if on_device else ("one core", " (LAMMPS)")
    console.print(
        f"{what}: {rates.equilibration:,.0f} steps/s in equilibration{equilibrated}, {rates.draws:,.0f} draw steps/s"
        f" ({rates.engine}){plan.source}"
    )
    print_table(
        ["state point", "configs", "draws", "window", f"equilibration, {unit}-hours", f"draws, {unit}-hours", "files"],
        [
            [
                cost.label,
                str(cost.configurations),
                str(cost.draws),
                _hours(cost.window),
                hours_span(cost.equilibration_hours, cost.most_equilibration_hours),
                _hours(cost.draw_hours),
                file_size(cost.bytes),
            ]
            for cost in plan.costs
        ],
    )
    console.print(
        f"Estimate: {hours_span(*plan.core_hours)} {unit}-hours and {file_size(plan.bytes)} in total;"
        f" {wall_time(*plan.wall_hours)} on {'this device' if on_device else counted(plan.workers, 'core')}."
    )
    console.print(f"Draws, shortest way first: {ways_to_draw(plan)}.")
    if not on_device:
        console.print(
            f"With any number of cores: at least {wall_time(*plan.longest_hours)}; a configuration takes one core."
        )
    number = "two" if plan.most_windows == 2 else f"two to {plan.most_windows}"
    held = (
        f"window: time of holding at the state point ({plan.windows}), in LJ units; an equilibration takes {number}"
        " (most_windows). "
    )
    console.print(
        f"{held if plan.windows else ''}Draws in lockstep become slower as they diverge: long runs of a hot liquid take"
        " longer than estimated.",
        style="dim",
    )


def ways_to_draw(plan: "Plan") -> str:
    """Return what the draws cost with each engine that was measured, the cheapest first."""
    ways = sorted(plan.draw_hours.items(), key=lambda item: item[1])
    units = {"cuda": "device"}
    return "; ".join(f"{name}, {_hours(hours)} {units.get(name, 'core')}-hours" for name, hours in ways)


def hours_span(least: float, most: float) -> str:
    """Return numbers of hours, or of any unit: '0.5 to 12'; one if they look the same."""
    low, high = _hours(least), _hours(most)
    return low if low == high else f"{low} to {high}"


def wall_time(least: float, most: float) -> str:
    """Return a time from `least` to `most` hours in minutes, hours or days."""
    if most < 2:
        return f"{hours_span(60 * least, 60 * most)} minutes"
    return f"{hours_span(least, most)} hours" if most < 72 else f"{hours_span(least / 24, most / 24)} days"


def _hours(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def file_size(size: int) -> str:
    """Return a number of bytes in its unit: '1.2 GB'."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000  # type: ignore[assignment]
    return f"{size:,.1f} TB"


def print_status(status: "Status") -> None:
    """Print how a campaign stands."""
    print_table(
        ["state point", "asked for", "done", "in equilibrium", "started", "not started"],
        [
            [
                point.label,
                str(point.asked),
                str(point.done),
                "not examined" if point.in_equilibrium is None else str(point.in_equilibrium),
                str(len(point.begun)),
                str(point.missing),
            ]
            for point in status.points
        ],
    )
    for point in status.points:
        for line in point.begun:
            console.print(f"{point.label}/{line}")
    _print_damaged([line for point in status.points for line in point.damaged])
    unread = sum(point.unread for point in status.points)
    if unread:
        console.print(
            f"{counted(unread, 'sample')} not read: counted as done without a check of their contents.", style="dim"
        )
    if len(status.runs) > 1:
        console.print(f"{len(status.runs)} runs are in progress: {', '.join(status.runs)}.")
    else:
        console.print("A run is in progress." if status.running else "No run is in progress.")


def _print_damaged(lines: list[str]) -> None:
    if lines:
        console.print(f"{counted(len(lines), 'damaged sample')}:", style="bold red")
        for line in some_of(lines):
            console.print(line, soft_wrap=True)


def print_fits(fits: list[dict[str, Any]]) -> None:
    """Print one line per fit."""
    for fit in fits:
        if "failed" in fit:
            console.print(f"{fit['fit']}, {fit['state_point']}: not fitted: {fit['failed']}", style="dim")
            continue
        names = [name for name in fit if name not in ("fit", "state_point") and not name.endswith("_error")]
        values = [f"{name} = {fit[name]:.4g} {_with_error(fit[f'{name}_error'])}" for name in names]
        console.print(f"{fit['fit']}, {fit['state_point']}: {', '.join(values)}")
    if any("failed" not in fit for fit in fits):
        console.print("+-: standard error of the fit.", style="dim")


def _with_error(error: float) -> str:
    return "(error not known)" if math.isnan(error) else f"+- {error:.1g}"


def print_published_comparison(found: "list[PublishedComparison]") -> None:
    """Print how far a dataset lies from published curves."""
    names = max((one.species for one in found), key=len)
    print_table(
        [
            "state point",
            "times",
            *(text for name in names for text in (name, f"{name} at t")),
            "density",
            "density held",
            "density published",
        ],
        [
            [
                one.label,
                str(len(one.times)),
                *_largest(one, len(names)),
                f"{one.density:.4f}",
                number(one.held_density, 4),
                "" if one.published_density is None else f"{one.published_density:.3f}",
            ]
            for one in found
        ],
    )
    console.print(
        f"{', '.join(names)}: largest difference of the mean MSD from the published mean, in published standard"
        " deviations of one run. density held: mean of the last two windows of holding.",
        style="dim",
    )


def _largest(one: "PublishedComparison", columns: int) -> list[str]:
    cells = [text for most, when in zip(one.largest, one.when, strict=True) for text in (f"{most:.1f}", f"{when:.3g}")]
    return cells + [""] * (2 * columns - len(cells))


def print_evaluation(evaluation: Evaluation, legend: bool = True) -> None:
    """Print MAE and R^2 of the network beside its baselines, and how well it sorts particles.

    Without `legend`, the columns are explained above. MAE and R^2 are left out where nothing is there to compare with:
    propensity models predict single particles.
    """
    of_means = any(not math.isnan(row.models["state_point_mean"].mae) or not row.particles for row in evaluation.rows)
    if of_means:
        _print_means(evaluation, legend)
    print_particle_scores(evaluation, gap=of_means)
    if evaluation.leaked:
        console.print(
            "LEAKED: the split was by draw, so the network was trained on other draws of the same structures. These"
            " scores say nothing about structures that it has not seen.",
            style="bold red",
        )
    print_notices(evaluation.notices)
    if evaluation.left_out:
        seen = counted(evaluation.left_out, "configuration")
        past, present = ("was", "is") if evaluation.left_out == 1 else ("were", "are")
        console.print(f"{seen} {past} seen in training and {present} not scored.")
    if evaluation.without_draws:
        bare = counted(evaluation.without_draws, "configuration")
        verbs = ("has", "is") if evaluation.without_draws == 1 else ("have", "are")
        console.print(f"{bare} {verbs[0]} no draws to compare with and {verbs[1]} not scored.")


def _print_means(evaluation: Evaluation, legend: bool) -> None:
    """Print MAE and R^2 of the means of configurations."""
    print_table(
        ["state point", "t", "n", "MAE", "MAE (mean)", "MAE (rho)", "R2", "R2 (mean)", "R2 (rho)", "R2 max"],
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
    meaning = (
        f"MAE and R2 of {evaluation.label} for {scored}; n: configurations. (mean): the state-point mean instead of the"
        " network; (rho): a linear function of the density; R2 max: the highest R2 that the noise of the draws allows."
    )
    if legend:
        console.print(meaning, style="dim")


def print_notices(notices: "Sequence[str]") -> None:
    """Print where a network was used outside what it was trained on."""
    for notice in notices:
        console.print(f"warning: {notice}", style="yellow", markup=False, soft_wrap=True)
