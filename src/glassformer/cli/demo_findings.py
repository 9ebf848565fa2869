"""The last lines of the demo: what was found, in words, and what to try next."""

import math
from collections.abc import Sequence
from pathlib import Path

from glassformer.cli.console import console
from glassformer.core.words import counted
from glassformer.dataset.predictions import Predictions
from glassformer.dataset.summary import StatePointSummary
from glassformer.evaluate.evaluation import ALL, Evaluation
from glassformer.evaluate.held_out import HeldOutRow


def print_findings(
    summaries: Sequence[StatePointSummary],
    rows: Sequence[HeldOutRow],
    evaluation: Evaluation,
    predictions: Predictions,
    page: Path,
) -> None:
    """Print one paragraph on each act of the demo, where the report is, and commands for a structure of one's own."""
    for title, text in (
        ("The liquid", liquid(summaries)),
        ("Which particles will move", particles(rows)),
        ("How far a whole configuration moves", whole(evaluation, predictions.species)),
    ):
        console.print(f"{title}. {text}\n")
    console.print("Figures, and a view of the particles that can be turned, are in the report:")
    console.print(f"  {page}\n", soft_wrap=True)
    console.print("Next, with a structure of your own (LAMMPS, extended XYZ, GSD and others):")
    console.print(
        "  glassformer propensity FILE --mixture kob-andersen --temperature 0.44 --report page.html", soft_wrap=True
    )
    console.print("  glassformer analyse TRAJECTORY --mixture kob-andersen --time-step 0.005", soft_wrap=True)


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


def whole(evaluation: Evaluation, species: str) -> str:
    """Return whether the network predicts a configuration's mean better than the mean of its state point does."""
    rows = [row for row in evaluation.rows if row.state_point != ALL]
    better = sum(row.models["network"].mae < row.models["state_point_mean"].mae for row in rows)
    network, mean = (sum(row.models[name].mae for row in rows) / len(rows) for name in ("network", "state_point_mean"))
    text = (
        f"ParticleNet predicts ln MSD of {species} particles for configurations that it never saw with a mean absolute"
        f" error of {network:.2f}; the mean of each state point, learned from the same configurations, has {mean:.2f}."
    )
    if better < len(rows) / 2:
        text += " So few configurations do not teach it more than the state point itself tells."
    return text
