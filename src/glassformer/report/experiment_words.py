"""Sentences of the experiments' page. Each follows from the results and the data."""

from collections.abc import Mapping, Sequence

from glassformer.core.mixture import CUTOFF_CONVENTIONS
from glassformer.core.network_kinds import NETWORKS
from glassformer.core.run import Run
from glassformer.core.words import listed
from glassformer.dataset.sample import Sample
from glassformer.dataset.species import mixtures_of
from glassformer.dataset.summary import StatePointSummary
from glassformer.evaluate.results import ExperimentResult
from glassformer.report.liquid_words import liquid
from glassformer.report.naming import names_of, short_names
from glassformer.report.words import span

Runs = Mapping[str, Run | None]


def _plural(network: str) -> str:
    # Results may be those of a network that this installation does not have.
    return NETWORKS[network].plural if network in NETWORKS else network


def lead(samples: Sequence[Sample], results: Sequence[ExperimentResult]) -> str:
    """Return the first paragraph of the page."""
    kinds = listed(dict.fromkeys(_plural(result.network) for result in results))
    times = sorted({float(sample.dynamics.times[-1]) for sample in samples})
    last = " to ".join(f"{time:g}" for time in dict.fromkeys((times[0], times[-1])))
    numbers = sorted({len(result.trained_on) for result in results})
    trained = " or ".join("one state point" if number == 1 else f"{number} state points together" for number in numbers)
    new = any(set(result.tested_on) - set(result.trained_on) for result in results)
    tested = "configurations that they had not seen"
    if any(result.audit for result in results):
        tested += ", unless a leak is what is measured"
    elif new:
        tested += " and on state points that they had not seen"
    networks = kinds[0].upper() + kinds[1:]
    return (
        "How far will the particles of a liquid move, and how much of that can be read off its structure?"
        f" {liquid(samples)}, to t = {last}. {networks} are trained on {trained} and tested on {tested}."
    )


def errors_caption(results: Sequence[ExperimentResult], species: str = "A") -> str:
    """Return the caption of the figure of all errors."""
    text = f"Mean absolute error of ln MSD of {species}, the mean over state points, for each experiment."
    kinds = {row.trained for result in results for row in result.rows}
    if True in kinds:
        text += " Circles: configurations held out at the state points that were trained on."
    if False in kinds:
        text += " Squares: state points that were not."
    text += " Bars: one standard error over configurations, which says nothing of the scatter between networks."
    if len({result.tested_on for result in results}) > 1 or len({result.trained_on for result in results}) > 1:
        text += " Not all experiments are tested on the same configurations: for differences see below."
    if len({result.training_configurations for result in results}) > 1:
        text += " With fewer configurations to train on there are fewer training steps per epoch, too."
    return text


def ratio_caption(results: Sequence[ExperimentResult], species: str = "A") -> str:
    """Return the caption of the figure of predicted over simulated MSD."""
    text = f"Mean predicted MSD of {species} over the mean simulated one. Filled: state points that were trained on"
    if any(not row.trained for result in results for row in result.rows):
        text += "; open: the others"
    return (
        f"{text}. The density alone draws straight lines between the trained state points in the plane of density and"
        " ln MSD; it knows the density of every configuration, and no structure."
    )


def curves_caption(result: ExperimentResult, species: str = "A") -> str:
    """Return the caption of the predictions on the MSD curves of one experiment."""
    text = f"Lines: simulated MSD of {species}. Symbols, at their times: mean of the predictions, with bars that hold"
    text += " 68.27 % (thick) and 96 % (thin) of them."
    return text + (" Open: not trained on." if set(result.tested_on) - set(result.trained_on) else "")


def score_note(results: Sequence[ExperimentResult]) -> str:
    """Return how the tables of scores are to be read."""
    rows = [row for result in results for row in result.rows]
    text = ""
    if any(not row.trained for row in rows):
        text = "* not trained on: every network is tested on every configuration, and scores are means over networks. "
    means = [row.scores["state_point_mean"].r2 for row in rows if row.trained]
    return (
        f"{text}Mean: the state point's mean, learned from other configurations; it exists only where the network was"
        " trained. Density: interpolated between the trained state points in the density of the very configuration;"
        " with one state point, its line in the density. Network less: its absolute error less the other's, for the"
        " same configurations, with the standard error over them; below zero the network is better. R² within a state"
        " point: 1 for perfect predictions, 0 for knowing the mean of all its configurations; the state point's mean,"
        f" which has to be learned from the others, has {span(means)}. Ceiling: the R² of perfect knowledge of the"
        " structure, given the noise of the draws; itself an estimate. Variance between configurations: its share in"
        " the variance of ln MSD of a single draw. Moments are of the MSD in σ_AA², one value per configuration. In"
        " one bin: the largest share of predictions that falls into one bin of the labels' histogram. n/a: too few"
        " configurations or draws to tell."
    )


def audit_note(audits: Sequence[ExperimentResult], runs: Runs) -> str:
    """Return how the table of the audit is to be read."""
    known = [run for result in audits if (run := runs.get(result.name)) is not None]
    text = "The same data, every draw a sample and scored by itself."
    if any(result.compare for result in audits):
        text += " Less that of no leak: on the draws that both were tested on."
    if any(run.split.by == "draw" for run in known):
        text += (
            " Split by draw, a network is tested on draws of structures that it was trained on: what it scores says"
            " nothing of new ones."
        )
    if any("velocity" in run.network.inputs for run in known):
        text += " Velocities tell the temperature."
    if any("position" in run.network.inputs for run in known):
        text += " Absolute coordinates tell the box, hence the density."
    return (
        f"{text} R² within state points counts only what is said beyond the state points' means over all data; its"
        " ceiling is what the structure decides of a single draw. Read each network against the state-point mean"
        " beside it, which was tested on the same draws. ±: one standard error, by resampling configurations."
    )


def comparison_note(again: bool) -> str:
    """Return how differences between experiments are to be read; `again`: one of them is a mere repetition."""
    text = (
        "The absolute error of each configuration, less that of the other experiment's network for the same"
        " configuration; the mean over configurations, then over state points. Below zero, the experiment is the"
        " better of the two. ±: one standard error over configurations. Two trainings that differ in their random"
        " numbers alone differ, too, which is not in ±"
    )
    return f"{text}: four-again tells by how much." if again else f"{text}."


def relaxation_words(samples: Sequence[Sample]) -> str:
    """Return near which relaxation time distributions of the MSD are drawn: `report.spread.moments`."""
    familiar = [mixture.identity in CUTOFF_CONVENTIONS for mixture in mixtures_of(samples)]
    thesis = "τ_g = exp(0.62 / (T − 0.387)), the thesis’s estimate on its line of state points"
    if all(familiar):
        return thesis
    return f"{thesis}, or τα for other mixtures" if any(familiar) else "τα, as measured"


def run_words(samples: Sequence[Sample]) -> str:
    """Return what a run is, and whether runs are independent."""
    text = "A run is one draw of one configuration."
    several = any(sample.draws > 1 for sample in samples)
    return f"{text} Runs of one configuration are not independent." if several else text


def equilibrium_note(samples: Sequence[Sample], data: Sequence[StatePointSummary]) -> str:
    """Return what was done with configurations that were not shown to be in equilibrium."""
    known = [row for row in data if row.examined]
    if not known:
        return "It was not examined whether the configurations are in equilibrium."
    if all(row.in_equilibrium == row.examined for row in known):
        return "All configurations that were examined were shown to be in equilibrium."
    text = "Configurations that were not shown to be in equilibrium are used all the same."
    names = names_of(samples)
    ageing = [names[row.label] for row in known if 2 * row.in_equilibrium < row.examined]
    if ageing:
        text += f" At {listed(ageing)} they are the most: curves there are those of a liquid that may still age."
    return text


def trained_on(result: ExperimentResult, names: Mapping[str, str]) -> str:
    """Return the state points that an experiment was trained on, temperatures alone where these tell."""
    short = list(short_names(result.trained_on, names).values())
    if all(name.startswith("T = ") and "," not in name for name in short):
        return "T = " + ", ".join(name.removeprefix("T = ") for name in short)
    return "; ".join(short)
