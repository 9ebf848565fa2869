"""What every network reads: the tensors of one or several graphs laid end to end."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class Graph(Protocol):
    """Graphs as tensors, M particles and E edges in all. `glassformer.graph.batch.GraphBatch` is one.

    | tensor | shape | meaning |
    |---|---|---|
    | species | (M,) int64 | 0 = A, 1 = B |
    | scalars | (M, S) | scalar inputs of each particle, in the order of the settings |
    | node_vectors | (M, V, 3) | vector inputs of each particle |
    | centers, neighbors | (E,) int64 | the ends i and j of each edge, indices into the batch, ordered by i |
    | vectors | (E, 3) | r_j - r_i |
    | counts | | particles of each graph |
    | positions, boxes | (M, 3), (B, 3) | for distances of particles that no edge joins; None unless the settings ask |

    In a nearest-neighbour graph every particle has k edges: E = M k.
    """

    @property
    def species(self) -> Tensor:
        """Species of every particle."""

    @property
    def scalars(self) -> Tensor:
        """Scalar inputs."""

    @property
    def node_vectors(self) -> Tensor:
        """Vector inputs."""

    @property
    def centers(self) -> Tensor:
        """First end of every edge."""

    @property
    def neighbors(self) -> Tensor:
        """Second end of every edge."""

    @property
    def vectors(self) -> Tensor:
        """Edge vectors."""

    @property
    def counts(self) -> tuple[int, ...]:
        """Particles of each graph."""

    @property
    def positions(self) -> Tensor | None:
        """Positions, where the settings' `reads_positions` asks for them."""

    @property
    def boxes(self) -> Tensor | None:
        """Edges of the periodic box of each graph, where there are positions."""


@dataclass(frozen=True, eq=False)
class InnerGraph:
    """A `Graph` made here: for a network inside another, or to try one from outside."""

    species: Tensor
    scalars: Tensor
    node_vectors: Tensor
    centers: Tensor
    neighbors: Tensor
    vectors: Tensor
    counts: tuple[int, ...]
    positions: Tensor | None = None
    boxes: Tensor | None = None
