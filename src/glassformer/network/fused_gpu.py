"""Edge convolution on a GPU: the same numbers as `EdgeConv.aggregate`, without most of its arrays of edges.

Written plainly, every layer keeps some five arrays of M k edges for the way back. Here the kernels of `triton_kernels`
gather, normalise, multiply and take the maximum in one pass each:

- the first layer, z_ij = a_i + b_j + c_ij, is made again wherever it is needed;
- of each further layer but the last only the output z of its matrix product is kept: batch norm's statistics need all
  of z before the next layer can start;
- of the last layer only the winner and its slot are kept, (M, W); its z is made again on the way back;
- gradients at the first layer are added at the neighbours' ends in a sorted order: nothing is added atomically, so the
  same inputs give the same bits every time.

Where the norms are frozen, in training with statistics that are not of these edges, nothing is measured.
"""

import importlib.util
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

# Particles per program, and channels at once: of outputs, of outputs on the way back, and of what a product sums over.
# Compiled for sm_90 with 256 channels, no kernel takes more than 147 of the 227 KiB of shared memory.
ROWS, COLUMNS, BACK_COLUMNS, INNER = 64, 64, 32, 32
WIDEST = 256
# Programs that share the sum over edges of a weight gradient, for each group of its rows.
SHARES = 64
# Particles predicted at once: memory does not grow with their number.
PREDICTED = 16_384


@cache
def triton_found() -> bool:
    """Tell whether Triton can be imported."""
    return importlib.util.find_spec("triton") is not None


def can_fuse(widths: list[int], aggregation: str) -> bool:
    """Tell whether the kernels know a stack of these widths."""
    return triton_found() and aggregation == "max" and len(widths) > 1 and max(widths) <= WIDEST


def products_of(bfloat16: bool) -> str:
    """Return how float32 matrix products are made: 'bf16', 'tf32' where torch allows it, or as three of TF32.

    Three products of TF32, of the leading and the remaining bits of both factors, keep float32's precision nearly.
    """
    if bfloat16:
        return "bf16"
    return "tf32x3" if torch.get_float32_matmul_precision() == "highest" else "tf32"


@dataclass(frozen=True, eq=False)
class Affine:
    """A batch norm at work: y = scale z + offset = gamma (z - mean) inverse + beta, each (W,)."""

    mean: Tensor
    inverse: Tensor
    scale: Tensor
    offset: Tensor

    @classmethod
    def of(cls, mean: Tensor, variance: Tensor, norm: nn.BatchNorm1d) -> "Affine":
        """Return the norm that subtracts `mean` and divides by the root of `variance`."""
        inverse = torch.rsqrt(variance.double() + norm.eps)
        scale = norm.weight.detach().double() * inverse
        offset = norm.bias.detach().double() - mean.double() * scale
        return cls(*(x.float() for x in (mean, inverse, scale, offset)))


class GpuStack:
    """The layers of one edge convolution over all edges, forward: what it keeps serves `GpuBackward`.

    As `EdgeStack`: z_ij of the first layer is a_i + b_j + c_ij, (M, W), (M, W) and (M, k, W) or None; `weights` are
    those of the further layers, `norms` of all. `products`: see `products_of`.
    """

    def __init__(
        self,
        parts: tuple[Tensor, Tensor, Tensor | None],
        neighbors: Tensor,
        weights: list[Tensor],
        norms: list[nn.BatchNorm1d],
        products: str,
    ) -> None:
        a, b, c = parts
        self.a, self.b = a.detach().contiguous(), b.detach().contiguous()
        self.c = None if c is None else c.detach().contiguous()
        self.neighbors = neighbors.contiguous()
        self.particles, self.k = neighbors.shape
        self.edges = neighbors.numel()
        self.weights = [weight.detach().contiguous() for weight in weights]
        self.norms, self.products = norms, products
        self.frozen = not norms[0].training
        self.last = len(weights)
        self.widths = [a.shape[1], *(len(weight) for weight in weights)]
        self.affine: list[Affine] = []
        self.variance: list[Tensor] = []
        self.z: dict[int, Tensor] = {}

    @property
    def share(self) -> float:
        """The part of one edge in the statistics: none where these are not of the edges."""
        return 0.0 if self.frozen else 1 / self.edges

    def forward(self, training: bool) -> Tensor:
        """Return the maximum over the neighbours, (M, W); in training, keep what the way back needs."""
        self.best = self.a.new_empty(self.particles, self.widths[-1])
        self.slot = torch.empty_like(self.best, dtype=torch.int32)
        if self.frozen:
            self.affine = [Affine.of(n.running_mean, n.running_var, n) for n in self.norms]  # type: ignore[arg-type]
        at_once = self.particles if training else PREDICTED
        if not self.frozen:
            self._normalise(0, self._launch(0, slice(None), self.a, product=False))
        for start in range(0, self.particles, at_once):
            self._layers(slice(start, start + at_once))
            if not training:
                self.z.clear()
        last = self.affine[-1]
        return torch.addcmul(last.offset, self.best, last.scale).relu_()

    def _layers(self, rows: slice) -> None:
        for layer in range(1, self.last + 1):
            sums = self._launch(layer, rows, self.a[rows] if layer == 1 else self.z[layer - 1])
            if not self.frozen:
                self._normalise(layer, sums)

    def below(self, layer: int, rows: slice = slice(None)) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what the kernels read of the layer below `layer`: a or z, b, c and neighbours."""
        first = self.a[rows] if layer <= 1 else self.z[layer - 1]
        return first, self.b, self.a if self.c is None else self.c[rows], self.neighbors[rows]

    def _launch(self, layer: int, rows: slice, below: Tensor, product: bool = True) -> Tensor:
        """Make z of `layer` of the particles `rows`, keep of it what is needed, and return the sums of its tiles."""
        from glassformer.network.triton_kernels import forward

        _, b, c, neighbors = self.below(layer, rows)
        particles, width = len(neighbors), self.widths[layer]
        affine = self.affine[layer - 1] if product else None
        scale, offset = (affine.scale, affine.offset) if affine is not None else (b, b)
        extreme = layer == self.last
        store = product and not extreme
        z = self.a.new_empty((particles, self.k, width) if store else 0)
        if store:
            self.z[layer] = z
        # The norm and ReLU do not decrease where gamma is positive, nor increase where it is not: the greatest z, or
        # the least, has the greatest outcome.
        sign = torch.where(self.norms[layer].weight.detach() >= 0, 1.0, -1.0)
        tiles = -(-particles // ROWS)
        sums = self.a.new_empty(0 if self.frozen else (tiles, 3, width))
        forward[tiles, -(-width // COLUMNS)](
            below, b, c, neighbors, scale, offset, self.weights[layer - 1], sign, z, self.best[rows], self.slot[rows],
            sums, particles, self.k, self.widths[layer - 1], width, FIRST=layer <= 1, HAS_C=self.c is not None,
            PRODUCT=product, STORE=store, EXTREME=extreme, STATISTICS=not self.frozen, ROWS=ROWS, COLUMNS=COLUMNS,
            INNER=INNER, PRODUCTS=self.products, num_warps=4,
        )  # fmt: skip
        return sums

    def _normalise(self, layer: int, sums: Tensor) -> None:
        """Make the norm of `layer` from its tiles' sums; T. Chan et al., Am. Stat. 37, 242 (1983), eq. 2.1."""
        numbers = torch.full((len(sums), 1), ROWS * self.k, dtype=torch.float64, device=sums.device)
        numbers[-1] -= len(sums) * ROWS * self.k - self.edges
        shift, total, squares = sums.double().unbind(1)
        means = shift + total / numbers
        mean = (numbers * means).sum(0) / self.edges
        within = squares - total**2 / numbers
        self.variance.append((within + numbers * (means - mean) ** 2).sum(0) / self.edges)
        self.affine.append(Affine.of(mean, self.variance[-1], self.norms[layer]))


class GpuBackward:
    """Gradients with respect to the parts of the first layer, the weights, and each norm's gamma and beta."""

    def __init__(self, stack: GpuStack) -> None:
        self.stack = stack
        self.weight: dict[int, Tensor] = {}
        self.gamma: dict[int, Tensor] = {}
        self.beta: dict[int, Tensor] = {}

    def run(self, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Carry `gradient` (M, W) back; return those of a, b and c."""
        stack, last = self.stack, self.stack.affine[-1]
        passed = gradient * (torch.addcmul(last.offset, stack.best, last.scale) > 0)
        apart = passed * (stack.best - last.mean)
        self._take(stack.last, torch.stack([passed, apart]).sum(1, dtype=torch.float64))
        self.pulled = passed * last.scale
        given = self.pulled
        for layer in range(stack.last, 0, -1):
            given = self._layer(layer, given)
            # Not needed any more, and as large as everything else together.
            stack.z.pop(layer, None)
        return self._first(given)

    def _take(self, layer: int, sums: Tensor) -> None:
        self.beta[layer], self.gamma[layer] = sums[0], sums[1] * self.stack.affine[layer].inverse

    def _norm(self, layer: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return scale, mean, level and slope of dL/dz = scale (g - level - slope (z - mean))."""
        affine, share = self.stack.affine[layer], self.stack.share
        slope = self.gamma[layer] * affine.inverse * share
        return affine.scale, affine.mean, (self.beta[layer] * share).float(), slope.float()

    def _layer(self, layer: int, given: Tensor) -> Tensor:
        """From g at the output of a norm to g of the norm below, and the gradient of the weights between."""
        from glassformer.network.triton_kernels import backward, weight_gradient

        stack, affine = self.stack, self.stack.affine[layer - 1]
        width, wide_in = stack.widths[layer], stack.widths[layer - 1]
        tiles, groups = -(-stack.particles // ROWS), -(-width // BACK_COLUMNS)
        common: dict[str, Any] = {
            "FIRST": layer == 1, "HAS_C": stack.c is not None, "LAST": layer == stack.last,
            "STATISTICS": not stack.frozen, "ROWS": ROWS, "COLUMNS": BACK_COLUMNS, "INNER": INNER,
            "WIDE": max(32, 1 << (wide_in - 1).bit_length()), "PRODUCTS": stack.products, "num_warps": 8,
            # More stages of loads in advance do not fit into shared memory.
            "num_stages": 1,
        }  # fmt: skip
        sizes = stack.particles, stack.k, wide_in, width
        at_norm = (
            stack.weights[layer - 1], stack.z.get(layer, given), given, self.pulled, stack.slot, *self._norm(layer)
        )  # fmt: skip
        below = *stack.below(layer), affine.scale, affine.offset
        shares = min(SHARES, tiles)
        parts = given.new_empty(shares, width, wide_in)
        weight_gradient[groups, shares](*below, *at_norm, parts, *sizes, **common)
        self.weight[layer] = parts.sum(0)
        down = given.new_empty(stack.particles, stack.k, wide_in)
        sums = given.new_empty(tiles, 2, wide_in)
        backward[(tiles,)](*below, affine.mean, *at_norm, down, sums, *sizes, **common)
        self._take(layer - 1, sums.sum(0, dtype=torch.float64))
        return down

    def _first(self, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        from glassformer.network.triton_kernels import close_first, sum_ends

        stack, width = self.stack, self.stack.widths[0]
        at_a, at_b = torch.empty_like(stack.a), torch.empty_like(stack.b)
        groups = -(-width // COLUMNS)
        close_first[-(-stack.particles // ROWS), groups](
            *stack.below(1), *self._norm(0), gradient, at_a, stack.particles, stack.k, width,
            HAS_C=stack.c is not None, STATISTICS=not stack.frozen, ROWS=ROWS, COLUMNS=COLUMNS,
        )  # fmt: skip
        ends, order = torch.sort(stack.neighbors.flatten(), stable=True)
        starts = torch.searchsorted(ends, torch.arange(stack.particles + 1, device=ends.device))
        rows = 16
        sum_ends[-(-stack.particles // rows), groups](
            gradient, order, starts, at_b, stack.particles, width, ROWS=rows, COLUMNS=COLUMNS
        )
        return at_a, at_b, None if stack.c is None else gradient
