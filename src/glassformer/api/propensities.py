"""Which particles of a structure will move: the answer of a propensity model, with how sure it is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.spatial import cKDTree

from glassformer.api.display import axes_for, html_table
from glassformer.api.messages import positive
from glassformer.api.reading import AnyStructures, the_one
from glassformer.api.simulation import derived
from glassformer.api.structures import Structure
from glassformer.baselines.propensity_model import FAR_DENSITY, Prediction, PropensityPredictor, describe
from glassformer.baselines.shipped_models import model_for
from glassformer.core.arrays import FloatArray
from glassformer.core.cores import cores
from glassformer.core.errors import ConfigurationError, PredictionError, SettingsError
from glassformer.core.progress import Progress, Silent
from glassformer.core.words import counted
from glassformer.dataset.predictions import Predictions
from glassformer.dataset.sample import Sample
from glassformer.observables.descriptors import DescriptorSettings, reach_of
from glassformer.physics.box import minimum_image
from glassformer.physics.pair import check_box

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Centers of two particles nearer than this part of their sigma are a mistake, not a liquid.
OVERLAP = 0.6
SEEN = "the model was trained on this structure, so the prediction does not test it"


@dataclass(frozen=True)
class OfSpecies:
    """Of the particles of one species: their number; mean, upper 5 % and root mean square error of the propensity.

    `unlike`: the share whose surroundings are unlike those of training.
    """

    species: str
    particles: int
    mean: float
    top: float
    error: float
    unlike: float


@dataclass(frozen=True, eq=False, repr=False)
class Propensity:
    """What a model says of a structure at `time`, with `warnings` of all kinds."""

    structure: Structure
    predictor: PropensityPredictor
    time: float
    prediction: Prediction
    warnings: tuple[str, ...]

    @property
    def sample(self) -> Sample:
        """The structure as the layers below work with it."""
        return self.structure.sample

    @property
    def model(self) -> str:
        """Name of the model; its card is `predictor.card`."""
        return self.predictor.card.name

    @property
    def values(self) -> FloatArray:
        """Predicted propensity, mean |r(t) - r(0)| over draws, of every particle, (N,)."""
        return self.prediction.propensity

    @property
    def uncertainty(self) -> FloatArray:
        """Standard error of the prediction (N,), learned from structures that were left out of training.

        Multiplied by `distance` where that exceeds 1; NaN for a structure that is outside the model's range as a whole.
        """
        return self.prediction.uncertainty

    @property
    def distance(self) -> FloatArray:
        """Distance of every particle's surroundings from those of training, (N,): above 1 they are unlike them."""
        return self.prediction.distance

    def by_species(self) -> list[OfSpecies]:
        """Return a summary of every species."""
        found = []
        for kind, name in enumerate(self.structure.species_names):
            of_it = self.structure.species == kind
            if of_it.any():
                mean, error = self.values[of_it], self.uncertainty[of_it]
                found.append(
                    OfSpecies(
                        name, int(of_it.sum()), float(mean.mean()), float(np.quantile(mean, 0.95)),
                        float(np.sqrt((error**2).mean())), float((self.distance[of_it] > 1).mean()),
                    )
                )  # fmt: skip
        return found

    @property
    def columns(self) -> dict[str, FloatArray]:
        """What files and tables hold of every particle, (N,) each."""
        return {
            "propensity": self.values,
            "uncertainty": self.uncertainty,
            "distance_from_training": self.distance,
        }

    @property
    def facts(self) -> dict[str, str | float]:
        """What files hold beside the columns: model, time, and warnings, where there are any."""
        found: dict[str, str | float] = {"model": self.model, "propensity_time": self.time}
        return found | ({"warnings": "; ".join(self.warnings)} if self.warnings else {})

    def __repr__(self) -> str:
        lines = [
            f"  {one.species}: mean {one.mean:.3f}, top 5% above {one.top:.3f}, error {_or_not(one.error)}"
            for one in self.by_species()
        ]
        return "\n".join([self._title, *lines, *(f"warning: {text}" for text in self.warnings)])

    def _repr_html_(self) -> str:
        headings = ["species", "particles", "mean", "top 5%", "error", "unlike"]
        rows = [
            [one.species, one.particles, f"{one.mean:.3f}", f"{one.top:.3f}", _or_not(one.error), f"{one.unlike:.1%}"]
            for one in self.by_species()
        ]
        return html_table("; ".join([self._title, *self.warnings]), headings, rows)

    @property
    def _title(self) -> str:
        return f"Propensity of {self.structure.name} at t = {self.time:g}, model {self.model}"

    def plot(
        self, axes: "Axes | None" = None, *, colour: Literal["deviation", "propensity", "uncertainty"] = "deviation"
    ) -> "Axes":
        """Draw the particles with z from 0 to 2.5 sigma_AA; return the axes.

        `colour`: 'deviation' from the mean of the species, red for particles that go far for their species, or the
        'propensity' or its 'uncertainty' in sigma_AA. Raises `SettingsError` for others, and for an uncertainty that is
        not known.
        """
        from glassformer.report.propensity_figures import DEVIATION, SLAB, draw_deviations, draw_slab, standardised
        from glassformer.report.style import at_time

        known = {"propensity": self.values, "uncertainty": self.uncertainty}
        if colour not in ("deviation", *known):
            raise SettingsError(
                f"got colour = {colour!r}; expected 'deviation', 'propensity' or 'uncertainty'", "Choose one of these."
            )
        if colour == "uncertainty" and np.isnan(self.uncertainty).any():
            raise SettingsError(
                f"no uncertainty is known of {self.structure.name}: it is outside the model's range",
                "Draw colour='propensity' or 'deviation'.",
            )
        axes, structure = axes_for(axes), self.structure
        particles = (structure.positions, structure.species, structure.box)
        if colour == "deviation":
            circles = draw_deviations(axes, *particles, standardised(self.values, structure.species))
            label = f"{DEVIATION}\n[standard deviations of the species]"
        else:
            circles = draw_slab(axes, *particles, known[colour])
            circles.set_cmap("plasma" if colour == "propensity" else "viridis")
            label = f"{colour}  [$\\sigma_{{AA}}$]"
        what = "uncertainty of the predicted propensity" if colour == "uncertainty" else "predicted propensity"
        title = f"{what}, {at_time(self.time)}"
        axes.set(ylabel=r"y  [$\sigma_{AA}$]", title=f"{title}\n0 < z < {SLAB:g} $\\sigma_{{AA}}$")
        axes.figure.colorbar(circles, ax=axes, extend="both" if colour == "deviation" else "neither", label=label)
        return axes

    def to_ase(self) -> Any:
        """Return an `ase.Atoms` with the prediction as arrays. Raises `MissingPackageError` without ASE."""
        atoms = self.structure.to_ase()
        for name, column in self.columns.items():
            atoms.set_array(name, column)
        atoms.info |= self.facts
        return atoms

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each particle. Raises `MissingPackageError` without pandas."""
        return self.structure.to_pandas().assign(**self.columns)


def propensity(
    structure: AnyStructures,
    model: str | Path | PropensityPredictor | None = None,
    time: float | None = None,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Propensity:
    """Predict which particles of a structure will move, how far, and with what uncertainty.

    `structure`: one, or a list or a file that holds one.
    `model`: one that ships, by name, or a file that `glassformer.train` wrote; by default the first that ships and fits
    liquid, temperature and time. `time`: by default the model's last. What the model reads, inherent structure and cage
    positions, is found on the way, after everything has been checked.

    Raises the errors of `usable_model`.
    """
    structure, time = the_one(structure, "propensity"), positive("time", time)
    predictor = usable_model(structure, model, time)
    sample, stages, threads = structure.sample, progress or Silent(), threads or cores()
    configuration, facts = sample.configuration, sample.facts
    sample = derived(sample, predictor.card, threads, stages)
    settings = DescriptorSettings.of(predictor.card.descriptors)
    cage = None if predictor.card.reads == "inherent" else sample.cage
    table = describe(sample.configuration, sample.mixture, settings, threads, cage)
    outputs = None
    if predictor.network is not None:
        # Torch takes seconds to load, and most models do without.
        from glassformer.train.network_member import member_outputs

        outputs = member_outputs(predictor.network, sample.configuration, sample.mixture, cage, threads)
    prediction = predictor.predict(table, configuration.species, facts.temperature, time, outputs)
    outside = outside_range(structure, predictor)
    if outside:
        prediction = replace(prediction, uncertainty=np.full(len(table.values), np.nan))
    last = float(predictor.card.times_at(facts.temperature)[-1])
    seen = (SEEN,) if predictor.has_seen(configuration) else ()
    warnings = (*seen, *outside, *prediction.warnings)
    return Propensity(Structure(sample), predictor, last if time is None else time, prediction, warnings)


def usable_model(
    structure: Structure, model: str | Path | PropensityPredictor | None = None, time: float | None = None
) -> PropensityPredictor:
    """Return the model with which `propensity` predicts, after all checks that take no time.

    Raises `SettingsError` for a model that does not exist; `PredictionError` for overlapping particles, a mixture or a
    time that the model does not know, or a density far from that of training; `ConfigurationError` for a box that is
    too short.
    """
    sample, facts = structure.sample, structure.sample.facts
    predictor = (
        model
        if isinstance(model, PropensityPredictor)
        else model_for(str(model or ""), facts.mixture, facts.temperature, time)
    )
    card = predictor.card
    if facts.mixture.identity != card.mixture.identity:
        mismatches = predictor.mismatches(facts.mixture, structure.density, facts.temperature)
        raise PredictionError(
            f"{structure.name}: the model {card.name} cannot be used: {'; '.join(mismatches)}",
            "Train one on data of this mixture: glassformer train propensity DATASET --out DIR.",
        )
    predictor.between(facts.temperature, time)
    _refuse_density(structure, predictor)
    _refuse_short_box(structure, predictor)
    check_box(sample.configuration, sample.mixture)
    _refuse_overlaps(sample)
    return predictor


def outside_range(structure: Structure, predictor: PropensityPredictor) -> tuple[str, ...]:
    """Return a warning for each fact of the structure, such as its temperature, for which the model was not trained."""
    found = predictor.mismatches(structure.mixture, structure.density, structure.temperature)
    return tuple(f"outside the model's range: {text}; no uncertainty is known" for text in found)


def predictions_of(answers: Sequence[Propensity]) -> Predictions:
    """Return what one model said at one time as a prediction file holds it. Raises `SettingsError` for several."""
    from glassformer.train.propensity_prediction import as_predictions

    used, times = {answer.model for answer in answers}, {answer.time for answer in answers}
    if len(used) > 1 or len(times) > 1:
        raise SettingsError(
            f"got predictions of {counted(len(used), 'model')} at {counted(len(times), 'time')}; a prediction file"
            " holds those of one model at one time",
            "Give both: --model MODEL --time T; or predict one state point at a time.",
        )
    samples = [answer.sample for answer in answers]
    found = [replace(answer.prediction, warnings=answer.warnings) for answer in answers]
    return as_predictions(answers[0].predictor, samples, found, times.pop())


def _or_not(error: float) -> str:
    return "n/a" if np.isnan(error) else f"{error:.3f}"


def _refuse_density(structure: Structure, predictor: PropensityPredictor) -> None:
    card = predictor.card
    if predictor.density_is_far(structure.density):
        raise PredictionError(
            f"{structure.name}: got a density of {structure.density:.4g}; the model {card.name} was trained at"
            f" {card.density:.4g} and is used up to {100 * FAR_DENSITY:g} % away from it",
            f"If lengths are not in units of sigma_{card.mixture.species[0] * 2}, divide box and positions by it. If"
            " they are, train a model at this density: glassformer train propensity DATASET --out DIR.",
        )


def _refuse_short_box(structure: Structure, predictor: PropensityPredictor) -> None:
    card, configuration, mixture = predictor.card, structure.sample.configuration, structure.sample.mixture
    settings, shortest = DescriptorSettings.of(card.descriptors), float(configuration.edges.min())
    needed = 2 * reach_of(mixture, settings)
    if shortest >= needed * (1 - 1e-12):
        return
    remedy = (
        f"Use a larger system: in a box of equal edges, {math.ceil(card.density * needed**configuration.dimension):,}"
        " particles or more."
    )
    # The radial densities reach further than all else, and end up to 0.3 beyond the reach that is asked for.
    smaller = math.floor(10 * shortest / 2 - 3) / 10
    if smaller > 0 and 2 * reach_of(mixture, replace(settings, reach=smaller)) <= shortest:
        remedy += (
            f" Or train a model that reads less: a recipe with descriptors = {{ reach = {smaller:g} }}, then"
            " glassformer train RECIPE DATASET --out DIR."
        )
    raise ConfigurationError(
        f"{structure.name}: the shortest box edge is {shortest:.4g}; the model {card.name} needs {needed:g}", remedy
    )


def _refuse_overlaps(sample: Sample) -> None:
    configuration, sigma = sample.configuration, sample.mixture.sigma
    box = configuration.box.copy()
    box[configuration.dimension :] = 0
    pairs = cKDTree(configuration.positions, boxsize=box).query_pairs(OVERLAP * sigma.max(), output_type="ndarray")
    first, second = pairs.T
    apart = minimum_image(configuration.positions[first] - configuration.positions[second], configuration.box)
    limit = OVERLAP * sigma[configuration.species[first], configuration.species[second]]
    overlapping = np.flatnonzero(np.sqrt((apart**2).sum(1)) < limit)
    if len(overlapping):
        i, j = pairs[overlapping[0]] + 1
        raise PredictionError(
            f"{sample.identifier}: {counted(len(overlapping), 'pair')} of particles overlap, for example numbers {i}"
            f" and {j} at a distance of {np.sqrt((apart[overlapping[0]] ** 2).sum()):.3g}",
            "Check the box, the units and the species: this is not an equilibrium structure of the mixture.",
        )
