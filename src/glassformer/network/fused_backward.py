"""The way back through `EdgeStack`: gradients of everything that went in, a block of particles at a time."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassformer.network import kernels
from glassformer.network.cpu_blocks import one_thread
from glassformer.network.fused_edgeconv import Array, EdgeStack, Sums
from glassformer.network.fused_gpu import GpuBackward, GpuStack
from glassformer.network.products import Factor, add_product

Stack = EdgeStack | GpuStack


class Accumulators:
    """Arrays that each thread adds to on its own."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape
        self.parts: dict[int, Tensor] = {}

    def of(self, thread: int) -> Tensor:
        """Return the thread's."""
        if thread not in self.parts:
            self.parts[thread] = torch.zeros(self.shape)
        return self.parts[thread]

    def total(self) -> Tensor:
        """Return their sum, the threads' in order; the accumulators are used up."""
        first, *others = (self.parts.pop(thread) for thread in sorted(self.parts))
        for other in others:
            first += other
        return first


class EdgeBackward:
    """Gradients with respect to the parts of the first layer, the weights, and each norm's gamma and beta."""

    def __init__(self, stack: EdgeStack) -> None:
        self.stack = stack
        self.weight: dict[int, Tensor] = {}
        self.gamma: dict[int, Any] = {}
        self.beta: dict[int, Any] = {}
        # Gradients at the outputs of the norms of the layer under way, a tensor a block.
        self.gradient: dict[int, list[Tensor]] = {}
        self._first()

    def run(self, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Carry `gradient` (M, W) back; return those of a, b and c."""
        stack = self.stack
        with one_thread():
            if stack.maximum:
                self._through_maximum(gradient.contiguous())
                below = stack.last - 1
            else:
                self._through_mean(gradient.contiguous().numpy())
                below = stack.last
            for layer in range(below, 0, -1):
                self._through_layer(layer)
        return self._finish_first()

    def _first(self) -> None:
        stack, width = self.stack, self.stack.widths[0]
        self.at_a, self.at_b = torch.zeros(stack.particles, width), Accumulators(stack.particles, width)
        self.first_gradient = torch.empty(stack.edges if len(stack.c) else 0, width)

    def _through_maximum(self, gradient: Tensor) -> None:
        """From the maximum over neighbours back to the input of the last layer; see the module `fused_edgeconv`."""
        stack, last = self.stack, self.stack.last
        weight, w = stack.weights[-1], stack.weights[-1].double()
        mean, inverse, scale, offset = (torch.from_numpy(part) for part in vars(stack.affine[-1]).values())
        best = torch.from_numpy(stack.best)
        passed = gradient * (torch.addcmul(offset, best, scale) > 0)
        self.beta[last] = passed.sum(0, dtype=torch.float64).numpy()
        self.gamma[last] = (inverse * sum_of_products(passed, best - mean)).numpy()
        p = torch.from_numpy(self.beta[last]) * stack.share
        q = torch.from_numpy(self.gamma[last]) * inverse * stack.share
        pulled = (passed * scale).numpy()
        level, bend = scale * (q * mean - p), scale * q
        constant, matrix = (level @ w).float(), -((w.T * bend) @ w).float()
        product = Factor(matrix, stack.bfloat16)
        sparse, gram, hidden_sum = Accumulators(*weight.shape), Accumulators(*[weight.shape[1]] * 2), Sums(len(matrix))
        sums = self._prepare(last - 1)

        def work(thread: int, start: int, stop: int) -> None:
            hidden = stack.hidden(last - 1, thread, start, stop)
            at_hidden = torch.zeros_like(hidden) if stack.frozen else product(hidden, constant)
            kernels.scatter_extreme(
                pulled[start:stop], stack.slot[start:stop], hidden.numpy(), weight.numpy(), stack.k,
                at_hidden.numpy(), sparse.of(thread).numpy(),
            )  # fmt: skip
            if not stack.frozen:
                add_gram(gram.of(thread), hidden)
                total = hidden.sum(0).numpy()
                hidden_sum.add(thread, total, total)
            self._through_relu(last - 1, thread, start, stop, at_hidden, hidden, sums)

        stack.each_block(work)
        self.weight[last] = sparse.total()
        if not stack.frozen:
            symmetric = fill_symmetric(gram.total().double())
            dense = torch.outer(level, torch.from_numpy(hidden_sum.total()[0])) - bend[:, None] * (w @ symmetric)
            self.weight[last] += dense.float()
        self._take(last - 1, sums)

    def _through_mean(self, gradient: Array) -> None:
        stack, last, affine = self.stack, self.stack.last, self.stack.affine[-1]
        sums = self._prepare(last)

        def work(thread: int, start: int, stop: int) -> None:
            z, (total, with_z) = stack.z[last][start // stack.rows], sums.zeros()
            at_z = torch.empty_like(z)
            kernels.spread_mean(
                gradient[start:stop], z.numpy(), stack.k, affine.scale, affine.offset, affine.mean, at_z.numpy(),
                total, with_z,
            )  # fmt: skip
            self.gradient[last][start // stack.rows] = at_z
            sums.add(thread, total, with_z)

        stack.each_block(work)
        self._take(last, sums)

    def _through_layer(self, layer: int) -> None:
        """From the output of a norm back to the output of the norm before: batch norm, matrix product, ReLU."""
        stack, affine, weight = self.stack, self.stack.affine[layer], self.stack.weights[layer - 1]
        level = (self.beta[layer] * stack.share).astype(np.float32)
        slope = (self.gamma[layer] * affine.inverse * stack.share).astype(np.float32)
        at_weight, product, sums = Accumulators(*weight.shape), Factor(weight, stack.bfloat16), self._prepare(layer - 1)

        def work(thread: int, start: int, stop: int) -> None:
            block = start // stack.rows
            gradient = self.gradient[layer][block]
            kernels.through_norm(
                gradient.numpy(), stack.z[layer][block].numpy(), affine.scale, affine.mean, level, slope
            )
            # Not needed any more, and as large as everything else together.
            self.gradient[layer][block] = stack.z[layer][block] = torch.empty(0)
            hidden = stack.hidden(layer - 1, thread, start, stop)
            add_product(at_weight.of(thread), gradient.T, hidden, stack.bfloat16)
            self._through_relu(layer - 1, thread, start, stop, product(gradient), hidden, sums)

        stack.each_block(work)
        self.weight[layer] = at_weight.total()
        self._take(layer - 1, sums)

    def _through_relu(
        self, layer: int, thread: int, start: int, stop: int, gradient: Tensor, hidden: Tensor, sums: Sums
    ) -> None:
        """Let `gradient` through the ReLU below a matrix product; keep it for the layer below."""
        stack, affine = self.stack, self.stack.affine[layer]
        if layer == 0:
            kernels.first_layer_back(
                gradient.numpy(), hidden.numpy(), stack.neighbors, start, stop, self.at_a.numpy(),
                self.at_b.of(thread).numpy(),
            )  # fmt: skip
            if len(stack.c):
                self.first_gradient[stack.block(start, stop)] = gradient
            return
        total, with_z = sums.zeros()
        self.gradient[layer][start // stack.rows] = gradient
        z = stack.z[layer][start // stack.rows].numpy()
        kernels.mask_and_sum(gradient.numpy(), z, affine.scale, affine.offset, affine.mean, total, with_z)
        sums.add(thread, total, with_z)

    def _prepare(self, layer: int) -> Sums:
        """Make room for what flows to `layer`, before any thread writes there."""
        if layer > 0:
            self.gradient[layer] = self.stack.no_blocks()
        return Sums(self.stack.widths[layer])

    def _take(self, layer: int, sums: Sums) -> None:
        if layer > 0:
            total, with_z = sums.total()
            self.beta[layer], self.gamma[layer] = total, with_z * self.stack.affine[layer].inverse

    def _finish_first(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Close the first norm: scale (g - level - slope (z - mean)) is linear in g and z, so sums at the ends do.

        So is the sum of g (z - mean) over edges: that of g a, g b and g c, each at its place.
        """
        stack, affine = self.stack, self.stack.affine[0]
        a, b, c = (torch.from_numpy(part) for part in (stack.a, stack.b, stack.c))
        # From their means, so that no digits are lost.
        a, b = a - a.mean(0), b - b.mean(0)
        middle = torch.from_numpy(affine.mean - stack.a.mean(0) - stack.b.mean(0))
        at_a, at_b = self.at_a, self.at_b.total()
        total = at_a.sum(0, dtype=torch.float64)
        with_z = sum_of_products(at_a, a) + sum_of_products(at_b, b) + sum_of_products(self.first_gradient, c)
        with_z -= middle * total
        self.beta[0], self.gamma[0] = total.numpy(), (with_z * torch.from_numpy(affine.inverse)).numpy()
        scale, level, slope = (
            torch.from_numpy(np.asarray(values, np.float32))
            for values in (affine.scale, self.beta[0] * stack.share, self.gamma[0] * affine.inverse * stack.share)
        )
        z_a, z_b = self._sums_at_ends(a, b)
        ends = torch.from_numpy(np.bincount(stack.neighbors.ravel(), minlength=stack.particles).astype(np.float32))
        z_a += stack.k * (a - middle)
        z_b += ends[:, None] * (b - middle)
        at_a.sub_(stack.k * level).sub_(z_a.mul_(slope)).mul_(scale)
        at_b.sub_(torch.outer(ends, level)).sub_(z_b.mul_(slope)).mul_(scale)
        if not len(c):
            return at_a, at_b, None
        neighbors = torch.from_numpy(stack.neighbors)
        z = (a - middle)[:, None] + b[neighbors] + c.view(*neighbors.shape, -1)
        return at_a, at_b, scale * (self.first_gradient.view_as(z) - level - slope * z)

    def _sums_at_ends(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of b_j + c_ij over the edges that start at each particle, and of a_i + c_ij where they end."""
        stack = self.stack
        starts, ends = torch.zeros_like(a), Accumulators(*a.shape)

        def work(thread: int, start: int, stop: int) -> None:
            there = ends.of(thread).numpy()
            kernels.end_sums(a.numpy(), b.numpy(), stack.neighbors, start, stop, starts.numpy(), there)
            if len(stack.c):
                kernels.edge_sums(stack.c, stack.neighbors, start, stop, starts.numpy(), there)

        stack.each_block(work)
        return starts, ends.total()


def sum_of_products(one: Tensor, other: Tensor) -> Tensor:
    """Return the sum of one * other over rows (W,), in float64."""
    return (one * other).sum(0, dtype=torch.float64)


def add_gram(gram: Tensor, hidden: Tensor) -> None:
    """Add the upper triangle of hidden^T hidden to `gram`, by halves: three quarters of the whole product.

    Always in float32, since it is taken from terms that are almost as large.
    """
    half = len(gram) // 2
    left, right = hidden[:, :half], hidden[:, half:]
    for place, one, other in (
        (gram[:half, :half], left, left),
        (gram[:half, half:], left, right),
        (gram[half:, half:], right, right),
    ):
        add_product(place, one.T, other)


def fill_symmetric(gram: Tensor) -> Tensor:
    """Return the whole symmetric matrix of which `add_gram` filled a part."""
    half = len(gram) // 2
    whole = gram.clone()
    whole[half:, :half] = gram[:half, half:].T
    return whole


WayBack = type[EdgeBackward] | type[GpuBackward]


class FusedAggregate(torch.autograd.Function):
    """A stack forward and its way back, `EdgeBackward` or `GpuBackward`, as one operation."""

    @staticmethod
    def forward(ctx: Any, stack: Stack, back: WayBack, *inputs: Tensor | None) -> Tensor:
        """`inputs`: a, b, c, then weights, gammas and betas; `stack` was made of them."""
        # For autograd's checks: that none of them is changed before the way back, and that it is gone once.
        ctx.save_for_backward(*inputs)
        ctx.stack, ctx.back = stack, back
        return stack.forward(training=True)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        """Return the gradients of all inputs. Raises `RuntimeError` the second time: what it needs is used up."""
        _ = ctx.saved_tensors
        if ctx.stack is None:
            raise RuntimeError("a fused edge convolution can be gone back through once; EdgeConv.aggregate, often")
        stack, ctx.stack = ctx.stack, None
        back, last = ctx.back(stack), stack.last
        first = back.run(gradient)
        norms = [torch.as_tensor(x[n], dtype=torch.float32) for x in (back.gamma, back.beta) for n in range(last + 1)]
        return None, None, *first, *(back.weight[layer] for layer in range(1, last + 1)), *norms


def fused_aggregate(
    stack: Stack, back: WayBack, parts: tuple[Tensor, Tensor, Tensor | None], weights: list[Tensor]
) -> Tensor:
    """Return what `stack` aggregates, differentiable by `back`, and let batch norms that measure follow."""
    norms = stack.norms
    pooled: Tensor = FusedAggregate.apply(  # type: ignore[no-untyped-call]
        stack, back, *parts, *weights, *(norm.weight for norm in norms), *(norm.bias for norm in norms)
    )
    if stack.frozen:
        return pooled
    affines: list[Any] = list(stack.affine)
    for norm, affine, variance in zip(norms, affines, stack.variance, strict=True):
        follow(norm, affine.mean, variance * (stack.edges / max(stack.edges - 1, 1)))
    return pooled


@torch.no_grad()
def follow(norm: torch.nn.BatchNorm1d, mean: Any, variance: Any) -> None:
    """Let the running statistics of `norm` follow a batch's, as torch's own batch norm does."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked += 1
    share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(torch.as_tensor(mean, dtype=torch.float32), share)
    norm.running_var.lerp_(torch.as_tensor(variance, dtype=torch.float32), share)
