"""Networks by name."""

from collections.abc import Callable

from torch import nn

from glassformer.core.run import NetworkSettings
from glassformer.network.particlenet import ParticleNet

NETWORKS: dict[str, Callable[[NetworkSettings, int], nn.Module]] = {"particlenet": ParticleNet}


def build_network(settings: NetworkSettings, outputs: int) -> nn.Module:
    """Return the network that `settings` describe, with `outputs` targets, untrained."""
    return NETWORKS[settings.name](settings, outputs)
