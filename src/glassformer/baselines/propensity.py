"""Baselines for the propensities of particles: each species' mean, one descriptor, or a regression on many.

A model is fitted for each species; the propensities of other times are further targets of the same fit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from glassformer.baselines.ridge import PENALTIES, Moments, fit_ridge
from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.errors import ConfigurationError, PredictionError
from glassformer.observables.descriptors import Descriptors
from glassformer.observables.species import number_of_species

Transform = Literal["linear", "log"]

# One-number baselines, by the descriptor that each reads.
SINGLE = {
    "local density": "inherent.density",
    "inherent energy": "inherent.energy",
    "inherent displacement": "inherent.displacement.length",
    "harmonic amplitude": "inherent.harmonic.1.5",
}
# How readily a descriptor is used, by the quantity in its name: hundreds of fine shells know little each, a handful of
# energies much. Chosen by cross-validation on ten configurations of the Kob-Andersen mixture at T = 0.44.
SCALES = {"radial": 0.07, "bond_order": 0.07, "shell": 0.25}


def scales_of(names: Sequence[str], scales: Mapping[str, float] = SCALES) -> FloatArray:
    """Return the scale of every descriptor, (F,): that of the quantity in its name, `structure.quantity...`, or 1."""
    return np.array([scales.get(name.split("@")[0].split(".")[1], 1.0) for name in names])


class Regression(Protocol):
    """What a fit returns: targets (N, K) predicted from columns (N, F)."""

    def predict(self, columns: NDArray[np.floating[Any]]) -> FloatArray:
        """Return the predictions (N, K) for `columns` (N, F)."""


# Fits a regression to the columns and targets of each configuration, with the scale of every column.
Method = Callable[[Sequence[NDArray[np.floating[Any]]], Sequence[FloatArray], FloatArray], Regression]


@dataclass(frozen=True, eq=False)
class LabelledParticles:
    """Descriptors, species (N,) and propensities (N, K) of the particles of one configuration."""

    table: Descriptors
    species: ByteArray
    propensity: FloatArray
    _moments: dict[tuple[int, str], Moments] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Raise `ConfigurationError` unless they are of the same particles, and propensities finite and positive."""
        rows = {self.table.particles, len(self.species), len(self.propensity)}
        if len(rows) != 1 or self.propensity.ndim != 2:
            raise ConfigurationError(
                f"got {self.table.particles} rows of descriptors, {len(self.species)} species and propensities of shape"
                f" {self.propensity.shape}; expected the same particles, and (N, K)",
                "Give those of one configuration.",
            )
        if not (np.isfinite(self.propensity) & (self.propensity > 0)).all():
            raise ConfigurationError("got propensities that are not positive numbers", "Leave the configuration out.")

    def labels(self, transform: Transform) -> FloatArray:
        """Return the propensities or their logarithms, (N, K)."""
        return np.log(self.propensity) if transform == "log" else self.propensity.astype(np.float64)

    def moments(self, kind: int, transform: Transform) -> Moments:
        """Return the moments of all descriptors and labels of species `kind`; computed once."""
        if (kind, transform) not in self._moments:
            rows = self.species == kind
            self._moments[kind, transform] = Moments.of(self.table.values[rows], self.labels(transform)[rows])
        return self._moments[kind, transform]


@dataclass(frozen=True, eq=False)
class PropensityModel:
    """Regressions on the columns `names`, one per species of training, of `targets` propensities.

    `transform`: what was learned.
    """

    names: tuple[str, ...]
    species: Mapping[int, Regression]
    transform: Transform
    targets: int

    @classmethod
    def fit(
        cls,
        training: Sequence[LabelledParticles],
        names: Sequence[str] | None = None,
        transform: Transform = "linear",
        penalties: Sequence[float] = PENALTIES,
        scales: Mapping[str, float] = SCALES,
        method: Method | None = None,
    ) -> "PropensityModel":
        """Fit the columns `names`, by default all, of `training`, one item per configuration.

        `method`: by default ridge regression with one of `penalties`. Means, spreads and regularisation come from these
        configurations alone. Raises `ConfigurationError` if there are no configurations, or too few to choose the
        regularisation.
        """
        if not training:
            raise ConfigurationError("got no configurations to learn from", "Give two or more.")
        chosen = tuple(training[0].table.names if names is None else names)
        places, scale = [item.table.places(chosen) for item in training], scales_of(chosen, scales)
        models: dict[int, Regression] = {}
        for kind in range(max(number_of_species(item.species, None) for item in training)):
            there = [index for index, item in enumerate(training) if (item.species == kind).sum() > 1]
            rows = [training[index].species == kind for index in there]
            x = [training[index].table.values[row][:, places[index]] for index, row in zip(there, rows, strict=True)]
            y = [training[index].labels(transform)[row] for index, row in zip(there, rows, strict=True)]
            if there and method is None:
                moments = [training[index].moments(kind, transform).select(places[index]) for index in there]
                models[kind] = fit_ridge(x, y, scale, penalties, moments)
            elif there and method is not None:
                models[kind] = method(x, y, scale)
        return cls(chosen, models, transform, training[0].propensity.shape[1])

    def predict(self, table: Descriptors, species: ByteArray) -> FloatArray:
        """Return the predicted propensities (N, K): exponentials of what was learned, if that is the logarithm.

        Raises `PredictionError` for a species that was not in training, `ConfigurationError` for a missing column.
        """
        unknown = sorted(set(np.unique(species).tolist()) - set(self.species))
        if unknown:
            raise PredictionError(
                f"the model was not trained on species {unknown}; it knows {sorted(self.species)}",
                "Use a model of the same mixture.",
            )
        values = table.select(self.names).values
        predicted = np.empty((len(species), self.targets))
        for kind, model in self.species.items():
            rows = species == kind
            predicted[rows] = model.predict(values[rows])
        return np.exp(predicted) if self.transform == "log" else predicted


def species_means(training: Sequence[LabelledParticles]) -> FloatArray:
    """Return the mean propensity of each species over all particles of training, (S, K); NaN where there is none.

    This is what knowing the state point, and no structure, is worth.
    """
    species = np.concatenate([item.species for item in training])
    labels = np.concatenate([item.propensity for item in training])
    means = np.full((number_of_species(species, None), labels.shape[1]), np.nan)
    for kind in np.unique(species):
        means[kind] = labels[species == kind].mean(0)
    return means
