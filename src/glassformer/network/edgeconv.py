"""Edge convolution.

    e_ij = phi([x_i, x_j - x_i, r_ij]),   y_i = ReLU(shortcut(x_i) + aggregate_j e_ij)

phi: layers of linear (no bias), batch norm, ReLU. Y. Wang et al., ACM Trans. Graph. 38, 146 (2019), section 3; the
block with its shortcut: H. Qu and L. Gouskos, Phys. Rev. D 101, 056019 (2020), fig. 1.

| symbol | variable |
|---|---|
| x_i | features (M, C) |
| r_ij | edges (M, k, E), first block only |
| j of i | neighbors (M, k) |
"""

import itertools
from typing import Literal

import torch
from torch import Tensor, nn

Aggregation = Literal["max", "mean"]


class EdgeConv(nn.Module):
    """One block: (M, C) features to (M, widths[-1])."""

    def __init__(self, features: int, edge_features: int, widths: tuple[int, ...], aggregation: Aggregation) -> None:
        super().__init__()
        self.aggregation = aggregation
        self.center = nn.Linear(features, widths[0], bias=False)
        self.difference = nn.Linear(features, widths[0], bias=False)
        self.edge = nn.Linear(edge_features, widths[0], bias=False) if edge_features else None
        self.first_norm = nn.BatchNorm1d(widths[0])
        layers: list[nn.Module] = []
        for width_in, width_out in itertools.pairwise(widths):
            layers += [nn.Linear(width_in, width_out, bias=False), nn.BatchNorm1d(width_out), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.shortcut = nn.Linear(features, widths[-1], bias=False)
        self.shortcut_norm = nn.BatchNorm1d(widths[-1])

    def forward(self, features: Tensor, neighbors: Tensor, edges: Tensor | None = None) -> Tensor:
        """Return the new features (M, widths[-1])."""
        # W_c x_i + W_d (x_j - x_i) is linear in x_i and x_j: applied to M particles, not to M k edges.
        difference = self.difference(features)
        hidden = (self.center(features) - difference)[:, None] + difference[neighbors]
        if self.edge is not None:
            hidden = hidden + self.edge(edges)
        particles, k, _ = hidden.shape
        hidden = torch.relu(self.first_norm(hidden.flatten(0, 1)))
        hidden = self.layers(hidden).view(particles, k, -1)
        pooled = hidden.amax(1) if self.aggregation == "max" else hidden.mean(1)
        shortcut: Tensor = self.shortcut_norm(self.shortcut(features))
        return torch.relu(shortcut + pooled)
