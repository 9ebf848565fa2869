"""Mixtures from their tables: what a file or a campaign says of a liquid, as the numbers that are computed with."""

from functools import lru_cache

from glassformer.core.mixture import MixtureSettings, shipped_mixture
from glassformer.physics.mixture import Mixture, mixture_from


@lru_cache(maxsize=64)
def mixture_of(settings: MixtureSettings) -> Mixture:
    """Return the mixture that `settings` describe."""
    return mixture_from(settings.model_dump())


def shipped(name: str) -> Mixture:
    """Return the mixture called `name` that ships with the package. Raises `KeyError`."""
    return mixture_of(shipped_mixture(name))
