"""A module of PyTorch Geometric as a network of glassformer: GINE convolutions of distances.

    pip install 'glassformer[pyg]'
    cd examples
    glassformer networks pyg_network.toml --check
    glassformer train pyg_run.toml DATASET --out training

pyg_network.toml is the table [network] of pyg_run.toml. W. Hu et al., Strategies for Pre-training Graph Neural
Networks, arXiv:1905.12265 (2019): x_i <- MLP(x_i + sum_j ReLU(x_j + W e_ij)), here with e_ij a radial basis of the
distance times a function that is 0 at the cutoff.
"""

import math

import torch
from torch import Tensor, nn
from torch_geometric.nn import GINEConv


class PyGNetwork(nn.Module):
    """Features of every particle from its species and the distances to its neighbors."""

    def __init__(self, scalars: int, cutoff: float, width: int = 32, layers: int = 2, radial: int = 16) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.register_buffer("places", torch.linspace(0.5, 1.0, radial) * cutoff)
        self.embed = nn.Linear(scalars, width)
        perceptrons = [
            nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)) for _ in range(layers)
        ]
        self.layers = nn.ModuleList(GINEConv(one, edge_dim=radial) for one in perceptrons)

    def forward(self, graph) -> Tensor:
        """Return features (M, width)."""
        # A length of 0 has no gradient.
        distances = (graph.vectors.square().sum(1, keepdim=True) + 1e-12).sqrt().clamp(max=self.cutoff)
        spacing = self.places[1] - self.places[0]
        radial = torch.exp(-((distances - self.places) / spacing).square() / 2)
        radial = radial * (1 + torch.cos(math.pi * distances / self.cutoff)) / 2
        edges = torch.stack([graph.neighbors, graph.centers])
        features = self.embed(graph.scalars)
        for layer in self.layers:
            features = features + layer(features, edges, radial)
        return features
