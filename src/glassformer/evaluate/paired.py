"""Differences of errors on the same configurations: what two models share, such as a hard configuration, drops out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# The absolute error of each configuration, by its name.
Errors = Mapping[str, float]


@dataclass(frozen=True)
class Difference:
    """Mean over `configurations` of the absolute error of one model less another's: below zero the first is better.

    `error`: its standard error, sqrt(sum (d - <d>)^2 / (n (n - 1))), configurations being the independent units; NaN
    for fewer than two. It is that of these very networks: others, trained in the same way, would differ by more.
    """

    mean: float
    error: float
    configurations: int


def difference(one: Errors, other: Errors) -> Difference:
    """Compare the errors of two models on the configurations that both were tested on."""
    common = [name for name in one if name in other]
    if not common:
        return Difference(math.nan, math.nan, 0)
    values = np.array([one[name] - other[name] for name in common])
    number = len(values)
    error = float(values.std(ddof=1) / np.sqrt(number)) if number > 1 else math.nan
    return Difference(float(values.mean()), error, number)


def mean_difference(parts: Sequence[Difference]) -> Difference:
    """Return the mean of several differences, such as those of state points, each counting alike.

    They are of other configurations each, so their errors are independent. Parts without configurations are left out.
    """
    there = [part for part in parts if part.configurations]
    if not there:
        return Difference(math.nan, math.nan, 0)
    return Difference(
        float(np.mean([part.mean for part in there])),
        float(np.sqrt(np.sum([part.error**2 for part in there])) / len(there)),
        sum(part.configurations for part in there),
    )
