"""Run a study from the simulations to the report; it can be stopped at any moment and resumed."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from glassformer.cli.console import console, duration, number, print_table, progress
from glassformer.cli.tables import not_in_equilibrium
from glassformer.core.campaign import Campaign
from glassformer.core.errors import SettingsError, TrainingError
from glassformer.core.experiment import Scale, Study, load_study
from glassformer.core.files import write_atomically
from glassformer.core.layout import OutFolder, names_state_point
from glassformer.core.presets import load_campaign, study_presets
from glassformer.core.progress import Progress
from glassformer.core.runs import exclusive
from glassformer.core.temporaries import remove_temporaries
from glassformer.simulate.schedule import observation_steps, particle_steps

if TYPE_CHECKING:
    # Importing it takes seconds, for torch.
    from glassformer.core.parsl_runner import Runner
    from glassformer.evaluate.results import ExperimentResult


def run_study(
    study: Study, scale: str, only: Sequence[str], out: Path, workers: int, runner: "Runner | None" = None
) -> None:
    """Run what is missing of `study` in `out`: data/, cooling/, training/, report/ and results.json.

    `runner` does simulations and trainings elsewhere; inherent structures are sought on this machine.
    """
    began = time.monotonic()
    settings = study.at(scale)
    # Errors in the study are reported before hours are spent on data.
    check_study(study, scale, only)
    with exclusive(out):
        remove_temporaries(out)
        with progress() as stages:
            _simulate(settings, out, workers, stages, runner)
            results = _train(study, scale, only, out, workers, stages, runner)
        page, known = _report(study, scale, out)
    print_results(results, known, load_campaign(settings.campaign).mixture.species[0])
    failed = [one.name for one in study.chosen(only) if one.name not in {result.name for result in results}]
    if failed:
        raise TrainingError(
            f"{', '.join(failed)}: training failed; the others are finished: {page}",
            "If it diverged, a lower learning rate may help. Run one by itself with --only.",
        )
    console.print(f"\n{duration(time.monotonic() - began)}. The report: {page}", soft_wrap=True)
    console.print(f"The numbers: {OutFolder(out).results}", soft_wrap=True)


def _simulate(scale: Scale, out: Path, workers: int, stages: Progress, runner: "Runner | None") -> None:
    from glassformer.simulate.campaign import run_campaign
    from glassformer.simulate.quench import quench_dataset

    if scale.cooling:
        run_campaign(load_campaign(scale.cooling), OutFolder(out).cooling, stages, workers, runner=runner)
    run_campaign(load_campaign(scale.campaign), OutFolder(out).data, stages, workers, runner=runner)
    quench_dataset(OutFolder(out).data, stages, workers)


def _train(
    study: Study, scale: str, only: Sequence[str], out: Path, workers: int, stages: Progress, runner: "Runner | None"
) -> "list[ExperimentResult]":
    from glassformer.dataset.folder import read_dataset
    from glassformer.experiments.runner import run_experiments

    samples = read_dataset(OutFolder(out).data)
    ageing = sum(sample.facts.equilibrated is False for sample in samples)
    if ageing:
        stages.say(not_in_equilibrium(ageing, len(samples)))
    return run_experiments(study, scale, only, OutFolder(out).data, out, stages, workers, runner)


def _report(study: Study, scale: str, out: Path) -> "tuple[Path, list[ExperimentResult]]":
    """Write the page and results.json: of all experiments in `out`, whatever was run now. Return the page and them."""
    from glassformer.report.experiments import build_experiments_report, read_results

    # Those of other studies that lie in the folder have the order of their own.
    studies = [study, *(load_study(name) for name in study_presets())]
    order = list(dict.fromkeys(experiment.name for one in studies for experiment in one.experiments))
    page = build_experiments_report(out, order)
    results = read_results(out, order)
    values = {"scale": scale, "experiments": [result.as_json() for result in results]}
    write_atomically(OutFolder(out).results, (json.dumps(values, indent=1) + "\n").encode())
    return page, results


def check_study(study: Study, scale: str, only: Sequence[str]) -> None:
    """Check that the campaigns exist, and make the state points and times that the experiments ask for.

    Raises `SettingsError`.
    """
    settings = study.at(scale)
    campaign = load_campaign(settings.campaign)
    if settings.cooling:
        load_campaign(settings.cooling)
    labels = [point.label for point in campaign.state_points]
    observed = {head: _times(campaign, head) for head in ("system", "particle")}
    for experiment, run in study.runs(scale, only):
        missing = [name for name in experiment.train if not any(names_state_point(name, label) for label in labels)]
        if missing:
            raise SettingsError(
                f"experiment {experiment.name} trains on {missing[0]}; {settings.campaign} has {', '.join(labels)}",
                "Add the state point to the campaign, or leave the experiment out with --only.",
            )
        if (run.targets.quantity, run.targets.species) != ("squared-displacement", "A"):
            raise SettingsError(
                f"experiment {experiment.name} learns the {run.targets.quantity} of {run.targets.species}; studies are"
                f" scored by the MSD of {campaign.mixture.species[0]}",
                "Train it by itself with glassformer train.",
            )
        known = observed[run.network.head]
        for wanted in run.targets.times:
            if wanted != "last" and not np.isclose(known, wanted, rtol=1e-6).any():
                near = min(known, key=lambda one: abs(one - wanted), default=float("nan"))
                raise SettingsError(
                    f"experiment {experiment.name} learns t = {wanted:g}, which {settings.campaign} does not observe;"
                    f" the nearest observed time is {near:g}",
                    "Choose that time, or add yours to the campaign's particle_times.",
                )


def _times(campaign: Campaign, head: str) -> list[float]:
    """Return the times at which all state points of `campaign` are observed; with a particle head, their particles."""
    steps = particle_steps if head == "particle" else observation_steps
    points = [set(steps(campaign.at(point)).tolist()) for point in campaign.state_points]
    return sorted(step * campaign.time_step for step in set.intersection(*points))


def print_results(
    results: "Sequence[ExperimentResult]", known: "Sequence[ExperimentResult]", species: str = "A"
) -> None:
    """Print one line per experiment and time: errors at the state points trained on and at others; then comparisons.

    `known`: those that the results may be compared with. `species`: the one whose MSD was learned.
    """
    from glassformer.evaluate.experiments import mean_scores

    rows = []
    for result in results:
        for found in mean_scores(result.rows):
            gain = [number(found.gain.mean, 3, signed=True), number(found.gain.error, 3)]
            values = [number(value, 3) for value in (found.mae, found.density_mae)]
            rows.append([result.name, f"{found.time:g}", _where(found.trained), *values, *gain, number(found.r2, 2)])
    if rows:
        console.print()
        print_table(["experiment", "t", "tested", "MAE", "MAE (rho)", "difference", "std. error", "R2"], rows)
        console.print(
            f"MAE of ln MSD_{species}, and R2 within a state point: means over the state points trained on (held-out"
            " configurations) and over the others (elsewhere). MAE (rho): from the density alone, interpolated between"
            " the trained state points. difference: MAE minus MAE (rho) on the same configurations, with its standard"
            " error; below 0 the network is better.",
            style="dim",
        )
    _print_comparisons(results, known)
    _print_budgets(results)
    _print_audit(results, known)


def _where(trained: bool) -> str:
    return "held out" if trained else "elsewhere"


def _print_comparisons(results: "Sequence[ExperimentResult]", known: "Sequence[ExperimentResult]") -> None:
    from glassformer.evaluate.experiments import compare_rows
    from glassformer.evaluate.results import pairs

    rows = [
        [one.name, other.name, f"{line.time:g}", _where(line.trained), number(line.difference.mean, 3, signed=True),
         number(line.difference.error, 3), str(line.difference.configurations)]
        for one, other in pairs(results, known)
        for line in compare_rows(one.rows, other.rows)
    ]  # fmt: skip
    if not rows:
        return
    console.print()
    print_table(
        ["experiment", "compared with", "t", "tested", "MAE difference", "std. error", "n"],
        rows,
        ["left", "left", "right", "right", "right", "right", "right"],
    )
    console.print(
        "MAE difference: MAE of the experiment minus that of the one it is compared with, on the same n configurations;"
        " below 0 the first is better. The standard error is that over configurations; it does not include the"
        " difference between two trainings of the same network.",
        style="dim",
    )


def _print_budgets(results: "Sequence[ExperimentResult]") -> None:
    rows = [
        [one.name, one.network, f"{one.parameters:,}", str(one.epochs), number(one.epoch_seconds, 3)]
        for one in results
        if np.isfinite(one.epoch_seconds)
    ]
    if not rows:
        return
    console.print()
    print_table(["experiment", "network", "parameters", "epochs", "seconds per epoch"], rows, ["left", "left"])
    console.print(
        "Epochs that fitted into the time that all networks were given, and the measured time of one.", style="dim"
    )


def _print_audit(results: "Sequence[ExperimentResult]", known: "Sequence[ExperimentResult]") -> None:
    from glassformer.evaluate.audit import PREDICTION, compare_audits
    from glassformer.evaluate.results import pairs

    differences = {one.name: compare_audits(one.audit, other.audit) for one, other in pairs(results, known)}
    rows = []
    for result in results:
        means = {row.time: row.r2_within for row in result.audit if row.model == "state_point_mean"}
        for row in result.audit:
            if row.model != PREDICTION:
                continue
            less = differences.get(result.name, {}).get(row.time)
            changed = ["", ""] if less is None else [number(less.mean, 3, signed=True), number(less.error, 3)]
            rows.append(
                [result.name, f"{row.time:g}", number(row.mae, 3), *changed, number(row.r2_within, 2),
                 number(row.r2_within_error, 2), number(means[row.time], 2)]
            )  # fmt: skip
    if not rows:
        return
    console.print()
    print_table(
        ["experiment", "t", "MAE", "MAE difference", "std. error", "R2 within", "std. error", "R2 (mean)"], rows
    )
    console.print(
        "Scores of single draws. MAE difference: MAE minus that of the network without a leak, on the same draws. R2"
        " within: about the means of the state points; R2 (mean): that of the state-point mean, for the same draws."
        " Each standard error belongs to the column before it.",
        style="dim",
    )


def print_study(study: Study, scale: str, only: Sequence[str]) -> None:
    """Print the experiments of a study, with the temperatures trained on."""
    print_table(
        ["experiment", "description", "trained on"],
        [
            [experiment.name, experiment.title, ", ".join(name.removeprefix("T") for name in experiment.train)]
            for experiment, _ in study.runs(scale, only)
        ],
        ["left", "left", "left"],
    )
