"""ParticleNet for glasses: a dynamic graph network on periodic neighbours.

The first block reads the k periodic nearest neighbours and the vectors to them; each later block finds its neighbours
anew in the features of the block before. H. Qu and L. Gouskos, Phys. Rev. D 101, 056019 (2020).
"""

import torch
from torch import Tensor, nn

from glassformer.core.run import NetworkSettings
from glassformer.network.edgeconv import EdgeConv
from glassformer.network.feature_neighbors import feature_neighbors

SPECIES = 2
# The vector to the neighbour and its length.
EDGE_FEATURES = 4


class ParticleNet(nn.Module):
    """EdgeConv blocks, a global pool over particles, fully connected layers: one output a configuration and target.

    Invariant under permutations, translations and periodic images. Not under rotations: it sees the components of the
    vectors; train it with `symmetry_augmentation`.
    """

    def __init__(self, settings: NetworkSettings, outputs: int) -> None:
        super().__init__()
        self.neighbors = settings.neighbors
        self.global_pool = settings.global_pool
        blocks = []
        features, edge_features = SPECIES, EDGE_FEATURES
        for widths in settings.blocks:
            blocks.append(EdgeConv(features, edge_features, widths, settings.aggregation))
            features, edge_features = widths[-1], 0
        self.blocks = nn.ModuleList(blocks)
        head: list[nn.Module] = []
        for width in settings.fully_connected:
            head += [nn.Linear(features, width), nn.ReLU(), nn.Dropout(settings.dropout)]
            features = width
        self.head = nn.Sequential(*head, nn.Linear(features, outputs))

    def forward(self, species: Tensor, neighbors: Tensor, vectors: Tensor, counts: tuple[int, ...]) -> Tensor:
        """Return the outputs (B, K).

        species (M,) int64; neighbors (M, k) int64, indices into the batch; vectors (M, k, 3), r_j - r_i by minimum
        image; counts, the particles of each of the B graphs, laid end to end.
        """
        features = nn.functional.one_hot(species, SPECIES).to(vectors.dtype)
        edges = torch.cat([vectors, vectors.norm(dim=-1, keepdim=True)], -1)
        features = self.blocks[0](features, neighbors, edges)
        for block in self.blocks[1:]:
            features = block(features, feature_neighbors(features, counts, self.neighbors))
        parts = torch.split(features, list(counts))
        pooled = torch.stack([part.amax(0) if self.global_pool == "max" else part.mean(0) for part in parts])
        outputs: Tensor = self.head(pooled)
        return outputs
