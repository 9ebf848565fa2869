"""The way back through `EdgeStack`: gradients of everything that went in, a block of particles at a time."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassformer.network import kernels
from glassformer.network.cpu_blocks import each_block
from glassformer.network.fused_edgeconv import Array, EdgeStack, Sums


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
        # Gradients at the outputs of the norms, for all edges of the layer under way.
        self.gradient: dict[int, Tensor] = {}
        self._first()

    def run(self, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Carry `gradient` (M, W) back; return those of a, b and c."""
        stack = self.stack
        if stack.maximum:
            self._through_maximum(gradient.contiguous().numpy())
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

    def _through_maximum(self, gradient: Array) -> None:
        """From the maximum over neighbours back to the input of the last layer; see the module `fused_edgeconv`."""
        stack, last, affine = self.stack, self.stack.last, self.stack.affine[-1]
        weight = stack.weights[-1]
        passed = np.where(affine.scale * stack.best + affine.offset > 0, gradient, gradient * 0)
        self.beta[last] = passed.sum(0, dtype=np.float64)
        self.gamma[last] = (passed * ((stack.best - affine.mean) * affine.inverse)).sum(0, dtype=np.float64)
        p = self.beta[last] / stack.edges
        q = self.gamma[last] * affine.inverse / stack.edges
        pulled = (passed * affine.scale).astype(np.float32)
        w = weight.double().numpy()
        level = affine.scale * (q * affine.mean - p)
        curve = -(w.T * (affine.scale * q)) @ w
        constant, matrix = (torch.from_numpy(x.astype(np.float32)) for x in (level @ w, curve))
        sparse, gram, hidden_sum = Accumulators(*weight.shape), Accumulators(*[weight.shape[1]] * 2), Sums(len(matrix))
        sums = self._prepare(last - 1)

        def work(thread: int, start: int, stop: int) -> None:
            hidden = stack.hidden(last - 1, thread, start, stop)
            at_hidden = self._gradient(last - 1, thread, start, stop)
            at_hidden.copy_(constant.expand_as(at_hidden))
            stack.add_product(at_hidden, hidden, matrix)
            kernels.scatter_extreme(
                pulled[start:stop], stack.slot[start:stop], hidden.numpy(), weight.numpy(), stack.k,
                at_hidden.numpy(), sparse.of(thread).numpy(),
            )  # fmt: skip
            add_gram(stack, gram.of(thread), hidden)
            total = hidden.sum(0).numpy()
            hidden_sum.add(thread, total, total)
            self._through_relu(last - 1, thread, start, stop, at_hidden, hidden, sums)

        each_block(stack.particles, stack.rows, work)
        symmetric = fill_symmetric(gram.total().double()).numpy()
        dense = np.outer(level, hidden_sum.total()[0]) - (affine.scale * q)[:, None] * (w @ symmetric)
        self.weight[last] = sparse.total() + torch.from_numpy(dense.astype(np.float32))
        self._take(last - 1, sums)

    def _through_mean(self, gradient: Array) -> None:
        stack, last, affine = self.stack, self.stack.last, self.stack.affine[-1]
        sums = self._prepare(last)

        def work(thread: int, start: int, stop: int) -> None:
            here, (total, with_z) = stack.block(start, stop), sums.zeros()
            kernels.spread_mean(
                gradient[start:stop], stack.z[last][here].numpy(), stack.k, affine.scale, affine.offset, affine.mean,
                self.gradient[last][here].numpy(), total, with_z,
            )  # fmt: skip
            sums.add(thread, total, with_z)

        each_block(stack.particles, stack.rows, work)
        self._take(last, sums)

    def _through_layer(self, layer: int) -> None:
        """From the output of a norm back to the output of the norm before: batch norm, matrix product, ReLU."""
        stack, affine, weight = self.stack, self.stack.affine[layer], self.stack.weights[layer - 1]
        level = (self.beta[layer] / stack.edges).astype(np.float32)
        slope = (self.gamma[layer] * affine.inverse / stack.edges).astype(np.float32)
        at_weight, sums = Accumulators(*weight.shape), self._prepare(layer - 1)

        def work(thread: int, start: int, stop: int) -> None:
            here = stack.block(start, stop)
            gradient = self.gradient[layer][here]
            kernels.through_norm(
                gradient.numpy(), stack.z[layer][here].numpy(), affine.scale, affine.mean, level, slope
            )
            hidden = stack.hidden(layer - 1, thread, start, stop)
            stack.add_product(at_weight.of(thread), gradient.T, hidden)
            at_hidden = self._gradient(layer - 1, thread, start, stop)
            stack.product(gradient, weight, at_hidden)
            self._through_relu(layer - 1, thread, start, stop, at_hidden, hidden, sums)

        each_block(stack.particles, stack.rows, work)
        self.weight[layer] = at_weight.total()
        # Not needed any more, and as large as everything else together.
        del self.gradient[layer], stack.z[layer]
        self._take(layer - 1, sums)

    def _gradient(self, layer: int, thread: int, start: int, stop: int) -> Tensor:
        """Return the place for the gradient of a block's hidden values: kept for all edges, or of this block only."""
        stack = self.stack
        if layer == 0:
            if len(stack.c):
                return self.first_gradient[stack.block(start, stop)]
            return stack.scratch(thread, "gradient", (stop - start) * stack.k, stack.widths[0])
        return self.gradient[layer][stack.block(start, stop)]

    def _through_relu(
        self, layer: int, thread: int, start: int, stop: int, gradient: Tensor, hidden: Tensor, sums: Sums
    ) -> None:
        stack, affine = self.stack, self.stack.affine[layer]
        if layer == 0:
            kernels.first_layer_back(
                gradient.numpy(), hidden.numpy(), stack.neighbors, start, stop, self.at_a.numpy(),
                self.at_b.of(thread).numpy(),
            )  # fmt: skip
            return
        total, with_z = sums.zeros()
        z = stack.z[layer][stack.block(start, stop)].numpy()
        kernels.mask_and_sum(gradient.numpy(), z, affine.scale, affine.offset, affine.mean, total, with_z)
        sums.add(thread, total, with_z)

    def _prepare(self, layer: int) -> Sums:
        """Make room for what flows to `layer`, before any thread writes there."""
        if layer > 0:
            self.gradient[layer] = torch.empty(self.stack.edges, self.stack.widths[layer])
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
            for values in (affine.scale, self.beta[0] / stack.edges, self.gamma[0] * affine.inverse / stack.edges)
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

        each_block(stack.particles, stack.rows, work)
        return starts, ends.total()


def sum_of_products(one: Tensor, other: Tensor) -> Tensor:
    """Return the sum of one * other over rows (W,), in float64."""
    return (one * other).sum(0, dtype=torch.float64)


def add_gram(stack: EdgeStack, gram: Tensor, hidden: Tensor) -> None:
    """Add the upper triangle of hidden^T hidden to `gram`, by halves: three quarters of the whole product."""
    half = len(gram) // 2
    left, right = hidden[:, :half], hidden[:, half:]
    for place, one, other in (
        (gram[:half, :half], left, left),
        (gram[:half, half:], left, right),
        (gram[half:, half:], right, right),
    ):
        stack.add_product(place, one.T, other)


def fill_symmetric(gram: Tensor) -> Tensor:
    """Return the whole symmetric matrix of which `add_gram` filled a part."""
    half = len(gram) // 2
    whole = gram.clone()
    whole[half:, :half] = gram[:half, half:].T
    return whole


class FusedAggregate(torch.autograd.Function):
    """`EdgeStack` forward and `EdgeBackward` back, as one operation."""

    @staticmethod
    def forward(ctx: Any, stack: EdgeStack, *inputs: Tensor | None) -> Tensor:
        """`inputs`: a, b, c, then weights, gammas and betas; `stack` was made of them."""
        ctx.stack = stack
        return stack.forward(training=True)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        """Return the gradients of all inputs."""
        back, last = EdgeBackward(ctx.stack), ctx.stack.last
        first = back.run(gradient)
        norms = [
            torch.from_numpy(np.asarray(x[n], np.float32)) for x in (back.gamma, back.beta) for n in range(last + 1)
        ]
        return None, *first, *(back.weight[layer] for layer in range(1, last + 1)), *norms


def fused_aggregate(stack: EdgeStack, parts: tuple[Tensor, Tensor, Tensor | None], weights: list[Tensor]) -> Tensor:
    """Return what `stack` aggregates, differentiable, and let its batch norms' running statistics follow."""
    norms = stack.norms
    pooled: Tensor = FusedAggregate.apply(  # type: ignore[no-untyped-call]
        stack, *parts, *weights, *(norm.weight for norm in norms), *(norm.bias for norm in norms)
    )
    for norm, affine, variance in zip(norms, stack.affine, stack.variance, strict=True):
        follow(norm, affine.mean, variance * (stack.edges / max(stack.edges - 1, 1)))
    return pooled


@torch.no_grad()
def follow(norm: torch.nn.BatchNorm1d, mean: Any, variance: Any) -> None:
    """Let the running statistics of `norm` follow a batch's, as torch's own batch norm does."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked += 1
    share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(torch.from_numpy(np.asarray(mean, np.float32)), share)
    norm.running_var.lerp_(torch.from_numpy(np.asarray(variance, np.float32)), share)
