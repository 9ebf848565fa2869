"""Continuous-filter convolutions.

    x_i <- x_i + V(sum_j (W x_j) * F(r_ij)),   F(r) = f_c(r) phi(g(r)),   V = linear, ssp, linear

phi: linear, ssp, linear; every round has its own W, phi and V. Shifted softplus ssp(x) = ln(1 + e^x) - ln 2.

    g_k(r) = exp(-(r - k d)^2 / 2 d^2), k = 0 ... K - 1, d = r_c / (K - 1);   f_c(r) = (1 + cos(pi r / r_c)) / 2

K. T. Schütt et al., J. Chem. Phys. 148, 241722 (2018), section II; without a nonlinearity after phi's last layer and
with the cutoff, as in K. T. Schütt et al., J. Chem. Theory Comput. 15, 448 (2019). The cutoff is that of J. Behler,
J. Chem. Phys. 134, 074106 (2011), eq. (4): a neighbour that crosses it makes nothing jump.

| symbol | variable |
|---|---|
| x_i | features (M, W) |
| r_ij = abs(r_j - r_i) | distances (E,) |
| g_k(r_ij) | radial (E, K) |
| f_c(r_ij) | envelope (E, 1) |
"""

import math

import torch
from torch import Tensor, nn

from glassformer.core.network_kinds import ContinuousFilterSettings
from glassformer.network.interface import Graph
from glassformer.network.scatter import sum_edges


class ShiftedSoftplus(nn.Module):
    """ssp(x) = ln(1 + e^x) - ln 2: smooth, and zero at zero."""

    def forward(self, values: Tensor) -> Tensor:
        """Return ssp of every entry."""
        return nn.functional.softplus(values) - math.log(2)


def _perceptron(features: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, width), ShiftedSoftplus(), nn.Linear(width, width))


class Interaction(nn.Module):
    """One round: what is added to the features (M, W)."""

    def __init__(self, radial_functions: int, width: int) -> None:
        super().__init__()
        self.filter = _perceptron(radial_functions, width)
        self.project = nn.Linear(width, width, bias=False)
        self.update = _perceptron(width, width)

    def forward(self, features: Tensor, radial: Tensor, envelope: Tensor, graph: Graph) -> Tensor:
        """Return V(sum_j (W x_j) * F(r_ij))."""
        # index_select's gradient is several times as fast as that of indexing by brackets.
        messages = self.project(features).index_select(0, graph.neighbors) * self.filter(radial) * envelope
        update: Tensor = self.update(sum_edges(messages, graph.centers, len(features)))
        return update


class ContinuousFilter(nn.Module):
    """Rounds of interaction: a graph in, features (M, features) of every particle out.

    It reads distances to neighbours, and of node vectors their lengths alone: invariant under permutations, rotations
    and reflections and, without the input 'position', translations and periodic images. Continuous in the positions.
    """

    def __init__(self, settings: ContinuousFilterSettings) -> None:
        super().__init__()
        width = self.features = settings.width
        self.cutoff = settings.cutoff
        self.radial_functions = settings.radial_functions
        self.embed = nn.Linear(settings.scalars + len(settings.vector_inputs), width)
        self.interactions = nn.ModuleList(Interaction(self.radial_functions, width) for _ in range(settings.steps))

    def forward(self, graph: Graph) -> Tensor:
        """Return the features (M, features)."""
        features: Tensor = self.embed(torch.cat([graph.scalars, graph.node_vectors.norm(dim=-1)], 1))
        # Rounding may put a neighbour a little beyond the cutoff.
        distances = graph.vectors.norm(dim=-1).clamp(max=self.cutoff)
        envelope = (1 + torch.cos(math.pi / self.cutoff * distances[:, None])) / 2
        radial = self.radial_basis(distances)
        for interaction in self.interactions:
            features = features + interaction(features, radial, envelope, graph)
        return features

    def radial_basis(self, distances: Tensor) -> Tensor:
        """Return g_k(r) (E, K) of `distances` r (E,)."""
        spacing = self.cutoff / max(1, self.radial_functions - 1)
        places = torch.arange(self.radial_functions, dtype=distances.dtype, device=distances.device)
        return torch.exp(-(distances[:, None] / spacing - places).square() / 2)
