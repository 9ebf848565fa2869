"""The whole path at a small size: simulate, train, evaluate, report; it can be stopped at any moment and resumed."""

import json
import time
from pathlib import Path

from glassformer.cli.console import console, duration, progress
from glassformer.core.campaign import Campaign
from glassformer.core.files import write_atomically
from glassformer.core.layout import STRUCTURE_AWARE, OutFolder
from glassformer.core.progress import Progress
from glassformer.core.recipe import Recipe
from glassformer.core.run import Run
from glassformer.core.runs import exclusive
from glassformer.core.settings import load_settings
from glassformer.core.temporaries import remove_temporaries
from glassformer.core.words import counted


def run_demo(
    out: Path, campaign_file: Path, run_file: Path, structure_aware: Path, recipe: Recipe, workers: int
) -> None:
    """Run the whole path into `out`: data/, propensity/, training/, report/ and results.json.

    `structure_aware`: the run file of the second network, which may read inherent structures.
    """
    began = time.monotonic()
    campaign = load_settings(campaign_file, Campaign)
    run, second = (load_settings(path, Run) for path in (run_file, structure_aware))
    with exclusive(out):
        remove_temporaries(out)
        remove_temporaries(OutFolder(out).report.path)
        with progress() as stages:
            _simulate(campaign, out, workers, stages)
            _train(run, second, recipe, out, workers, stages)
        _report(out)
    console.print(f"\nThe demo took {duration(time.monotonic() - began)}.")


def _simulate(campaign: Campaign, out: Path, workers: int, stages: Progress) -> None:
    from glassformer.simulate.campaign import run_campaign

    points = counted(len(campaign.state_points), "state point")
    each, draws = counted(campaign.configurations, "configuration"), counted(campaign.draws, "draw")
    console.print(f"{campaign.mixture.name}, N = {campaign.particles}: {points} x {each} x {draws}")
    run_campaign(campaign, OutFolder(out).data, stages, workers)


def _train(run: Run, second: Run, recipe: Recipe, out: Path, workers: int, stages: Progress) -> None:
    # Only now: importing torch and numba takes seconds, and the workers of the simulation do without.
    from glassformer.cli.demo_training import train_networks
    from glassformer.cli.propensity_act import train_propensities

    # First, for it finds the inherent structures.
    train_propensities(recipe, out, workers, stages)
    train_networks(run, second, out, workers, stages)


def _report(out: Path) -> None:
    """Write the report and the numbers, and print both in short."""
    from glassformer.cli.demo_findings import print_findings
    from glassformer.cli.propensity_act import print_held_out
    from glassformer.cli.tables import print_evaluation, print_summary
    from glassformer.dataset.folder import read_dataset
    from glassformer.dataset.held_out import read_held_out
    from glassformer.dataset.predictions import read_predictions
    from glassformer.dataset.summary import summarise
    from glassformer.evaluate.evaluation import evaluate
    from glassformer.evaluate.held_out import held_out_rows
    from glassformer.report.build import build_report

    page = build_report(out)
    summaries = summarise(read_dataset(OutFolder(out).data))
    trainings = OutFolder(out).training(), OutFolder(out).training(STRUCTURE_AWARE)
    predictions = [read_predictions(training.predictions) for training in trainings]
    first, second = map(evaluate, predictions)
    rows = held_out_rows([read_held_out(path) for path in OutFolder(out).held_out()])
    results = {
        "data": [summary.as_json() for summary in summaries],
        "propensity": [row.as_json() for row in rows],
        "scores": first.as_json(),
        "structure_aware": second.as_json(),
    }
    write_atomically(OutFolder(out).results, (json.dumps(results, indent=1) + "\n").encode())
    console.print()
    print_summary(summaries)
    console.print()
    print_held_out(rows)
    console.print()
    console.print("ParticleNet:")
    print_evaluation(first)
    console.print("\nStructure-aware network:")
    print_evaluation(second, legend=False)
    console.print(f"\nThe numbers: {OutFolder(out).results}\n", soft_wrap=True)
    print_findings(summaries, rows, (first, second), predictions[0].species, page)
