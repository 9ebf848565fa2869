"""The last lines of the demo: what was found, in words, and what to try next."""

import math
from collections.abc import Sequence
from pathlib import Path

from glassformer.cli.console import console
from glassformer.core.words import counted
from glassformer.dataset.summary import StatePointSummary
from glassformer.evaluate.evaluation import ALL, Evaluation, Row
from glassformer.evaluate.held_out import HeldOutRow


def print_findings(
    summaries: Sequence[StatePointSummary],
    rows: Sequence[HeldOutRow],
    evaluations: tuple[Evaluation, Evaluation],
    species: str,
    page: Path,
) -> None:
    """Print one paragraph on each act of the demo, where the report is, and commands for a structure of one's own."""
    for title, text in (
        ("The liquid", liquid(summaries)),
        ("Which particles will move", particles(rows)),
        ("How far a whole configuration moves", whole(*evaluations, species)),
    ):
        console.print(f"{title}. {text}\n")
    console.print("Figures, and a view of the particles that can be turned, are in the report:")
    console.print(f"  {page}\n", soft_wrap=True)
    console.print("Next, with a structure of your own (LAMMPS, extended XYZ, GSD and others):")
    console.print(
        "  glassformer propensity FILE --mixture kob-andersen --temperature 0.44 --report page.html", soft_wrap=True
    )
    console.print(
        "  glassformer analyse TRAJECTORY --time-step 0.005 --mixture kob-andersen --report page.html", soft_wrap=True
    )


def liquid(summaries: Sequence[StatePointSummary]) -> str:
    """Return how many configurations are in equilibrium, and how fast each state point relaxes."""
    shown, every = (sum(getattr(row, name) for row in summaries) for name in ("in_equilibrium", "configurations"))
    times = [
        f"{row.tau_alpha:.2g} at {row.label}" if math.isfinite(row.tau_alpha) else f"not reached at {row.label}"
        for row in sorted(summaries, key=lambda row: row.temperature)
    ]
    return (
        f"{shown} of {counted(every, 'configuration')} are shown to be in equilibrium. Relaxation time tau_alpha of"
        f" {summaries[0].species[0]} particles: {', '.join(times)}."
    )


def particles(rows: Sequence[HeldOutRow]) -> str:
    """Return the correlations of the first species at the last time, beside their ceiling and the best baseline."""
    first = [row for row in rows if row.species == rows[0].species]
    last = max(row.time for row in first)
    cases, wins = sum(len(row.pearson) for row in first), sum(row.wins for row in first)
    found = [
        f"{row.score.pcc_mean:.2f} at {row.state_point}"
        f" (best single descriptor: {row.baselines[row.best].mean():.2f}; noise ceiling: {row.score.ceiling:.2f})"
        for row in first
        if row.time == last
    ]
    return (
        f"In configurations that were left out, predicted and simulated propensities of {rows[0].species}"
        f" particles at t = {last:g} have a Pearson correlation of {' and '.join(found)}. Over all times, the"
        f" prediction is better than every single descriptor in {wins} of {cases} cases."
    )


def whole(particlenet: Evaluation, structure_aware: Evaluation, species: str) -> str:
    """Return how well both networks predict a configuration's mean, beside the mean of its state point."""
    rows, others = ([row for row in one.rows if row.state_point != ALL] for one in (particlenet, structure_aware))
    mean, density = (_mean_error(rows, name) for name in ("state_point_mean", "density_fit"))
    first, second = _mean_error(rows, "network"), _mean_error(others, "network")
    text = (
        f"Mean absolute error of ln MSD of {species} particles, for configurations that no network saw: {mean:.3f} for"
        f" the mean of the state point, {density:.3f} for the density alone, {first:.3f} for ParticleNet, which reads"
        f" the neighbors' positions, and {second:.3f} for a structure-aware network, which also reads each particle's"
        " energy in the structure and in the inherent structure."
    )
    better = sum(row.models["network"].mae < row.models["state_point_mean"].mae for row in others)
    if better > len(others) / 2:
        return (
            f"{text} Structure tells more than the state point does: its error is smaller in {better} of {len(others)}"
            " cases."
        )
    return f"{text} So few configurations do not teach the networks more than the state point tells."


def _mean_error(rows: Sequence[Row], name: str) -> float:
    return sum(row.models[name].mae for row in rows) / len(rows)
