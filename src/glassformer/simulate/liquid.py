"""A campaign's liquid: from the settings to the numbers that the engines take."""

from functools import lru_cache

from glassformer.core.campaign import Campaign
from glassformer.core.mixture import MixtureSettings
from glassformer.physics.mixture import Mixture, mixture_from


def mixture_of(campaign: Campaign) -> Mixture:
    """Return the mixture of `campaign`."""
    return _mixture(campaign.mixture)


@lru_cache(maxsize=32)
def _mixture(settings: MixtureSettings) -> Mixture:
    return mixture_from(settings.model_dump())
