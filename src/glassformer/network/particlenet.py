"""ParticleNet: a dynamic graph network.

The first block reads each particle's nearest neighbours in space; each later block finds its neighbours again in the
features of the block before. H. Qu and L. Gouskos, Phys. Rev. D 101, 056019 (2020).
"""

import torch
from torch import Tensor, nn

from glassformer.core.network_kinds import ParticleNetSettings
from glassformer.network.edgeconv import EdgeConv
from glassformer.network.feature_neighbors import feature_neighbors
from glassformer.network.interface import Graph

# The vector to the neighbour and its length.
EDGE_FEATURES = 4


class ParticleNet(nn.Module):
    """Edge convolutions: a graph in, features (M, features) of every particle out.

    Invariant under permutations and, with the inputs and graph of the glass presets, translations and periodic images.
    Not under rotations: it sees the components of vectors; train it with augmentation.
    """

    def __init__(self, settings: ParticleNetSettings) -> None:
        super().__init__()
        self.neighbors = settings.neighbors
        self.edge_vectors = settings.edge_vectors
        features = settings.scalars + 3 * len(settings.vector_inputs)
        self.input_norm = (
            nn.BatchNorm1d(features, eps=settings.norm_epsilon, momentum=settings.norm_momentum)
            if settings.input_norm
            else nn.Identity()
        )
        blocks = []
        edge_features = EDGE_FEATURES if settings.edge_vectors else 0
        for widths in settings.blocks:
            blocks.append(EdgeConv(features, edge_features, widths, settings))
            features, edge_features = widths[-1], 0
        self.blocks = nn.ModuleList(blocks)
        self.features = features

    def forward(self, graph: Graph) -> Tensor:
        """Return the features (M, features); `graph` has k edges a particle."""
        features: Tensor = self.input_norm(torch.cat([graph.scalars, graph.node_vectors.flatten(1)], 1))
        neighbors = graph.neighbors.view(-1, self.neighbors)
        edges = None
        if self.edge_vectors:
            lengths = graph.vectors.norm(dim=-1, keepdim=True)
            edges = torch.cat([graph.vectors, lengths], -1).view(*neighbors.shape, EDGE_FEATURES)
        features = self.blocks[0](features, neighbors, edges)
        for block in self.blocks[1:]:
            features = block(features, feature_neighbors(features, graph.counts, self.neighbors))
        return features
