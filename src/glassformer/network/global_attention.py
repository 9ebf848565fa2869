"""Attention among all particles of a configuration, after convolution among neighbors.

Features of any encoder are projected to x_i; t is a learned readout token. Every layer, with LN a layer norm:

    x_i <- x_i + A(LN x_i; LN x),   x_i <- x_i + phi(LN x_i);   the same for t                    exact
    h_k = I_k + A'(LN I_k; LN x),   h_k <- h_k + phi'(LN h_k)                                     induced points
    x_i <- x_i + A(LN x_i; LN h),   x_i <- x_i + phi(LN x_i);   the same for t

    A(q; y)_i = O [sum_j softmax_j((Q q_i) . (K y_j) / sqrt(d)) V y_j],  heads side by side

By distance: particles attend to particles and to the token, with b_h(r_ij) and ln N added in the softmax,

    b_h(r) = f_c(r) sum_k w_hk cos(pi k r / R) for r < R, else 0;   f_c(r) = (1 + cos(pi r / R)) / 2

The part that goes to the token then tells sum_j exp(b_h(r_ij) + ...) / N. Without it a softmax would average equal
features to the same, whatever the distances.

phi: linear, silu, linear, twice as wide inside. The features of particle i are LN x_i and LN t of its configuration.

Convolution first, then a transformer and a readout token: Z. Wu et al., NeurIPS (2021), GraphTrans, arXiv:2201.08821.
Induced points I: the ISAB of J. Lee et al., Set Transformer, ICML (2019), arXiv:1810.00825, eqs. (9) and (10). Other
than there: layer norms come before attention (R. Xiong et al., ICML (2020), arXiv:2002.04745); without b the token
reads and is not read, so that two copies of a structure side by side give its features again; and b, which is ours.

| symbol | variable |
|---|---|
| x, t, I | particles (N, W), token (1, W), points (m, W) |
| Q, K, V, O | queries, keys, values, out |
| w | bias.weight (heads, functions) |
| r_ij | minimum-image distances of the `places` (N, 3) in the `box` (3,) |
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from glassformer.core.network_kinds import GlobalAttentionSettings
from glassformer.network.interface import Graph
from glassformer.network.registry import encoder_class

# Particles whose attention with a bias is computed at a time.
ROWS = 128


class DistanceBias(nn.Module):
    """b_h(r) of pairs of particles: continuous in positions, zero from r = R on."""

    def __init__(self, settings: GlobalAttentionSettings) -> None:
        super().__init__()
        self.range, self.functions = settings.bias_range, settings.bias_functions
        self.weight = nn.Parameter(torch.randn(settings.heads, self.functions) / math.sqrt(self.functions))

    def forward(self, rows: Tensor, places: Tensor, box: Tensor) -> Tensor:
        """Return b (heads, n, N) of the particles at `rows` (n, 3) and all `places` (N, 3)."""
        basis = self.basis(rows, places, box)
        return (self.weight @ basis.flatten(1)).view(-1, *basis.shape[1:])

    def basis(self, rows: Tensor, places: Tensor, box: Tensor) -> Tensor:
        """Return f_c(r) cos(pi k r / R) (functions, n, N) of the same."""
        apart = rows[:, None] - places
        apart = apart - box * torch.round(apart / box)
        phase = math.pi / self.range * apart.norm(dim=-1).clamp(max=self.range).to(self.weight.dtype)
        once = torch.cos(phase)
        # cos(k x) = 2 cos(x) cos((k - 1) x) - cos((k - 2) x)
        cosines = [torch.ones_like(once), once]
        for _ in range(2, self.functions):
            cosines.append(2 * once * cosines[-1] - cosines[-2])
        return torch.stack(cosines[: self.functions]) * ((1 + once) / 2)


class Attention(nn.Module):
    """A(q; y) with several heads; with places and a box, biased by distances.

    Without a bias memory grows as N. With it, blocks of `ROWS` queries are taken one after the other and computed
    again for the gradient: memory grows as `ROWS` times N.
    """

    def __init__(self, settings: GlobalAttentionSettings, biased: bool) -> None:
        super().__init__()
        width, self.heads = settings.width, settings.heads
        self.queries, self.keys, self.values = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.bias = DistanceBias(settings) if biased else None

    def forward(self, asking: Tensor, asked: Tensor, places: Tensor | None = None, box: Tensor | None = None) -> Tensor:
        """Return A of `asking` (n, W) and `asked` (N, W), as (n, W).

        With `places` (N, 3) and a `box`, those of the asking: the last of the asked is the token.
        """
        keys, values = self._split(self.keys(asked)), self._split(self.values(asked))
        queries = self._split(self.queries(asking))
        if self.bias is None or places is None or box is None:
            found = nn.functional.scaled_dot_product_attention(queries, keys, values)
        else:
            run = _again if torch.is_grad_enabled() else _once
            parts = [
                run(self._biased, part, keys, values, rows, places, box)
                for part, rows in zip(torch.split(queries, ROWS, 2), torch.split(places, ROWS), strict=True)
            ]
            found = torch.cat(parts, 2)
        mixed: Tensor = self.out(found[0].transpose(0, 1).flatten(1))
        return mixed

    def _split(self, values: Tensor) -> Tensor:
        """Return `values` (n, W) by heads, (1, heads, n, W / heads)."""
        return values.view(len(values), self.heads, -1).transpose(0, 1)[None]

    def _biased(self, part: Tensor, keys: Tensor, values: Tensor, rows: Tensor, places: Tensor, box: Tensor) -> Tensor:
        assert self.bias is not None
        bias = self.bias(rows, places, box).to(part.dtype)
        bias = nn.functional.pad(bias, (0, 1), value=math.log(len(places)))[None]
        return nn.functional.scaled_dot_product_attention(part, keys, values, attn_mask=bias)


def _once(function: Callable[..., Tensor], *given: Tensor) -> Tensor:
    return function(*given)


def _again(function: Callable[..., Tensor], *given: Tensor) -> Tensor:
    """Apply `function`, to be computed again for the gradient instead of keeping what it needs."""
    found: Tensor = checkpoint(function, *given, use_reentrant=False, preserve_rng_state=False)
    return found


class Block(nn.Module):
    """Attention, then a perceptron, each added to what asks."""

    def __init__(self, settings: GlobalAttentionSettings, biased: bool) -> None:
        super().__init__()
        width = settings.width
        self.asking_norm, self.asked_norm, self.norm = (nn.LayerNorm(width) for _ in range(3))
        self.attention = Attention(settings, biased)
        self.dropout = nn.Dropout(settings.dropout)
        self.perceptron = nn.Sequential(
            nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width), nn.Dropout(settings.dropout)
        )

    def forward(self, asking: Tensor, asked: Tensor, places: Tensor | None = None, box: Tensor | None = None) -> Tensor:
        """Return `asking` (n, W) with what it found in `asked` (N, W) added."""
        found = self.attention(self.asking_norm(asking), self.asked_norm(asked), places, box)
        asking = asking + self.dropout(found)
        changed: Tensor = asking + self.perceptron(self.norm(asking))
        return changed


class Layer(nn.Module):
    """One layer of exact attention, or of attention through induced points."""

    def __init__(self, settings: GlobalAttentionSettings) -> None:
        super().__init__()
        self.points = None
        if settings.induced_points:
            self.points = nn.Parameter(torch.randn(settings.induced_points, settings.width))
            self.collect = Block(settings, biased=False)
        self.spread = Block(settings, biased=settings.distance_bias)

    def forward(
        self, particles: Tensor, token: Tensor, places: Tensor | None, box: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the particles (N, W) and the token (1, W) after the layer."""
        asked = particles if self.points is None else self.collect(self.points, particles)
        by_particles = asked if places is None else torch.cat([asked, token])
        return self.spread(particles, by_particles, places, box), self.spread(token, asked)


class GlobalAttention(nn.Module):
    """An encoder, then attention: a graph in, features (M, features) of every particle out.

    Invariant under permutations; under rotations, translations and periodic images as the encoder inside is. Particles
    attend to those of their own configuration only, whatever else is in the batch. Exact attention takes operations
    that grow as N^2, induced points as N. With the bias the box is known to the network: a distance is that of the
    nearest image.
    """

    def __init__(self, settings: GlobalAttentionSettings) -> None:
        super().__init__()
        self.biased = settings.distance_bias
        self.features = 2 * settings.width
        self.encoder = encoder_class(settings.base.name)(settings.inside())
        self.project = nn.Linear(int(self.encoder.features), settings.width)  # type: ignore[arg-type]
        self.token = nn.Parameter(torch.randn(1, settings.width))
        self.layers = nn.ModuleList(Layer(settings) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(settings.width)

    def forward(self, graph: Graph) -> Tensor:
        """Return the features (M, features)."""
        counts = list(graph.counts)
        parts = torch.split(self.project(self.encoder(graph)), counts)
        places: list[Tensor | None] = [None] * len(counts)
        boxes: list[Tensor | None] = [None] * len(counts)
        if self.biased:
            assert graph.positions is not None
            assert graph.boxes is not None
            places, boxes = list(torch.split(graph.positions, counts)), list(graph.boxes)
        return torch.cat([self._alone(*one) for one in zip(parts, places, boxes, strict=True)])

    def _alone(self, particles: Tensor, places: Tensor | None, box: Tensor | None) -> Tensor:
        """Return the features of one configuration, from projected ones (N, W)."""
        token: Tensor = self.token
        for layer in self.layers:
            particles, token = layer(particles, token, places, box)
        return torch.cat([self.norm(particles), self.norm(token).expand_as(particles)], 1)
