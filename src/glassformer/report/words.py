"""Sentences of the report. Each follows from the run and its numbers."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from glassformer.core.network_settings import CutoffGraph
from glassformer.core.run import Run
from glassformer.core.words import listed
from glassformer.dataset.predictions import Predictions
from glassformer.dataset.sample import Sample
from glassformer.evaluate.evaluation import ALL, Evaluation, Row
from glassformer.evaluate.paired import Difference, difference
from glassformer.report.figures import scored_rows
from glassformer.report.liquid_words import draws_of, liquid

INPUTS = {
    "species": "species",
    "type": "species",
    "local-energy": "potential energy",
    "inherent-energy": "potential energy in the inherent structure",
    "position": "absolute position",
    "velocity": "velocity",
    "inherent-displacement": "displacement to its place in the inherent structure",
}
# A difference is told from chance by this many standard errors.
ERRORS = 2


def figures_of(value: float, digits: int = 2) -> str:
    """Return `value` with a true minus sign, or 'n/a' for NaN."""
    text = "n/a" if math.isnan(value) else f"{value:.{digits}f}"
    return text.replace("-", "−")


def span(values: Iterable[float], digits: int = 2) -> str:
    """Return 'x to y', the range of the `values` that are numbers; 'x' if it is none, 'n/a' without numbers."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return "n/a"
    low, high = (figures_of(value, digits) for value in (min(known), max(known)))
    return low if low == high else f"{low} to {high}"


def in_rows(number: int, of: int) -> str:
    """Return in how many of the rows something holds."""
    if number in (0, of):
        return "in no row" if number == 0 else "in every row" if of > 1 else "in the one row"
    return f"in {number} of {of} rows"


def lead(samples: Sequence[Sample], predictions: Predictions, run: Run | None, propensities: bool = False) -> str:
    """Return the first paragraph of the page; `propensities`: a part of it is about which particles move."""
    looked = "the structure"
    if run is not None and "velocity" in run.network.inputs:
        looked = "the structure and the velocities"
    whose = "every particle" if predictions.particle_prediction is not None else "its particles"
    tested = int(scored_rows(predictions).sum())
    if "leaked" in predictions.roles:
        seen = (
            "The split was by draw: every prediction below is for a structure that the network had seen, with other"
            " draws of the velocities."
        )
    elif tested < len(samples):
        seen = f"{tested} of them {'is' if tested == 1 else 'are'} predicted, by networks that had not seen "
        seen += "it in training." if tested == 1 else "them in training."
    else:
        seen = "Every prediction below is for a configuration that the network had not seen in training."
        if propensities:
            seen = "Every prediction below is for a configuration that was left out of the training."
    if propensities:
        return f"Does {looked} of a liquid tell which particles will move, and how far? {liquid(samples)}. {seen}"
    return f"Can a network look at {looked} of a liquid and tell how far {whose} will move? {liquid(samples)}. {seen}"


def told(run: Run) -> str:
    """Return what the network reads, and what of that gives the state point away."""
    network = run.network
    own = listed(dict.fromkeys(INPUTS[name] for name in network.inputs))
    found = f"Of every particle the network reads the {own}, and {_edges(run)}."
    gives = {"velocity": "Velocities tell it the temperature", "position": "absolute positions tell it the box"}
    given = [text for name, text in gives.items() if name in network.inputs]
    if len(given) == 2:
        return f"{found} {listed(given)}, hence the density."
    if given:
        other = "The density" if "velocity" in network.inputs else "The temperature"
        first = given[0][0].upper() + given[0][1:] + (", hence the density" if "position" in network.inputs else "")
        return f"{found} {first}. {other} it has to read off the structure."
    return (
        f"{found} It is told neither temperature nor density, pressure nor box: what it knows of them, it has read off"
        " the structure."
    )


def _edges(run: Run) -> str:
    graph = run.network.graph
    if isinstance(graph, CutoffGraph):
        neighbors = f"all neighbours within {graph.cutoff:g} σ"
        if graph.structure == "inherent":
            neighbors += " in the inherent structure"
    else:
        neighbors = f"its {graph.neighbors} nearest neighbours"
        if not graph.periodic:
            neighbors += ", found without regard to the box's periods"
    read = run.network.edge_inputs
    return f"which are {neighbors}" if read == "nothing" else f"the {read} to {neighbors}"


def result(evaluation: Evaluation, predictions: Predictions, run: Run | None) -> list[str]:
    """Return the paragraphs below the scores."""
    paragraphs = [told(run)] if run is not None else []
    if evaluation.leaked:
        paragraphs.append("Of structures that the network has not seen these scores say nothing.")
    if predictions.particle_prediction is not None:
        paragraphs.append(
            "The network predicts every particle by itself: this table is about the mean over the particles of species"
            f" {predictions.species}, which is compared with the mean of the simulated values. Single particles follow"
            " below."
        )
    together = [row for row in evaluation.rows if row.state_point == ALL]
    means = [row.models["state_point_mean"].r2 for row in together]
    if together and not any(map(math.isnan, means)):
        paragraphs.append(
            "In the rows of all state points together, the state-point mean, which tells them apart and does nothing"
            f" else, has R² = {span(means)}, and the network {span(row.models['network'].r2 for row in together)}."
        )
    return [*paragraphs, _within(evaluation, predictions)]


def _within(evaluation: Evaluation, predictions: Predictions) -> str:
    """Return how the network does within single state points."""
    rows = [row for row in evaluation.rows if row.state_point != ALL]
    one = len({row.state_point for row in rows}) == 1
    start = "All configurations are of one state point" if one else "The rows of a single state point ask for more"
    start += ": can the network tell a fast configuration from a slow one under the same conditions?"
    if any(row.configurations < 2 for row in rows):
        start += " A single configuration cannot tell: there R² is n/a."
    found = [_against_mean(predictions, row) for row in rows]
    known = [one for one in found if not math.isnan(one.mean)]
    if not known:
        return f"{start} There is no state-point mean to compare with: the network was not trained there."
    smaller = sum(one.mean < 0 for one in known)
    clearly = sum(one.mean < -ERRORS * one.error for one in known if not math.isnan(one.error))
    text = f"{start} Its error is smaller than that of the state-point mean {in_rows(smaller, len(known))}"
    if smaller:
        by_more = "in none of them" if not clearly else in_rows(clearly, len(known))
        text += f", and {by_more} by more than two standard errors of the difference, taken configuration by"
        text += " configuration"
    return f"{text}. Its R² there is {span(row.models['network'].r2 for row in rows)}."


def _against_mean(predictions: Predictions, row: Row) -> Difference:
    """Return the network's errors less those of the state-point mean, of the configurations of `row`."""
    chosen = scored_rows(predictions) & (np.array(predictions.state_points) == row.state_point)
    target = int(np.flatnonzero(predictions.times == row.time)[0])
    names = [name for name, there in zip(predictions.configurations, chosen, strict=True) if there]
    label = predictions.label[chosen, target]
    both = [
        dict(zip(names, np.abs(array[chosen, target] - label).tolist(), strict=True))
        for array in (predictions.prediction, predictions.state_point_mean)
    ]
    return difference(*both)


def note(evaluation: Evaluation, samples: Sequence[Sample], label: str, run: Run | None) -> str:
    """Return how the table of scores is to be read."""
    rows = [row for row in evaluation.rows if row.state_point != ALL]
    what = label.removeprefix("ln ")
    text = (
        f"The smallest error of each row is in bold. An error of 0.10 in {label} means that the predicted {what} is"
        " about 10 % off. ± is one standard error, from resampling configurations; differences within two such errors"
        " mean little. R² is 1 for a perfect prediction and 0 for one no better than knowing the mean of the row's"
        " configurations beforehand."
    )
    means = [row.models["state_point_mean"].r2 for row in rows]
    if not all(map(math.isnan, means)):
        text += (
            " The state-point mean had to be learned from other configurations: within a state point its R² is"
            f" {span(means)}."
        )
    text += " The density alone is a straight line in the number density, fitted to the training configurations."
    if all(math.isnan(row.r2_ceiling) for row in rows):
        return f"{text} The ceiling is n/a: it takes two draws of a configuration to know how much they scatter."
    return (
        f"{text} The ceiling is what perfect knowledge of the structure would reach: the rest is the scatter of"
        f" {draws_of(samples)}. It is itself an estimate."
        + (" A network that reads velocities may exceed it." if run and "velocity" in run.network.inputs else "")
    )


def prediction_caption(predictions: Predictions) -> str:
    """Return the caption of the figure of predicted against simulated values."""
    if "leaked" in predictions.roles:
        text = "Each symbol is one draw, predicted by a network that was trained on other draws of its structure."
    else:
        text = "Each symbol is one configuration, predicted by a network that was trained without it."
    text += " On the diagonal the prediction is right."
    if (np.isfinite(predictions.draws).sum(1) > 1).any():
        text += " Horizontal bars: standard error of the simulated value, from the scatter of its draws."
    if np.isfinite(predictions.state_point_mean).any():
        text += " Grey dashes: what the state-point mean predicts."
    return text


def training_caption(histories: Sequence[object], run: Run | None, leaked: bool) -> str:
    """Return the caption of the training's figure."""
    text = "One line per fold of the cross-validation." if len(histories) > 1 else "The line is the one fold trained."
    kept = "the epoch whose weights are kept"
    if run is not None:
        kept += ", the last" if run.training.keep == "last" else ", that of the smallest validation error"
    text += f" Dot: {kept}."
    return text if leaked else f"{text} The configurations that a fold is tested on play no part in that choice."


def particle_note(evaluation: Evaluation, samples: Sequence[Sample]) -> list[str]:
    """Return what the correlations over single particles are, and what they say."""
    rows = [row for row in evaluation.rows if row.state_point != ALL]
    found = []
    for letter in sorted({letter for row in rows for letter in row.particles}):
        scores = [row.particles[letter] for row in rows if letter in row.particles]
        clear = sum(score.pcc_mean > ERRORS * score.pcc_error for score in scores)
        text = f"For {letter} the correlation is {span(score.pcc_mean for score in scores)} within state points"
        if all(math.isnan(score.pcc_error) for score in scores):
            text += "; its error is n/a, since there is one configuration"
        else:
            text += f"; it is above zero by more than two standard errors {in_rows(clear, len(scores))}"
        shares = [score.pcc_mean / score.ceiling for score in scores if score.ceiling > 0]
        found.append(
            f"{text}, and {span((100 * share for share in shares), 0)} % of its ceiling." if shares else f"{text}."
        )
    meaning = (
        "Pearson: correlation of predicted and simulated values over the particles of one species in a configuration,"
        " the mean over configurations; ± is one standard error of that mean. Ceiling: what perfect"
        f" predictions would reach, given that the simulated values are means over {draws_of(samples)}"
    )
    unknown = any(math.isnan(score.ceiling) for row in evaluation.rows for score in row.particles.values())
    return [" ".join(found), f"{meaning}; n/a where the data do not determine it." if unknown else f"{meaning}."]


def label_words(predictions: Predictions) -> str:
    """Return what is predicted of a configuration: 'ln MSD of A'."""
    return predictions.label_name.replace("_", " of ")


def quantity_definition(predictions: Predictions) -> tuple[str, str]:
    """Return the quantity that is predicted, and what it is."""
    if predictions.quantity == "propensity":
        return "propensity", (
            "of a particle: its distance |r(t) − r(0)| from where it started, the mean over the draws of a"
            f" configuration; of a configuration: the mean of that over its {predictions.species} particles"
        )
    return "MSD", (
        "mean over particles of the squared distance |r(t) − r(0)|² from the start; here of species"
        f" {predictions.species}, averaged over the draws of a configuration"
    )
