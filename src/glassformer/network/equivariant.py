"""Message passing with scalars and vectors of every particle, equivariant under rotations.

One round, with d = r_ij / r_ij in the structure of the graph and the moments Y of degree l = 0, 1, 2 of directions:

    h_ij = silu(A s_i + B s_j + R e_ij + C (v_i . d) + D (v_j . d))
    T^l_i = (1/c) sum_j f_c(r_ij) h_ij Y^l(d),   t_i = (1/c) sum_j f_c(r_ij) h_ij v_j
    u^l_i = V^l T^l_i
    [ds, g, g'] = phi(s_i, T^0_i, |u^1_i|, |u^2_i|, (P v_i) . (Q v_i))
    s_i <- s_i + ds,   v_i <- (1 + g) v_i + g' (u^1_i + t_i)

Capital letters are linear maps of channels, without bias where they act on vectors; phi: batch norm, linear, silu,
dropout, linear. Structures of particles differ by little beside what they have in common, and a batch norm takes that
off; predictions use the statistics of the training set. Every round has weights of its own and reads layer norms of s.
s starts from a linear map of the node scalars and the lengths of node vectors; v from one of the node vectors and of
(1/c) sum_j f_c e_ij d. The features are s and the lengths of v after the last round, and averages over neighbors of a
linear map x^(0) of them,

    x_i^(n) = (x_i^(n-1) + sum_j f_c(r_ij) x_j^(n-1)) / (1 + sum_j f_c(r_ij)),

as in E. Boattini, F. Smallenburg and L. Filion, Phys. Rev. Lett. 127, 088007 (2021); all batch normalised.

e_ij: Gaussians of the distance; for each node vector w, |w_j - w_i| and (w_j - w_i) . d; and where w is the
displacement to the inherent structure, Gaussians of the distance in the other structure, |r_ij -+ (w_j - w_i)|. The
cutoff function f_c(r) = (1 + cos(pi r / r_c)) / 2 is that of J. Behler, J. Chem. Phys. 134, 074106 (2011), eq. (4).

Vectors and gates follow K. T. Schuett, O. T. Unke and M. Gastegger, ICML (2021), arXiv:2102.03150; moments of edge
features times directions follow L. Zhang et al., NeurIPS (2018), arXiv:1805.09003. As h_ij enters sums linearly, the
layer after them is applied to particles and not to edges.

| symbol | variable |
|---|---|
| s_i | scalars (M, W) |
| v_i | vectors (M, 3, V) |
| e_ij | `Edges.features` (M, K, F) |
| f_c Y^l(d) | `Edges.moments` (M, 1 + 3 + 5, K), l = 2 only if `degree` is 2 |
| h_ij | hidden (M, K, W) |
| T^0, T^1, T^2 | sums (M, 1 + 3 + 5, W) |

Every particle has K places for neighbors, K the largest number that one has: sums are then matrix products. f_c = 0
in places that are empty.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glassformer.core.network_kinds import EquivariantSettings
from glassformer.network.interface import Graph

# Sums over neighbors are divided by this, so that they are of order one in a dense liquid.
_TYPICAL_SUM = 10.0
# Gaussians start at this part of the cutoff: nearer pairs do not occur in a liquid with a cutoff of two diameters.
_FIRST_GAUSSIAN = 0.35
# Of squared lengths, so that lengths have gradients at zero.
_SMALL = 1e-4
# Rows of the moments of each degree.
_DEGREES = {1: (1, 3), 2: (1, 3, 5)}


@dataclass(frozen=True, eq=False)
class Edges:
    """Places for K neighbors of each of M particles, and what is known of each pair.

    neighbors (M K,) indices; ones_and_directions (M, K, 4); features (M, K, F); moments (M, 4 or 9, K).
    """

    neighbors: Tensor
    ones_and_directions: Tensor
    features: Tensor
    moments: Tensor

    @property
    def directions(self) -> Tensor:
        """Unit vectors d (M, K, 3)."""
        return self.ones_and_directions[..., 1:]


class Places:
    """K places for the neighbors of each particle, filled in the order of the graph's edges."""

    def __init__(self, graph: Graph) -> None:
        self.particles, centers = len(graph.species), graph.centers
        if centers.is_meta:
            # Without contents the numbers of neighbors are not known: as if all were alike.
            self.most = -(-len(centers) // self.particles)
            self.taken = centers
            return
        counts = torch.bincount(centers, minlength=self.particles)
        self.most = max(1, int(counts.max()))
        first = counts.cumsum(0) - counts
        self.taken = centers * self.most + torch.arange(len(centers), device=centers.device) - first[centers]

    def put(self, values: Tensor) -> Tensor:
        """Return `values` (E, ...) of the edges in their places, (M, K, ...); zero where a place is empty."""
        flat = values.new_zeros(self.particles * self.most, *values.shape[1:])
        return flat.index_copy(0, self.taken, values).view(self.particles, self.most, *values.shape[1:])


def lengths(vectors: Tensor, dim: int) -> Tensor:
    """Return sqrt(v^2 + small) of `vectors` along `dim`: smooth at zero."""
    return (vectors.square().sum(dim) + _SMALL).sqrt()


def moments(directions: Tensor, degree: int) -> Tensor:
    """Return 1, d and, for `degree` 2, the five quadrupoles of unit vectors d (M, K, 3), side by side, (M, K, 4 or 9).

    Those of each degree are orthogonal and of the norm of d to the power of the degree: their squared sums over
    neighbors are invariant.
    """
    x, y, z = directions.unbind(-1)
    columns = [torch.ones_like(x), x, y, z]
    if degree > 1:
        root = math.sqrt(3)
        columns += [root * x * y, root * y * z, root * x * z, root / 2 * (x * x - y * y)]
        columns += [z * z - (x * x + y * y) / 2]
    return torch.stack(columns, -1)


class Round(nn.Module):
    """One round of messages: new scalars and vectors of every particle."""

    def __init__(self, settings: EquivariantSettings, edge_features: int) -> None:
        super().__init__()
        width, self.vectors = settings.width, settings.vectors
        self.degrees = _DEGREES[settings.degree]
        self.norm = nn.LayerNorm(width)
        self.of_center = nn.Linear(width, width)
        self.of_neighbor = nn.Linear(width, width, bias=False)
        self.of_edge = nn.Linear(edge_features, width, bias=False)
        self.of_own_vectors = nn.Linear(self.vectors, width, bias=False)
        self.of_their_vectors = nn.Linear(self.vectors, width, bias=False)
        self.turn = nn.Linear(self.vectors, 2 * self.vectors, bias=False)
        self.mix = nn.ModuleList(nn.Linear(width, self.vectors, bias=False) for _ in self.degrees[1:])
        invariants = 2 * width + len(self.degrees) * self.vectors
        self.update = nn.Sequential(
            nn.BatchNorm1d(invariants),
            nn.Linear(invariants, width),
            nn.SiLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(width, width + 2 * self.vectors),
        )

    def forward(self, scalars: Tensor, vectors: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        """Return the scalars (M, W) and vectors (M, 3, V) after the round."""
        known = self.norm(scalars)
        sums, carried = self._gather(known, vectors, edges)
        zeroth, *others = torch.split(sums, list(self.degrees), 1)
        mixed = [mix(part) for mix, part in zip(self.mix, others, strict=True)]
        one, other = self.turn(vectors).chunk(2, -1)
        invariants = [known, zeroth[:, 0], (one * other).sum(1), *(lengths(part, 1) for part in mixed)]
        changes: Tensor = self.update(torch.cat(invariants, 1))
        change, keep, take = torch.split(changes, [scalars.shape[1], self.vectors, self.vectors], 1)
        return scalars + change, vectors * (1 + keep[:, None]) + (mixed[0] + carried) * take[:, None]

    def _gather(self, scalars: Tensor, vectors: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        """Return T^l (M, 4 or 9, W) and t (M, 3, V)."""
        shape = edges.directions.shape[:2]
        # index_select's gradient is several times as fast as that of indexing by brackets.
        theirs = vectors.flatten(1).index_select(0, edges.neighbors).view(*shape, 3, self.vectors)
        of_neighbor = self.of_neighbor(scalars).index_select(0, edges.neighbors).view(*shape, -1)
        hidden = self.of_edge(edges.features) + of_neighbor
        hidden = hidden + self.of_their_vectors((edges.directions[..., None] * theirs).sum(2))
        # A s_i + C v_i . d = [1, d] . [A s_i, C v_i]: one product, which adds to the rest.
        own = torch.cat([self.of_center(scalars)[:, None], self.of_own_vectors(vectors)], 1)
        hidden = nn.functional.silu(torch.baddbmm(hidden, edges.ones_and_directions, own))
        weighted = hidden[:, :, : self.vectors] * edges.moments[:, 0, :, None]
        return edges.moments @ hidden, (weighted[:, :, None] * theirs).sum(1)


class Equivariant(nn.Module):
    """Rounds of messages on scalars and vectors: a graph in, features (M, features) of every particle out.

    Features are invariant under permutations, rotations and reflections and, without the input 'position', translations
    and periodic images; inside, vectors turn with the structure. Continuous in the positions.
    """

    def __init__(self, settings: EquivariantSettings) -> None:
        super().__init__()
        self.averages = settings.averages
        self.features = settings.width + settings.vectors + settings.averages * settings.averaged
        self.cutoff, self.gaussians, self.degree = settings.cutoff, settings.radial_functions, settings.degree
        self.other = (
            settings.vector_inputs.index("inherent-displacement")
            if "inherent-displacement" in settings.vector_inputs
            else None
        )
        self.sign = -1.0 if settings.structure == "inherent" else 1.0
        inputs = len(settings.vector_inputs)
        edge_features = self.gaussians * (1 if self.other is None else 2) + 2 * inputs
        self.embed = nn.Linear(settings.scalars + inputs, settings.width)
        self.embed_vectors = nn.Linear(inputs + edge_features, settings.vectors, bias=False)
        self.rounds = nn.ModuleList(Round(settings, edge_features) for _ in range(settings.steps))
        local = settings.width + settings.vectors
        self.to_average = nn.Linear(local, settings.averaged) if settings.averages else None
        self.norm = nn.BatchNorm1d(self.features)

    def forward(self, graph: Graph) -> Tensor:
        """Return the features (M, features)."""
        edges = self.edges(graph)
        node = graph.node_vectors
        scalars = self.embed(torch.cat([graph.scalars, lengths(node, -1)], 1))
        asymmetry = edges.moments[:, 1:4] @ edges.features
        vectors = self.embed_vectors(torch.cat([node.transpose(1, 2), asymmetry], 2))
        for one in self.rounds:
            scalars, vectors = one(scalars, vectors, edges)
        found = [torch.cat([scalars, lengths(vectors, 1)], 1)]
        if self.to_average is not None:
            found += self._averages(self.to_average(found[0]), edges)
        features: Tensor = self.norm(torch.cat(found, 1))
        return features

    def _averages(self, values: Tensor, edges: Edges) -> list[Tensor]:
        """Return x^(1) ... x^(n) of `values` x^(0) (M, C)."""
        weights = edges.moments[:, :1] * _TYPICAL_SUM
        whole = 1 + weights.sum(2)
        found = []
        for _ in range(self.averages):
            theirs = values.index_select(0, edges.neighbors).view(len(values), -1, values.shape[1])
            values = (values + (weights @ theirs)[:, 0]) / whole
            found.append(values)
        return found

    def edges(self, graph: Graph) -> Edges:
        """Return what is known of every pair."""
        places = Places(graph)
        neighbors = places.put(graph.neighbors).flatten()
        pairs = places.put(graph.vectors)
        # Rounding may put a neighbor a little beyond the cutoff.
        distances = lengths(pairs, -1).clamp(max=self.cutoff)
        directions = pairs / distances[..., None]
        inside = places.put(torch.ones_like(graph.vectors[:, 0]))
        envelope = inside * (1 + torch.cos(math.pi / self.cutoff * distances)) / 2
        node = graph.node_vectors
        theirs = node.index_select(0, neighbors).view(*pairs.shape[:2], *node.shape[1:])
        relative = theirs - node[:, None]
        features = [self.radial(distances), lengths(relative, -1), (relative @ directions[..., None])[..., 0]]
        if self.other is not None:
            features.append(self.radial(lengths(pairs + self.sign * relative[:, :, self.other], -1)))
        weights = moments(directions, self.degree) * (envelope / _TYPICAL_SUM)[..., None]
        with_ones = torch.cat([torch.ones_like(directions[..., :1]), directions], -1)
        return Edges(neighbors, with_ones, torch.cat(features, -1), weights.transpose(1, 2))

    def radial(self, distances: Tensor) -> Tensor:
        """Return Gaussians of `distances` (M, K), as (M, K, gaussians)."""
        spacing = self.cutoff * (1 - _FIRST_GAUSSIAN) / max(1, self.gaussians - 1)
        numbers = torch.arange(self.gaussians, dtype=distances.dtype, device=distances.device)
        offsets = (distances[..., None] - _FIRST_GAUSSIAN * self.cutoff) / spacing - numbers
        # Not less than e^-30: products with denormal numbers are slow.
        return torch.exp((offsets.square() / -2).clamp(min=-30.0))
