"""Networks by name: an encoder that gives every particle features, and a head that makes outputs of them."""

from importlib import import_module

from torch import Tensor, nn

from glassformer.core.network_kinds import NETWORKS, OwnNetworkSettings
from glassformer.core.network_settings import NetworkSettings
from glassformer.network.heads import ParticleHead, SystemHead
from glassformer.network.interface import Graph
from glassformer.network.own import own_encoder


def encoder_class(name: str) -> type[nn.Module]:
    """Return the module of the network called `name`.

    It is made of its settings, has an attribute `features`, and takes a graph to particle features (M, features).
    """
    module, _, inside = NETWORKS[name].encoder.partition(":")
    found: type[nn.Module] = getattr(import_module(f"glassformer.network.{module}"), inside)
    return found


def _encoder(settings: NetworkSettings) -> tuple[nn.Module, int]:
    """Return the encoder of these `settings`, and its number of features."""
    if isinstance(settings, OwnNetworkSettings):
        return own_encoder(settings)
    encoder = encoder_class(settings.name)(settings)
    return encoder, int(encoder.features)  # type: ignore[arg-type]


class Network(nn.Module):
    """An encoder and a head: a graph in, outputs (B, K) or, with a particle head, (M, K) out."""

    def __init__(self, settings: NetworkSettings, outputs: int) -> None:
        super().__init__()
        self.encoder, features = _encoder(settings)
        shape = settings.fully_connected, settings.dropout, outputs
        self.head = (
            SystemHead(features, settings.global_pool, *shape)
            if settings.head == "system"
            else ParticleHead(features, settings.global_pool if settings.context else None, *shape)
        )

    def forward(self, graph: Graph) -> Tensor:
        """Return one row of outputs per configuration, or per particle."""
        outputs: Tensor = self.head(self.encoder(graph), graph.counts)
        return outputs


def build_network(settings: NetworkSettings, outputs: int) -> Network:
    """Return the network that `settings` describe, with `outputs` targets, untrained.

    Raises `NetworkError` if it is from outside and cannot be used.
    """
    return Network(settings, outputs)
