"""From a network's particle features to outputs: one a configuration, or one a particle."""

from typing import Literal

import torch
from torch import Tensor, nn


def _perceptron(features: int, widths: tuple[int, ...], dropout: float, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(features, width), nn.ReLU(), nn.Dropout(dropout)]
        features = width
    return nn.Sequential(*layers, nn.Linear(features, outputs))


def pool(features: Tensor, counts: tuple[int, ...], kind: Literal["max", "mean"]) -> Tensor:
    """Return the maximum or mean (B, F) of `features` (M, F) over the particles of each graph."""
    parts = torch.split(features, list(counts))
    return torch.stack([part.amax(0) if kind == "max" else part.mean(0) for part in parts])


class SystemHead(nn.Module):
    """Pool over particles, then fully connected layers: (M, F) to (B, K)."""

    def __init__(
        self, features: int, kind: Literal["max", "mean"], widths: tuple[int, ...], dropout: float, outputs: int
    ) -> None:
        super().__init__()
        self.kind: Literal["max", "mean"] = kind
        self.layers = _perceptron(features, widths, dropout, outputs)

    def forward(self, features: Tensor, counts: tuple[int, ...]) -> Tensor:
        """Return one row a graph."""
        outputs: Tensor = self.layers(pool(features, counts, self.kind))
        return outputs


class ParticleHead(nn.Module):
    """Fully connected layers on each particle's features: (M, F) to (M, K).

    With `context`, a kind of pooling, the pooled features of its graph stand beside each particle's own.
    """

    def __init__(
        self,
        features: int,
        context: Literal["max", "mean"] | None,
        widths: tuple[int, ...],
        dropout: float,
        outputs: int,
    ) -> None:
        super().__init__()
        self.context: Literal["max", "mean"] | None = context
        self.layers = _perceptron(features if context is None else 2 * features, widths, dropout, outputs)

    def forward(self, features: Tensor, counts: tuple[int, ...]) -> Tensor:
        """Return one row per particle."""
        if self.context is not None:
            sizes = torch.tensor(counts, device=features.device)
            of_graph = torch.repeat_interleave(pool(features, counts, self.context), sizes, 0)
            features = torch.cat([features, of_graph], 1)
        outputs: Tensor = self.layers(features)
        return outputs
