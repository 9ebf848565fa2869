"""What samples must agree on to be averaged, and that no structure is among them twice."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from glassformer.core.errors import DatasetError
from glassformer.dataset.sample import Sample
from glassformer.physics.signature import first_of_each

# Relative difference of the ratios of box edges that counts as none.
SHAPE_TOLERANCE = 1e-3
# Structure factor at k = 0, by which boxes at constant pressure scatter, and the standard deviations that are too many.
COMPRESSIBILITY, MOST_SCATTER = 0.04, 8.0
_SIZES = ("particles", "particles of each species")
_FACTS = ("temperature", "pressure", "density")


def check_state_points(samples: Sequence[Sample], sizes: bool = True) -> None:
    """Raise `DatasetError` if samples under one label differ in what defines a state point.

    That is temperature, pressure or density, the mixture, the wave numbers of F_s, the numbers of particles of each
    species, the shape of the box, and at constant pressure the density of the box within its scatter. Averages over
    such samples would be those of no liquid. Without `sizes` particle numbers and densities may differ: a
    network may read them all.
    """
    first: dict[str, Sample] = {}
    for sample in samples:
        other = first.setdefault(sample.facts.state_point, sample)
        ours, theirs = _definition(sample), _definition(other)
        for name, value in ours.items():
            if name in _SIZES and not sizes:
                continue
            if not _equal(value, theirs[name]):
                raise DatasetError(
                    f"{other.identifier} and {sample.identifier} have the same label and do not belong together:"
                    f" {name} {_text(theirs[name])} and {_text(value)}",
                    "Keep them in different datasets.",
                )
        if sizes:
            _check_densities(other, sample)


def _check_densities(one: Sample, other: Sample) -> None:
    densities = one.configuration.density, other.configuration.density
    # Two boxes at one pressure differ by sqrt(2 S(0) / N), with S(0) of about 0.04 in these liquids.
    scatter = math.sqrt(2 * COMPRESSIBILITY / one.configuration.particles)
    if abs(densities[1] / densities[0] - 1) > MOST_SCATTER * scatter:
        raise DatasetError(
            f"{one.identifier} and {other.identifier} have the same label and do not belong together: densities"
            f" {densities[0]:.4g} and {densities[1]:.4g}",
            "Keep them in different datasets.",
        )


def refuse_copies(samples: Sequence[Sample], names: Sequence[str]) -> None:
    """Raise `DatasetError` if two of `samples` are one structure, also shifted, renumbered, mirrored or rounded.

    `names` are those of the samples in the message.
    """
    for number, first in enumerate(first_of_each([sample.configuration.signature for sample in samples])):
        if first != number:
            raise DatasetError(
                f"{names[number]} is a copy of {names[first]}: the same structure, though perhaps shifted, renumbered,"
                " mirrored or rounded",
                "A configuration on both sides of a split would flatter every score: delete one of the two.",
            )


def _definition(sample: Sample) -> dict[str, Any]:
    species, box = sample.configuration.species, sample.configuration.box
    return {name: getattr(sample.facts, name) for name in _FACTS} | {
        "mixture": sample.facts.mixture.identity,
        "wave numbers": sample.facts.mixture.wave_numbers,
        "particles": len(species),
        "particles of each species": tuple(np.bincount(species).tolist()),
        "box, in units of its shortest edge,": box / sample.configuration.edges.min(),
    }


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return bool(np.allclose(one, other, rtol=SHAPE_TOLERANCE))
    return bool(one == other)


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return " x ".join(f"{edge:.3g}" for edge in value)
    if isinstance(value, tuple):
        return ", ".join(f"{one:g}" for one in value)
    return "none" if value is None else str(value)
