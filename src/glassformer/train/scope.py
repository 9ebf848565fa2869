"""What a network was trained on, and where that ends."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from glassformer.dataset.sample import Sample
from glassformer.physics.configuration import SPECIES_A

# Boxes at constant pressure that were kept as they fell scatter in density by a fraction of sqrt(S(0) / N), where S(0)
# is about 0.04 in these liquids: a structure is outside only beyond four of those, and beyond the least margin.
COMPRESSIBILITY, SCATTER, LEAST_DENSITY_MARGIN = 0.04, 4.0, 0.02
TEMPERATURE_MARGIN = COMPOSITION_MARGIN = 1e-3


@dataclass(frozen=True)
class Scope:
    """The liquid and the state points of a training set.

    `cutoffs`: the potential's conventions; `state_points`: their labels; `temperatures`, `densities` and
    `share_of_a` (number of A over all): the smallest and the largest.
    """

    cutoffs: tuple[str, ...]
    state_points: tuple[str, ...]
    temperatures: tuple[float, float]
    densities: tuple[float, float]
    share_of_a: tuple[float, float]

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> "Scope":
        """Return the scope of a training set of `samples`."""
        temperatures = [sample.facts.temperature for sample in samples]
        densities = [sample.configuration.density for sample in samples]
        shares = [_share_of_a(sample) for sample in samples]
        return cls(
            tuple(sorted({sample.facts.cutoff for sample in samples})),
            tuple(sorted({sample.facts.state_point for sample in samples})),
            (min(temperatures), max(temperatures)),
            (min(densities), max(densities)),
            (min(shares), max(shares)),
        )

    def departures(self, sample: Sample) -> list[str]:
        """Return in what `sample` lies outside, one text each: what it is and what the network was trained on.

        State points between those of the training count as inside.
        """
        found = []
        scatter = SCATTER * math.sqrt(COMPRESSIBILITY / sample.configuration.particles)
        if sample.facts.cutoff not in self.cutoffs:
            known = " and ".join(f"'{one}'" for one in self.cutoffs)
            found.append(f"the cutoff convention '{sample.facts.cutoff}' (trained on {known})")
        for symbol, value, (least, most), margin in (
            ("T", sample.facts.temperature, self.temperatures, TEMPERATURE_MARGIN),
            ("number density", sample.configuration.density, self.densities, max(LEAST_DENSITY_MARGIN, scatter)),
            ("share of A particles", _share_of_a(sample), self.share_of_a, COMPOSITION_MARGIN),
        ):
            if not least * (1 - margin) <= value <= most * (1 + margin):
                span = f"{least:.4g}" if least == most else f"{least:.4g} to {most:.4g}"
                found.append(f"{symbol} = {value:.4g} (trained on {span})")
        return found


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


def _share_of_a(sample: Sample) -> float:
    return float((sample.configuration.species == SPECIES_A).mean())
