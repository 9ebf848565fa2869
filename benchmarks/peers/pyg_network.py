"""ParticleNet with the edge convolution of PyTorch Geometric; its parts have the names of `torch_worker`'s.

`DynamicEdgeConv` is `EdgeConv` after a search for neighbors by pyg-lib, which few machines have; here torch.cdist and
topk search, as in the plain network.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import EdgeConv as Convolution

from benchmarks.peers import torch_worker


class EdgeConv(torch_worker.EdgeConv):
    """The plain block, its edges PyTorch Geometric's."""

    def __init__(self, task: dict[str, Any], features: int, widths: list[int]) -> None:
        super().__init__(task, features, widths)
        pairs = zip(self.linears, self.norms, strict=True)
        layers = nn.Sequential(*(nn.Sequential(linear, norm, nn.ReLU()) for linear, norm in pairs))
        # The layers are this block's already: a list keeps them from being counted twice.
        self.convolution = [Convolution(layers, aggr="max")]

    def forward(self, points: Tensor, features: Tensor) -> Tensor:
        """Return the new features (B, N, widths[-1])."""
        graphs, particles, _ = features.shape
        with torch.no_grad():
            found = torch.cdist(points, points).topk(self.k + 1, largest=False).indices[..., 1:]
            neighbors = found + particles * torch.arange(graphs, device=found.device)[:, None, None]
            centers = torch.arange(graphs * particles, device=found.device).repeat_interleave(self.k)
        edges = self.convolution[0](features.flatten(0, 1), torch.stack([neighbors.flatten(), centers]))
        shortcut = torch_worker.over_last(self.shortcut_norm, self.shortcut(features))
        return torch.relu(shortcut + edges.view_as(shortcut))


class ParticleNet(torch_worker.ParticleNet):
    """The plain network, with these blocks."""

    block = EdgeConv
