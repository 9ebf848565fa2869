"""What a network was trained on, and where that ends."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassformer.dataset.consistency import COMPRESSIBILITY
from glassformer.dataset.sample import Sample
from glassformer.dataset.species import mixture_name

# Boxes at constant pressure that were kept as they fell scatter in density by a fraction of sqrt(S(0) / N): a structure
# is outside only beyond four of those. At a given density, only rounding is allowed.
SCATTER, ROUNDING = 4.0, 2e-3
TEMPERATURE_MARGIN = COMPOSITION_MARGIN = 1e-3


@dataclass(frozen=True)
class Scope:
    """The liquid and the state points of a training set.

    `mixtures`: their identities, as `MixtureSettings.identity`; `state_points`: their labels; `points`: temperature and
    mean number density of each; `temperatures`, `densities` and, for each species, `fractions` (its particles over
    all): the smallest and the largest.
    """

    mixtures: tuple[str, ...]
    state_points: tuple[str, ...]
    points: tuple[tuple[float, float], ...]
    temperatures: tuple[float, float]
    densities: tuple[float, float]
    fractions: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> "Scope":
        """Return the scope of a training set of `samples`."""
        # In one pass: samples may be read from disk at each use.
        seen = [_Seen.of(sample) for sample in samples]
        kinds = max(len(one.fractions) for one in seen)
        shares = np.array([(*one.fractions, *(0.0,) * (kinds - len(one.fractions))) for one in seen])
        labels = sorted({one.state_point for one in seen})
        temperatures, densities = [one.temperature for one in seen], [one.density for one in seen]
        return cls(
            tuple(sorted({one.mixture for one in seen})),
            tuple(labels),
            tuple(_point([one for one in seen if one.state_point == label]) for label in labels),
            (min(temperatures), max(temperatures)),
            (min(densities), max(densities)),
            tuple((float(least), float(most)) for least, most in zip(shares.min(0), shares.max(0), strict=True)),
        )

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> "Scope":
        """Return the scope with these `values`, as a model's file holds them. Raises `TypeError`."""
        if "cutoffs" not in values:
            return cls(**values)
        # Of an 80:20 mixture: version 3 of the models knew no other.
        found = dict(values)
        least, most = found.pop("share_of_a")
        return cls(mixtures=found.pop("cutoffs"), fractions=((least, most), (1 - most, 1 - least)), **found)

    def departures(self, sample: Sample) -> list[str]:
        """Return in what `sample` lies outside, one text each: what it is and what the network was trained on.

        State points between those of the training count as inside.
        """
        found = []
        identity = sample.facts.mixture.identity
        if _liquid(identity) not in map(_liquid, self.mixtures):
            known = " and ".join(map(mixture_name, self.mixtures))
            found.append(f"the mixture {mixture_name(identity)} (trained on {known})")
        temperature, density = sample.facts.temperature, sample.configuration.density
        margin_of_density = _margin(sample)
        for symbol, value, (least, most), margin in (
            ("T", temperature, self.temperatures, TEMPERATURE_MARGIN),
            ("number density", density, self.densities, margin_of_density),
            *self._shares(sample),
        ):
            if not least * (1 - margin) <= value <= most * (1 + margin):
                span = f"{least:.4g}" if least == most else f"{least:.4g} to {most:.4g}"
                found.append(f"{symbol} = {value:.4g} (trained on {span})")
        if not found and not self._lies_between(temperature, density, margin_of_density):
            known = ", ".join(f"{one:.4g} and {other:.4g}" for one, other in self.points)
            found.append(f"T and number density = {temperature:.4g} and {density:.4g} (trained on {known})")
        return found

    def _shares(self, sample: Sample) -> list[tuple[str, float, tuple[float, float], float]]:
        """Return what the share of every species is called, its value, that of the training, and the margin.

        The last species is what the others leave.
        """
        names, kinds = sample.mixture.species, len(self.fractions)
        fractions = _fractions(sample, max(kinds, len(names)))
        known = (*self.fractions, *((0.0, 0.0),) * (len(names) - kinds))
        return [
            (f"share of {names[kind]} particles", fractions[kind], known[kind], COMPOSITION_MARGIN)
            for kind in range(max(len(names) - 1, 1))
        ]

    def _lies_between(self, temperature: float, density: float, margin: float) -> bool:
        """Tell whether a state lies on a straight line between two of the training's, in temperature and density."""
        scale = np.array([TEMPERATURE_MARGIN * temperature, margin * density])
        here = np.array([temperature, density]) / scale
        points = [np.array(point) / scale for point in self.points]
        for one, other in itertools.combinations_with_replacement(points, 2):
            way = other - one
            part = np.clip((here - one) @ way / max(float(way @ way), 1e-300), 0, 1)
            if (np.abs(one + part * way - here) <= 1).all():
                return True
        return False


def departures(scope: Scope | None, samples: Sequence[Sample]) -> tuple[str, ...]:
    """Return a sentence for each way in which some of `samples` lie outside of `scope`, with the first of them.

    Without a scope, one that says so.
    """
    if scope is None:
        return ("the model is of an older version, which does not say what it was trained on: train it again",)
    outside: dict[str, list[tuple[str, str]]] = {}
    for sample in samples:
        for text in scope.departures(sample):
            outside.setdefault(text.split(" = ")[0], []).append((sample.identifier, text))
    return tuple(
        f"{len(found)} of {len(samples)} configurations lie outside what the network was trained on: {found[0][0]} has"
        f" {found[0][1]}"
        for found in outside.values()
    )


@dataclass(frozen=True)
class _Seen:
    """What counts of a sample."""

    mixture: str
    state_point: str
    temperature: float
    density: float
    fractions: tuple[float, ...]

    @classmethod
    def of(cls, sample: Sample) -> "_Seen":
        facts, fractions = sample.facts, _fractions(sample, sample.mixture.kinds)
        return cls(
            facts.mixture.identity, facts.state_point, facts.temperature, sample.configuration.density, tuple(fractions)
        )


def _point(seen: Sequence[_Seen]) -> tuple[float, float]:
    densities = [one.density for one in seen]
    return seen[0].temperature, sum(densities) / len(densities)


def _margin(sample: Sample) -> float:
    """Return how far, relative to it, the density of a state point's boxes may lie from its mean."""
    if sample.facts.density is not None:
        return ROUNDING
    return max(ROUNDING, SCATTER * math.sqrt(COMPRESSIBILITY / sample.configuration.particles))


def _fractions(sample: Sample, kinds: int) -> list[float]:
    """Return the number fraction of each of `kinds` species."""
    species = sample.configuration.species
    return [float((species == kind).mean()) for kind in range(kinds)]


def _liquid(identity: str) -> str:
    """Return the part of an identity that tells what the liquid is, whatever it is called."""
    return identity.rpartition(" ")[2]
