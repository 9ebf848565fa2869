"""Networks by name: an encoder that gives every particle features, and a head that makes outputs of them."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from glassformer.core.network_settings import NetworkSettings
from glassformer.network.continuous_filter import ContinuousFilter
from glassformer.network.heads import ParticleHead, SystemHead
from glassformer.network.interface import Graph
from glassformer.network.message_passing import MessagePassing
from glassformer.network.particlenet import ParticleNet

# Each takes its settings, has an attribute `features`, and maps a graph to particle features (M, features).
ENCODERS: dict[str, Callable[[Any], nn.Module]] = {
    "particlenet": ParticleNet,
    "message-passing": MessagePassing,
    "continuous-filter": ContinuousFilter,
}


class Network(nn.Module):
    """An encoder and a head: a graph in, outputs (B, K) or, with a particle head, (M, K) out."""

    def __init__(self, settings: NetworkSettings, outputs: int) -> None:
        super().__init__()
        self.encoder = ENCODERS[settings.name](settings)
        features = int(self.encoder.features)  # type: ignore[arg-type]
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
    """Return the network that `settings` describe, with `outputs` targets, untrained."""
    return Network(settings, outputs)
