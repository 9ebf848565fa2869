"""Message passing on a static graph.

    n_i = phi_n(x_i),   e_ij = phi_e(r_ij)                                          encoder
    e'_ij = psi_e([e_ij, e^0_ij, n_i, n^0_i, n_j, n^0_j])                           core, the same weights every round
    n'_i = psi_n([sum_j e'_ij, n_i, n^0_i])

phi and psi: two layers of linear, ReLU. e^0 and n^0 are what the encoder gave, told again in every round.
V. Bapst et al., Nature Physics 16, 448 (2020), Methods.

| symbol | variable |
|---|---|
| x_i | scalars and components of the node vectors, side by side |
| r_ij = r_j - r_i | vectors (E, 3) |
| n_i, n^0_i | nodes, first_nodes (M, W) |
| e_ij, e^0_ij | edges, first_edges (E, W) |
"""

from typing import cast

import torch
from torch import Tensor, nn

from glassformer.core.network_kinds import MessagePassingSettings
from glassformer.network.interface import Graph
from glassformer.network.scatter import sum_edges


def _perceptron(features: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())


class MessagePassing(nn.Module):
    """Encoder and recurrent core: a graph in, features (M, features) of every particle out. A head is the decoder.

    Invariant under permutations and, without the input 'position', translations and periodic images. Not under
    rotations: it sees the components of vectors; train it with augmentation. A neighbour that crosses the cutoff makes
    the features jump. As published, with one scalar and a decoder of widths 64, 64, it has 62 401 parameters; the
    published code's decoder has a further 8 320 for edges, which no output depends on.
    """

    def __init__(self, settings: MessagePassingSettings) -> None:
        super().__init__()
        width = self.features = settings.width
        self.steps = settings.steps
        self.encode_nodes = _perceptron(settings.scalars + 3 * len(settings.vector_inputs), width)
        self.encode_edges = _perceptron(3, width)
        self.update_edges = _perceptron(6 * width, width)
        self.update_nodes = _perceptron(3 * width, width)

    def forward(self, graph: Graph) -> Tensor:
        """Return the features (M, features)."""
        nodes: Tensor = self.encode_nodes(torch.cat([graph.scalars, graph.node_vectors.flatten(1)], 1))
        first_nodes = nodes
        edges = self.encode_edges(graph.vectors)
        # Linear in [e, e^0, n_i, n_j]: e^0 is multiplied once for all rounds, and n before the gather, for M particles
        # and not for the E edges: a third of the operations.
        first = cast(nn.Linear, self.update_edges[0])
        width = self.features
        of_edge, of_first, of_center, of_neighbor = torch.split(first.weight, [width, width, 2 * width, 2 * width], 1)
        constant = nn.functional.linear(edges, of_first, first.bias)
        for _ in range(self.steps):
            both = torch.cat([nodes, first_nodes], 1)
            hidden = constant + nn.functional.linear(edges, of_edge)
            # index_select's gradient is several times as fast as that of indexing by brackets.
            hidden += nn.functional.linear(both, of_center).index_select(0, graph.centers)
            hidden += nn.functional.linear(both, of_neighbor).index_select(0, graph.neighbors)
            edges = self.update_edges[1:](hidden)
            nodes = self.update_nodes(torch.cat([sum_edges(edges, graph.centers, len(nodes)), both], 1))
        return nodes
