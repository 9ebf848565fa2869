"""What samples must agree on to be averaged, and that no structure is among them twice."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.dataset.digest import Definition
from glassformer.dataset.sample import Sample
from glassformer.physics.signature import first_of_each

# Relative difference of the ratios of box edges that counts as none.
SHAPE_TOLERANCE = 1e-3
# Structure factor at k = 0, by which boxes at constant pressure scatter, and the standard deviations that are too many.
COMPRESSIBILITY, MOST_SCATTER = 0.04, 8.0
_IN_TRAINING = "A configuration in both training and test data makes scores too high: delete one of the two."
_SIZES = ("particles", "particles of each species")
_FACTS = ("temperature", "pressure", "density")


def check_state_points(samples: Sequence[Sample], sizes: bool = True) -> None:
    """Raise `DatasetError` if samples under one label differ in what defines a state point.

    That is temperature, pressure or density, the mixture, the wave numbers of F_s, the numbers of particles of each
    species, the shape of the box, and at constant pressure the density of the box within its scatter. Averages over
    such samples would be those of no liquid. Without `sizes` particle numbers and densities may differ: a
    network may read them all.
    """
    check_definitions([Definition.of(sample) for sample in samples], sizes)


def check_definitions(definitions: Sequence[Definition], sizes: bool = True) -> None:
    """Raise `DatasetError` as `check_state_points` does, from what defines each sample's state point."""
    first: dict[str, Definition] = {}
    for one in definitions:
        other = first.setdefault(one.state_point, one)
        ours, theirs = _values(one), _values(other)
        for name, value in ours.items():
            if name in _SIZES and not sizes:
                continue
            if not _equal(value, theirs[name]):
                raise DatasetError(
                    f"{other.identifier} and {one.identifier} have the same label and do not belong together:"
                    f" {name} {_text(theirs[name])} and {_text(value)}",
                    "Keep them in different datasets.",
                )
        if sizes:
            _check_densities(other, one)


def _check_densities(one: Definition, other: Definition) -> None:
    densities = one.number_density, other.number_density
    # Two boxes at one pressure differ by sqrt(2 S(0) / N), with S(0) of about 0.04 in these liquids.
    scatter = math.sqrt(2 * COMPRESSIBILITY / one.particles)
    if abs(densities[1] / densities[0] - 1) > MOST_SCATTER * scatter:
        raise DatasetError(
            f"{one.identifier} and {other.identifier} have the same label and do not belong together: densities"
            f" {densities[0]:.4g} and {densities[1]:.4g}",
            "Keep them in different datasets.",
        )


def refuse_copies(samples: Sequence[Sample], names: Sequence[str], remedy: str = _IN_TRAINING) -> None:
    """Raise `DatasetError` if two of `samples` are one structure, also shifted, renumbered, mirrored or rounded.

    `names` are those of the samples in the message; `remedy` says what copies do to the result, and what to do.
    """
    refuse_same([sample.configuration.signature for sample in samples], names, remedy)


def refuse_same(signatures: Sequence[FloatArray], names: Sequence[str], remedy: str = _IN_TRAINING) -> None:
    """Raise `DatasetError` as `refuse_copies` does, from the structures' signatures."""
    for number, first in enumerate(first_of_each(signatures)):
        if first != number:
            raise DatasetError(
                f"{names[number]} is a copy of {names[first]}: the same structure, possibly shifted, renumbered,"
                " mirrored or rounded",
                remedy,
            )


def _values(one: Definition) -> dict[str, Any]:
    return {name: getattr(one, name) for name in _FACTS} | {
        "mixture": one.mixture,
        "wave numbers": one.wave_numbers,
        "particles": one.particles,
        "particles of each species": one.of_species,
        "box, in units of its shortest edge,": np.array(one.box) / one.shortest,
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
