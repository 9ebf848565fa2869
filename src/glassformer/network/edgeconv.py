"""Edge convolution.

    e_ij = phi([x_i, x_j - x_i, r_ij]),   y_i = ReLU(shortcut(x_i) + aggregate_j e_ij)

phi: layers of linear (no bias), norm, ReLU. Y. Wang et al., ACM Trans. Graph. 38, 146 (2019), section 3; the block
with its shortcut: H. Qu and L. Gouskos, Phys. Rev. D 101, 056019 (2020), fig. 1.

| symbol | variable |
|---|---|
| x_i | features (M, C) |
| r_ij | edges (M, k, E), first block only |
| j of i | neighbors (M, k) |
"""

import itertools
from typing import cast

import torch
from torch import Tensor, nn

from glassformer.core.network_kinds import ParticleNetSettings
from glassformer.network.fused_backward import EdgeBackward, WayBack, fused_aggregate
from glassformer.network.fused_edgeconv import EdgeStack
from glassformer.network.fused_gpu import GpuBackward, GpuStack, can_fuse, products_of

# Edges that the plain way works on at once where it can.
PLAIN_EDGES = 100_000


class EdgeConv(nn.Module):
    """One block: (M, C) features to (M, widths[-1])."""

    # Also on a CPU, where Triton's interpreter runs them: for tests.
    kernels_of_gpu = False

    def __init__(
        self, features: int, edge_features: int, widths: tuple[int, ...], settings: ParticleNetSettings
    ) -> None:
        super().__init__()
        self.aggregation = settings.aggregation
        self.features = features
        # With no norm after it a layer needs its own bias.
        bias = settings.norm == "none"
        sizes = (2 * features + edge_features, *widths)
        self.linears = nn.ModuleList(nn.Linear(a, b, bias=bias) for a, b in itertools.pairwise(sizes))
        self.norms = nn.ModuleList(make_norm(width, settings) for width in widths)
        self.shortcut = nn.Linear(features, widths[-1], bias=bias)
        self.shortcut_norm = make_norm(widths[-1], settings)

    def forward(self, features: Tensor, neighbors: Tensor, edges: Tensor | None = None) -> Tensor:
        """Return the new features (M, widths[-1])."""
        if not self._can_fuse(features):
            return self._finish(features, self.aggregate(features, neighbors, edges))
        # The fused way has its own products in bfloat16; all else stays in float32.
        kind = features.device.type
        bfloat16 = torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.bfloat16
        with torch.autocast(kind, enabled=False):
            return self._finish(features, self.fused_aggregate(features, neighbors, edges, bfloat16))

    def _finish(self, features: Tensor, aggregated: Tensor) -> Tensor:
        shortcut: Tensor = self.shortcut_norm(self.shortcut(features))
        return torch.relu(shortcut + aggregated)

    def fused_aggregate(
        self, features: Tensor, neighbors: Tensor, edges: Tensor | None = None, bfloat16: bool = False
    ) -> Tensor:
        """Return the same as `aggregate`, by `fused_edgeconv` or on a GPU by `fused_gpu`, where `_can_fuse`.

        In evaluation the result carries no gradient. `bfloat16`: matrix products of edges in that precision.
        """
        parts = self.first_layer(features, edges)
        weights = [cast(nn.Linear, linear).weight for linear in self.linears[1:]]
        norms = [cast(nn.BatchNorm1d, norm) for norm in self.norms]
        stack: EdgeStack | GpuStack
        back: WayBack
        if features.device.type == "cpu" and not self.kernels_of_gpu:
            stack, back = EdgeStack(parts, neighbors, weights, norms, self.aggregation, bfloat16), EdgeBackward
        else:
            stack, back = GpuStack(parts, neighbors, weights, norms, products_of(bfloat16)), GpuBackward
        return fused_aggregate(stack, back, parts, weights) if self.training else stack.forward(training=False)

    def _can_fuse(self, features: Tensor) -> bool:
        return (
            len(self.linears) > 1
            # Norms may be frozen while the rest trains, all of them; measure in evaluation they may not.
            and all(isinstance(norm, nn.BatchNorm1d) for norm in self.norms)
            and {norm.training for norm in self.norms} in ({self.training}, {False})
            and (features.device.type == "cpu" or (features.device.type == "cuda" and self._gpu_can_fuse()))
            and not torch.compiler.is_compiling()
            and features.dtype == torch.float32
            and (self.training or not torch.is_grad_enabled())
        )

    def _gpu_can_fuse(self) -> bool:
        return can_fuse([cast(nn.Linear, linear).out_features for linear in self.linears], self.aggregation)

    def aggregate(self, features: Tensor, neighbors: Tensor, edges: Tensor | None = None) -> Tensor:
        """Return aggregate_j e_ij (M, widths[-1]), by plain operations: the reference for `fused_edgeconv`."""
        parts = self.first_layer(features, edges)
        statistics = self.training and any(isinstance(norm, nn.BatchNorm1d) for norm in self.norms)
        if torch.is_grad_enabled() or statistics:
            return self._layers(parts, neighbors)
        # Nothing is kept and nothing depends on all edges: block by block, so that memory does not grow with them.
        rows_at_once = max(1, PLAIN_EDGES // neighbors.shape[1])
        blocks = torch.split(torch.arange(len(neighbors), device=features.device), rows_at_once)
        center, neighbor, edge = parts
        return torch.cat(
            [
                self._layers((center[rows], neighbor, None if edge is None else edge[rows]), neighbors[rows])
                for rows in blocks
            ]
        )

    def _layers(self, parts: tuple[Tensor, Tensor, Tensor | None], neighbors: Tensor) -> Tensor:
        per_center, per_neighbor, per_edge = parts
        # index_select's gradient is several times as fast as that of indexing by brackets.
        gathered = per_neighbor.index_select(0, neighbors.flatten()).view(*neighbors.shape, -1)
        hidden = per_center[:, None] + gathered
        if per_edge is not None:
            hidden = hidden + per_edge
        hidden = torch.relu(self.norms[0](hidden.flatten(0, 1)))
        for linear, norm in zip(self.linears[1:], self.norms[1:], strict=True):
            hidden = torch.relu(norm(linear(hidden)))
        hidden = hidden.view(*neighbors.shape, -1)
        return hidden.max(1).values if self.aggregation == "max" else hidden.mean(1)

    def first_layer(self, features: Tensor, edges: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return its parts: a (M, W) of centers, b (M, W) of neighbours and c (M, k, W) of edges or None.

        W_c x_i + W_d (x_j - x_i) = (W_c - W_d) x_i + W_d x_j is linear in x_i and x_j: applied to M particles, not to
        M k edges.
        """
        first = cast(nn.Linear, self.linears[0])
        of_edge = first.in_features - 2 * self.features
        center, difference, edge = torch.split(first.weight, [self.features, self.features, of_edge], dim=1)
        per_center = nn.functional.linear(features, center - difference, first.bias)
        per_neighbor = nn.functional.linear(features, difference)
        return per_center, per_neighbor, None if edges is None else nn.functional.linear(edges, edge)


def make_norm(width: int, settings: ParticleNetSettings) -> nn.Module:
    """Return the normalisation that `settings` ask for, of `width` channels."""
    if settings.norm == "batch":
        return nn.BatchNorm1d(width, eps=settings.norm_epsilon, momentum=settings.norm_momentum)
    if settings.norm == "layer":
        return nn.LayerNorm(width, eps=settings.norm_epsilon)
    return nn.Identity()
