"""More draws for a sample that is there."""

from typing import Any

import numpy as np

from glassformer.core.arrays import ISOCONFIGURATIONAL
from glassformer.dataset.sample import Ensemble


def join(first: Ensemble, second: Ensemble) -> Ensemble:
    """Return the draws of both: arrays by draw one after the other, means weighted by the numbers of draws.

    What only one of them has is left out. Both must hold the same times, and know their draws.
    """
    assert first.seeds is not None
    assert second.seeds is not None
    weights = np.array([len(first.seeds), len(second.seeds)], np.float64) / (len(first.seeds) + len(second.seeds))
    joined: dict[str, Any] = {}
    for spec in ISOCONFIGURATIONAL:
        one, other = getattr(first, spec.name), getattr(second, spec.name)
        if one is None or other is None:
            joined[spec.name] = None
        elif spec.kind == "draw":
            joined[spec.name] = np.concatenate([one, other])
        elif spec.kind == "mean":
            joined[spec.name] = (weights[0] * one + weights[1] * other).astype(spec.dtype)
        else:
            joined[spec.name] = one
    return Ensemble(**joined)
