"""A page about one prediction: which particles of a structure will move, in one file that needs nothing beside it."""

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from glassformer.baselines.propensity_model import ModelCard, Prediction
from glassformer.core.arrays import FloatArray
from glassformer.core.provenance import code_version
from glassformer.core.words import counted, decimals, listed
from glassformer.dataset.labels import nearest_time
from glassformer.dataset.sample import Sample
from glassformer.dataset.species import mixture_words
from glassformer.report.histogram import draw_histogram
from glassformer.report.page import csv_link, in_page, template
from glassformer.report.propensity_figures import DIAMETERS, SLAB, slab_figure, standardised
from glassformer.report.propensity_words import colours_caption
from glassformer.report.style import PALETTE, STYLE
from glassformer.report.view import colourings, view

# Particles of each species in the table.
MOST_MOBILE = 10
READS = {
    "inherent": "the inherent structure of this configuration, and no dynamics",
    "restricted": "cage positions, the mean positions of particles that are kept in their cages; no dynamics",
    "window": "cage positions, the mean positions of particles during short free trajectories; short-time dynamics",
}


def prediction_page(
    sample: Sample, card: ModelCard, time: float, prediction: Prediction, warnings: Sequence[str], source: str
) -> str:
    """Return the page of `prediction`, what the model of `card` says of `sample` at `time` [tau_LJ], as HTML.

    Where the sample's draws say how far each particle went until `time`, that is shown beside it. `source`: the file of
    the structure, as the reader knows it.
    """
    configuration, names = sample.configuration, sample.mixture.species
    simulated = _simulated(sample, time)
    known = None if np.isnan(prediction.uncertainty).any() else prediction.uncertainty
    quantities = colourings(configuration.species, prediction.propensity, simulated, known)
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        wide, narrow = (_map(sample, prediction.propensity, simulated, stacked) for stacked in (False, True))
        slab = in_page(wide, "map", narrow=narrow)
        spread = in_page(distribution_figure(sample, prediction.propensity), "distribution")
    score = _nearest_score(card, sample.facts.temperature, time)
    return template("prediction.html.jinja").render(
        name=sample.identifier,
        source=source,
        facts=sample.facts,
        liquid=mixture_words(sample.facts.mixture),
        configuration=configuration,
        card=card,
        reads=READS[card.reads],
        time=time,
        score=score,
        mean_error=_error_of_means(score),
        scores=[f"{_with_error(one)} over {one['species']}{_ceiling(one)}" for one in score],
        warnings=warnings,
        simulated=simulated is not None,
        slab=slab,
        view_caption=f"All particles at their positions at t = 0. {colours_caption(simulated is not None)}"
        + (" Simulated: the mean over the draws that the file holds." if simulated is not None else ""),
        slab_caption=_slab_caption(sample, simulated is not None),
        distribution=spread,
        view=view(
            configuration.box, configuration.positions, configuration.species, names, quantities,
            "The map below shows a slab of the structure.",
        ),
        means=listed(_levels(sample, prediction.propensity)),
        rows=[row for kind in range(len(names)) for row in _most_mobile(sample, prediction, simulated, kind)],
        most=MOST_MOBILE,
        csv=csv_link("particles", _table(_columns(sample, prediction, simulated)), "All particles as CSV"),
        counts=counted(configuration.particles, "particle"),
        temperature=decimals(sample.facts.temperature),
        code_version=code_version(),
    )  # fmt: skip


def distribution_figure(sample: Sample, propensity: FloatArray) -> Figure:
    """Distribution of the predicted propensity over the particles of each species."""
    figure = Figure(figsize=(6.4, 3.4))
    axes = figure.subplots()
    species = sample.configuration.species
    for kind, name in enumerate(sample.mixture.species):
        if (species == kind).any():
            look: dict[str, Any] = {"color": PALETTE[kind % len(PALETTE)], "label": name, "filled": kind == 0}
            draw_histogram(axes, propensity[species == kind], fit=False, **look)
    axes.set(xlabel=r"predicted propensity  [$\sigma_{AA}$]", ylabel=r"density  [$\sigma_{AA}^{-1}$]", ylim=(0, None))
    axes.legend(title="species")
    return figure


def _map(sample: Sample, predicted: FloatArray, simulated: FloatArray | None, stacked: bool) -> Figure:
    configuration, shown = sample.configuration, {"predicted": predicted, "simulated": simulated}
    panels = {
        f"{name} propensity": standardised(values, configuration.species)
        for name, values in shown.items()
        if values is not None
    }
    return slab_figure(configuration.box, configuration.positions, configuration.species, panels, stacked)


def _simulated(sample: Sample, time: float) -> FloatArray | None:
    """Return the mean displacement (N,) over the sample's draws at `time`, or None where it is not known."""
    draws = sample.ensemble
    if draws is None or draws.displacement_mean is None:
        return None
    place = nearest_time(draws.particle_times, time)
    return None if place is None else draws.displacement_mean[place].astype(np.float64)


def _nearest_score(card: ModelCard, temperature: float, time: float) -> list[dict[str, Any]]:
    """Return the scores on the card, one per species, at the temperature and then the time that are nearest."""
    if not card.scores:
        return []
    warm = min({one["temperature"] for one in card.scores}, key=lambda known: abs(known - temperature))
    there = [one for one in card.scores if one["temperature"] == warm]
    late = min({one["time"] for one in there}, key=lambda known: abs(math.log(known / time)))
    return [one for one in there if one["time"] == late]


def _with_error(score: dict[str, Any]) -> str:
    error = score["pcc_error"]
    return f"{score['pcc_mean']:.3f}" if error is None else f"{score['pcc_mean']:.3f} ± {error:.3f}"


def _error_of_means(score: list[dict[str, Any]]) -> str:
    """Return what is known of the error of the mean over particles, by the `score` on the card."""
    known = [f"{one['mean_error']:.3f} ({one['species']})" for one in score if one.get("mean_error") is not None]
    size = (
        "In cross-validation, the mean over the particles of a configuration that was left out differed from the"
        f" simulated one by {listed(known)} σ_AA (root mean square over configurations)."
        if known
        else "How large they are, the card of this model does not say."
    )
    return f"Means over many particles have errors of the model that do not average out. {size}"


def _ceiling(score: dict[str, Any]) -> str:
    return "" if score["ceiling"] is None else f" (ceiling {score['ceiling']:.2f})"


def _levels(sample: Sample, propensity: FloatArray) -> list[str]:
    """Return mean and standard deviation over the particles of each species that is there."""
    found = []
    for kind, name in enumerate(sample.mixture.species):
        values = propensity[sample.configuration.species == kind]
        if len(values):
            found.append(f"{name} {values.mean():.3f} ({values.std():.3f})")
    return found


def _slab_caption(sample: Sample, simulated: bool) -> str:
    names = sample.mixture.species
    others = f"; small circles: {listed(names[1:])}" if len(names) > 1 else ""
    thick = min(SLAB, float(sample.configuration.box[2]))
    return (
        f"The particles with z below {thick:g} σ_AA. Colour: {'predicted and simulated' if simulated else 'predicted'}"
        " propensity, as the deviation from the mean of the species in its standard deviations. Circles have a diameter"
        f" of {DIAMETERS[0]:g} σ_AA{others}."
    )


def _columns(sample: Sample, prediction: Prediction, simulated: FloatArray | None) -> dict[str, Any]:
    configuration, names = sample.configuration, np.array(sample.mixture.species)
    columns: dict[str, Any] = {
        "particle": np.arange(1, configuration.particles + 1),
        "species": names[configuration.species],
        **dict(zip("xyz", configuration.positions.T, strict=True)),
        "propensity": prediction.propensity,
        "uncertainty": prediction.uncertainty,
        "distance_from_training": prediction.distance,
    }
    return columns if simulated is None else columns | {"simulated_propensity": simulated}


def _table(columns: dict[str, Any]) -> str:
    """Return the columns as CSV."""
    texts = [
        values if values.dtype.kind in "iU" else ["" if math.isnan(value) else f"{value:.6g}" for value in values]
        for values in columns.values()
    ]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*texts, strict=True))
    return buffer.getvalue()


def _most_mobile(
    sample: Sample, prediction: Prediction, simulated: FloatArray | None, kind: int
) -> list[dict[str, Any]]:
    """Return the rows of the particles of species number `kind` that are predicted to move furthest."""
    columns = _columns(sample, prediction, simulated)
    of_it = np.flatnonzero(sample.configuration.species == kind)
    first = of_it[np.argsort(-prediction.propensity[of_it], kind="stable")[:MOST_MOBILE]]
    return [{name: values[place] for name, values in columns.items()} for place in first]
