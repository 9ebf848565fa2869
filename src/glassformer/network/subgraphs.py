"""Subgraph aggregation: a network over a bag of subgraphs tells apart what it cannot tell apart in the graph.

Every particle r of the graph G gives one subgraph, S_r: the particles joined to r by an edge no longer than the radius,
and all edges of G between them; with r itself, marked ('ego'), or without it ('node-deleted').

    h_i^r = E([s_i, mark]; S_r)_i             for every subgraph r and each of its particles i
    a_r = mean of h_i^r over the particles of S_r
    m_i, b_i = mean of h_i^r and of silu(P a_r) over the bag of i: the subgraphs that hold it
    x_i = F([s_i, m_i, b_i]; G)_i             the features

E and F are encoders of the same settings, each with weights of its own; s_i are the scalar inputs. E is the same for
all subgraphs. Means over no subgraph are zero.

B. Bevilacqua et al., Equivariant Subgraph Aggregation Networks, ICLR (2022), arXiv:2110.02910. Kept: the policies EGO+
(depth 1) and ND; a shared encoder, equivariant to the order of the subgraphs; the two parts of DSS-GNN, one on each
subgraph and one on the whole graph with what the subgraphs say of each particle; invariant pooling over subgraph and
bag; and random sub-bags in training. Not kept: ND deletes a particle from the whole graph, N subgraphs of N particles;
here only the neighborhood of the deleted particle is looked at, so that the cost is linear in N. The two parts
alternate there in every layer; here E runs through all its rounds on the subgraphs, then F on the graph. Predictions
there are a vote of several sub-bags; here they use the whole bag, so nothing is random.

A distance-only E on an ego network knows which neighbors of r are neighbors of each other, which it does not know from
G (`benchmarks.expressivity`).

| symbol | variable |
|---|---|
| the pairs (r, i), C in all | `Bag.roots`, `Bag.particles` (C,), ordered by r, then i |
| edges of all S_r | `Bag.centers`, `Bag.neighbors`, indices of pairs; `Bag.edges`, of the edges of G |
| h | copies (C, W) |
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glassformer.core.network_kinds import SubgraphsSettings
from glassformer.core.network_settings import CutoffGraph
from glassformer.network.interface import Graph, InnerGraph
from glassformer.network.registry import encoder_class
from glassformer.network.scatter import sum_edges

# Pairs whose edges are looked for at a time.
_PAIRS = 16_384


@dataclass(frozen=True, eq=False)
class Bag:
    """The subgraphs of a graph, laid end to end; see the table above."""

    roots: Tensor
    particles: Tensor
    centers: Tensor
    neighbors: Tensor
    edges: Tensor


def bag_of(graph: Graph, radius: float, with_root: bool, kept: Tensor) -> Bag:
    """Return the subgraphs of `graph` whose roots are `kept` (M,) bool."""
    particles = len(graph.species)
    near = (graph.vectors.detach().norm(dim=-1) <= radius) & kept[graph.centers]
    roots, members = graph.centers[near], graph.neighbors[near]
    if with_root:
        own = kept.nonzero()[:, 0]
        roots, members = torch.cat([roots, own]), torch.cat([members, own])
    names = (roots * particles + members).sort().values
    roots, members = names // particles, names % particles
    # The edges of a particle stand one after the other.
    degree = torch.bincount(graph.centers, minlength=particles)
    first = degree.cumsum(0) - degree
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for start in range(0, len(names), _PAIRS):
        part = slice(start, start + _PAIRS)
        number = degree[members[part]]
        pair = torch.repeat_interleave(torch.arange(len(number), device=names.device), number)
        place = torch.arange(len(pair), device=names.device) - (number.cumsum(0) - number)[pair]
        edge = first[members[part]][pair] + place
        wanted = roots[part][pair] * particles + graph.neighbors[edge]
        other = torch.searchsorted(names, wanted).clamp(max=len(names) - 1)
        there = names[other] == wanted
        found.append((pair[there] + start, other[there], edge[there]))
    empty = names.new_zeros(0)
    centers, others, edges = (
        (torch.cat([empty, *parts]) for parts in zip(*found, strict=True)) if found else [empty] * 3
    )
    return Bag(roots, members, centers, others, edges)


def _imagined(graph: Graph, radius: float, cutoff: float, with_root: bool) -> Bag:
    """Return a bag without contents, of the sizes that particles in random places would give it."""
    particles, share = len(graph.species), radius / cutoff
    members = max(1, round(len(graph.centers) / particles * share**3))
    # Two points in a ball of radius R are nearer than c = x R with probability x^3 - 9 x^4 / 16 + x^6 / 32.
    x = min(2.0, 1 / share)
    joined = members * (members - 1) * (x**3 - 9 * x**4 / 16 + x**6 / 32) + 2 * members * with_root
    pairs, edges = (graph.centers.new_zeros(particles * round(n)) for n in (members + with_root, joined))
    return Bag(pairs, pairs, edges, edges, edges)


class Subgraphs(nn.Module):
    """E over the bag, F over the graph: a graph in, features (M, features) of every particle out.

    Invariant as E and F are: under permutations, and under rotations if they are. A particle that enters a subgraph
    makes the features jump.
    """

    def __init__(self, settings: SubgraphsSettings) -> None:
        super().__init__()
        graph, encoder = settings.graph, encoder_class(settings.base.name)
        assert isinstance(graph, CutoffGraph)
        self.radius, self.cutoff, self.marked = settings.radius, graph.cutoff, settings.policy == "ego"
        self.of_subgraph = encoder(settings.inside(int(self.marked)))
        width = int(self.of_subgraph.features)  # type: ignore[arg-type]
        self.summarize = nn.Sequential(nn.Linear(width, width), nn.SiLU())
        self.of_graph = encoder(settings.inside(2 * width))
        self.features = int(self.of_graph.features)  # type: ignore[arg-type]
        # As a dropout: what measures batch norms over the training set switches those off.
        self.draw = nn.Dropout(1 - settings.bag)

    def forward(self, graph: Graph) -> Tensor:
        """Return the features (M, features)."""
        scalars = torch.cat([graph.scalars, *self._told_by_subgraphs(graph)], 1)
        features: Tensor = self.of_graph(_with(graph, scalars))
        return features

    def _told_by_subgraphs(self, graph: Graph) -> tuple[Tensor, Tensor]:
        """Return m and b, (M, W) each."""
        bag, number = self.bag(graph), len(graph.species)
        if not len(bag.roots):
            nothing = graph.scalars.new_zeros(number, int(self.of_subgraph.features))  # type: ignore[arg-type]
            return nothing, nothing
        copies = self.of_subgraph(self._laid_out(graph, bag))
        of_root = _mean(copies, bag.roots, number)
        told = self.summarize(of_root).index_select(0, bag.roots)
        return _mean(copies, bag.particles, number), _mean(told, bag.particles, number)

    def bag(self, graph: Graph) -> Bag:
        """Return the subgraphs of `graph`; in training, a random share of them."""
        if graph.centers.is_meta:
            return _imagined(graph, self.radius, self.cutoff, self.marked)
        kept = self.draw(torch.ones(len(graph.species), device=graph.species.device)) > 0
        return bag_of(graph, self.radius, self.marked, kept)

    def _laid_out(self, graph: Graph, bag: Bag) -> Graph:
        """Return the subgraphs side by side as one graph."""
        scalars = graph.scalars.index_select(0, bag.particles)
        if self.marked:
            mark = (bag.roots == bag.particles).to(scalars.dtype)
            scalars = torch.cat([scalars, mark[:, None]], 1)
        return InnerGraph(
            graph.species[bag.particles],
            scalars,
            graph.node_vectors.index_select(0, bag.particles),
            bag.centers,
            bag.neighbors,
            graph.vectors.index_select(0, bag.edges),
            (len(bag.particles),),
        )


def _with(graph: Graph, scalars: Tensor) -> Graph:
    """Return `graph` with other `scalars`."""
    edges = graph.centers, graph.neighbors, graph.vectors
    return InnerGraph(graph.species, scalars, graph.node_vectors, *edges, graph.counts)


def _mean(values: Tensor, places: Tensor, number: int) -> Tensor:
    """Return the means (number, W) of the rows of `values` (C, W) with the same place; zero where there is none."""
    ones = values.new_ones(len(values), 1)
    return sum_edges(values, places, number) / sum_edges(ones, places, number).clamp(min=1)
