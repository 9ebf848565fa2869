"""More draws for a sample that is there."""

from dataclasses import fields
from typing import Any

import numpy as np

from glassformer.dataset.sample import Ensemble

_BY_DRAW = ("seeds", "msd", "self_scattering", "quartic", "overlap", "displacements")
_MEANS = ("displacement_mean", "displacement_sq_mean")


def join(first: Ensemble, second: Ensemble) -> Ensemble:
    """Return the draws of both: arrays by draw one after the other, means weighted by the numbers of draws.

    What only one of them has is left out. Both must hold the same times.
    """
    weights = np.array([len(first.seeds), len(second.seeds)], np.float64) / (len(first.seeds) + len(second.seeds))
    joined: dict[str, Any] = {}
    for field in fields(Ensemble):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if one is None or other is None:
            joined[field.name] = None
        elif field.name in _BY_DRAW:
            joined[field.name] = np.concatenate([one, other])
        elif field.name in _MEANS:
            joined[field.name] = (weights[0] * one + weights[1] * other).astype(np.float32)
        else:
            joined[field.name] = one
    return Ensemble(**joined)
