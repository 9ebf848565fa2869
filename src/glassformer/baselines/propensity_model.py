"""Models that predict which particles of a structure will move: ridge regressions per species, with their limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from glassformer.baselines.novelty import FAR, TOLERATED, Novelty
from glassformer.baselines.temperature_ridge import TemperatureRidge
from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.errors import ConfigurationError, PredictionError
from glassformer.core.mixture import MixtureSettings
from glassformer.core.recipe import Reads
from glassformer.core.words import counted, listed
from glassformer.observables.descriptors import (
    Descriptors,
    DescriptorSettings,
    cage_descriptors,
    collect_descriptors,
)
from glassformer.physics.cage import Cage
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture
from glassformer.physics.signature import find_same

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

# Relative differences in what a user says of a structure that are no differences.
SAME_TEMPERATURE, SAME_DENSITY = 5e-3, 2e-3
# Relative difference from the densities of training beyond which a model is of no use: more likely, units are wrong.
FAR_DENSITY = 0.1
# Quantities in whose means and generations of averages a strange structure shows.
_TELLING = ("energy", "virial", "curvature", "density", "displacement")
_GENERATIONS = (0, 1, 4)
_WORDS = {
    "energy": "the potential energy",
    "virial": "the virial",
    "curvature": "the curvature of the potential",
    "density": "the local density",
}


class ModelCard(BaseModel):
    """What a model is for, what it was trained on, and how it did on what it had not seen.

    `reads`: the inherent structure alone; with it cage positions of the restricted ensemble, still static; or those of
    a window of free draws, which is short dynamics. `times`: of each temperature (G, K). `scores`: one entry per
    temperature and time. `density_spread`: largest relative difference of a training configuration's density from
    `density`, where boxes were kept as they fell. `descriptors` and `cages` are the settings with which both are made.
    `end_frames`: configurations at the end of draws that were learned from in addition, each with one draw.
    `network_share`: of a network in the mean of its predictions and those of the regression.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[\w.+-]+$")]
    purpose: Annotated[str, Field(max_length=2000)]
    mixture: MixtureSettings
    density: Positive
    density_spread: Annotated[float, Field(ge=0, lt=1)] = 0.0
    temperatures: tuple[Positive, ...]
    times: tuple[tuple[Positive, ...], ...]
    reads: Reads
    descriptors: dict[str, Any] = {}
    cages: dict[str, float] = {}
    configurations: tuple[int, ...]
    draws: int
    end_frames: Annotated[int, Field(ge=0)] = 0
    network_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    data: Annotated[str, Field(max_length=2000)]
    licence: Annotated[str, Field(max_length=500)]
    limits: Annotated[str, Field(max_length=2000)]
    scores: tuple[dict[str, Any], ...] = ()
    code_version: str = ""

    @property
    def kind(self) -> str:
        """Its class: 'static', or 'short dynamics'."""
        return "short dynamics" if self.reads == "window" else "static"

    def times_at(self, temperature: float) -> FloatArray:
        """Return the times (K,) that it knows at `temperature`; between temperatures ln t is linear in T."""
        logarithms = np.log(np.array(self.times))
        times = np.exp([np.interp(temperature, self.temperatures, column) for column in logarithms.T])
        # Logarithms leave 4119.999999999998 of 4120.
        return np.array([float(f"{time:.10g}") for time in times])


@dataclass(frozen=True, eq=False)
class Prediction:
    """Propensities (N,), their standard errors (N,), distances from training (N,), far above 1, and warnings.

    The standard error of a particle further away than 1 is multiplied by its distance. It is NaN for all particles of a
    structure that is outside the range of training as a whole: none was measured there.
    """

    propensity: FloatArray
    uncertainty: FloatArray
    distance: FloatArray
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class NetworkMember:
    """A network of `targets` outputs that a model averages with its regression: settings, and weights (W,) float32.

    The weights are the parameters and the statistics of batch norms, in the network's own order. `amplitudes`: it
    reads <u^2> in the cage, too.
    """

    settings: dict[str, Any]
    weights: NDArray[np.float32]
    targets: int
    amplitudes: bool = False


@dataclass(frozen=True, eq=False)
class PropensityPredictor:
    """A model: its card, the `columns` that it reads, and for each species a fit and the limits of its training.

    `signatures` (C, F): `glassformer.physics.signature` of the configurations that it was trained on. `network`: one
    whose outputs are averaged with those of the fits.
    """

    card: ModelCard
    columns: tuple[str, ...]
    fits: tuple[TemperatureRidge, ...]
    limits: tuple[Novelty, ...]
    signatures: FloatArray
    network: NetworkMember | None = None

    def has_seen(self, configuration: Configuration) -> bool:
        """Tell whether it was trained on `configuration`, or on a copy that was shifted, renumbered or rounded."""
        return find_same(configuration.signature, self.signatures) is not None

    def predict(
        self,
        table: Descriptors,
        species: ByteArray,
        temperature: float,
        time: float | None = None,
        outputs: FloatArray | None = None,
    ) -> Prediction:
        """Return the propensities at `time`, by default the last, of particles with descriptors `table`.

        Between the model's times propensities are interpolated in ln t. `outputs` (N, K): those of the model's network,
        if it has one. Raises `PredictionError` for a time outside
        its range or a species that it does not know, `ConfigurationError` if a column or the outputs are missing.
        """
        if (self.network is None) != (outputs is None):
            raise ConfigurationError(
                f"got {'no ' if outputs is None else ''}outputs of a network; the model {self.card.name} has"
                f" {'none' if self.network is None else 'one'}",
                "Give those of its own network: glassformer.train.network_member.member_outputs.",
            )
        if species.max() >= len(self.fits):
            raise PredictionError(
                f"got particles of species number {species.max()}; the model {self.card.name} knows"
                f" {counted(len(self.fits), 'species')}, counted from 0",
                "Use a model of the same mixture.",
            )
        low, high, share = self.between(temperature, time)
        values = table.select(self.columns).values
        propensity, uncertainty, distance = (np.empty(len(species)) for _ in range(3))
        deviations = np.zeros((len(self.fits), len(_places(self.columns))))
        for kind, (fit, limit) in enumerate(zip(self.fits, self.limits, strict=True)):
            rows = species == kind
            if not rows.any():
                continue
            mean, error = fit.predict(values[rows], temperature, None if outputs is None else outputs[rows])
            propensity[rows] = (1 - share) * mean[:, low] + share * mean[:, high]
            uncertainty[rows] = (1 - share) * error[:, low] + share * error[:, high]
            telling = telling_columns(fit, self.columns, values[rows], temperature)
            distance[rows] = limit.distances(telling)
            deviations[kind] = limit.deviations(telling)
        uncertainty *= np.maximum(1, distance)
        if deviations.max() > 1 or self.beyond(temperature):
            uncertainty[:] = np.nan
        return Prediction(propensity, uncertainty, distance, self._warnings(species, distance, deviations))

    def between(self, temperature: float, time: float | None) -> tuple[int, int, float]:
        """Return the two of its times that `time` lies between, and the share of the second.

        Raises `PredictionError` for a time outside its range.
        """
        times = self.card.times_at(temperature)
        wanted = times[-1] if time is None else time
        if not times[0] * (1 - 1e-6) <= wanted <= times[-1] * (1 + 1e-6):
            known = ", ".join(f"{one:.4g}" for one in times)
            raise PredictionError(
                f"got t = {wanted:g}; the model {self.card.name} knows t = {known} at T = {temperature:g}",
                "Choose a time between the first and the last of these."
                if len(times) > 1
                else "Choose this time, or another model: glassformer propensity --list.",
            )
        place = float(np.interp(np.log(wanted), np.log(times), np.arange(len(times))))
        low = min(int(place), max(len(times) - 2, 0))
        return low, min(low + 1, len(times) - 1), place - low

    def _warnings(self, species: ByteArray, distance: FloatArray, deviations: FloatArray) -> tuple[str, ...]:
        """Return what is strange about the surroundings of particles; `deviations` (S, f) of means, above 1 outside.

        The texts hold no numbers of the structure, so that those of many structures can be told as one.
        """
        found = []
        far = np.bincount(species[distance > 1], minlength=len(self.fits))
        kinds = np.flatnonzero(far > TOLERATED * FAR * np.bincount(species, minlength=len(self.fits)))
        if len(kinds):
            names = listed(self.card.mixture.species[kind] for kind in kinds)
            found.append(
                f"more than {100 * TOLERATED * FAR:.1g} % of the {names} particles have surroundings unlike those in"
                f" training (distance above 1; {100 * FAR:.1g} % would be expected)"
            )
        if deviations.max() > 1:
            worst = telling_names(self.columns)[int(deviations.max(0).argmax())]
            found.append(
                f"the structure as a whole is outside the range of training, most in {in_words(worst)}; no uncertainty"
                " is known. Check temperature, density, composition, cutoff and preparation"
            )
        return tuple(found)

    def beyond(self, temperature: float) -> float:
        """Return how far `temperature` is beyond those of training, relative to the nearest of them; 0 within."""
        low, high = min(self.card.temperatures), max(self.card.temperatures)
        distance = max(1 - temperature / low, temperature / high - 1)
        return distance if distance > SAME_TEMPERATURE else 0.0

    def density_is_far(self, density: float) -> bool:
        """Tell whether `density` differs from those of training by more than `FAR_DENSITY`."""
        return abs(density / self.card.density - 1) > self.card.density_spread + FAR_DENSITY

    def mismatches(self, mixture: MixtureSettings, density: float, temperature: float) -> list[str]:
        """Return what a structure differs in from those that the model is for, as far as it is stated."""
        card, found = self.card, []
        if mixture.identity != card.mixture.identity:
            found.append(f"it is of the mixture {mixture.name}, not of {card.mixture.name}")
        if abs(density / card.density - 1) > card.density_spread + SAME_DENSITY:
            found.append(f"its density is {density:.4g}, not {card.density:.4g}")
        if self.beyond(temperature):
            low, high = min(card.temperatures), max(card.temperatures)
            known = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            found.append(f"its temperature is {temperature:g}, not {known}")
        return found


def describe(
    configuration: Configuration, mixture: Mixture, settings: DescriptorSettings, threads: int, cage: Cage | None
) -> Descriptors:
    """Return the descriptors of the cage positions, or without a cage those of the inherent structure.

    Both together are no better than those of the cage: docs/results/propensity.md.
    Errors are those of `collect_descriptors`.
    """
    if cage is None:
        return collect_descriptors(configuration, mixture, settings, threads)
    return cage_descriptors(configuration, cage, mixture, settings, threads)


def telling_names(columns: Sequence[str]) -> list[str]:
    """Return those of `columns` in which a strange structure shows."""
    return [columns[place] for place in _places(columns)]


def in_words(name: str) -> str:
    """Return what the descriptor `name` of `telling_names` is, as a reader would say it."""
    head, _, generation = name.partition("@")
    source, quantity, *rest = head.split(".")
    if quantity == "displacement":
        of_what = f"the displacements to the {'cage positions' if source == 'cage' else 'inherent structure'}"
    else:
        of_what = _WORDS[quantity] + (f" with {rest[0]} particles" if rest else "")
    times = {0: "", 1: "once", 2: "twice"}.get(number := int(generation or 0), f"{number} times")
    return of_what + (f", averaged over neighbors {times}" if times else "")


def telling_columns(
    fit: TemperatureRidge, columns: Sequence[str], values: NDArray[np.float32], temperature: float
) -> FloatArray:
    """Return the standardised values (N, f) of `telling_names`."""
    return fit.level.standardised(values, temperature)[:, _places(columns)]


def _places(columns: Sequence[str]) -> list[int]:
    def tells(name: str) -> bool:
        head, _, generation = name.partition("@")
        return head.split(".")[1] in _TELLING and int(generation or 0) in _GENERATIONS

    return [place for place, name in enumerate(columns) if tells(name)]
