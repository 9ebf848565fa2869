"""Edge convolution on a CPU, a block of particles at a time: the same numbers as `EdgeConv.aggregate`, sooner.

The plain way writes every intermediate of all edges to memory, reads it back, and repeats that in the backward pass.
Here a block of particles goes through a whole stage while it lies in the cache, one thread a block:

- the first layer is made again where it is needed, since it is cheap: z_ij = a_i + b_j + c_ij;
- of each further layer only the output z of its matrix product is kept (the statistics need all of it), neither the
  norm's nor the ReLU's;
- through a maximum over neighbours the gradient of the last layer is that of one edge in k, beside the two terms that
  the batch norm's statistics bring. With h the input of the last layer, W its weights, z = h W^T over n edges,
  s = gamma / sigma, g the gradient that the maximum lets through, p = sum(g) / n, q = sum(g (z - mu)) / (sigma^2 n),
  and D = diag(s q):

      dL/dh = (s g) W - h (W^T D W) + (s q mu - s p) W
      dL/dW = (s g)^T h - D W (h^T h) + (s q mu - s p) sum(h)^T

  so neither z nor its gradient is ever formed, and h^T h is symmetric.

Where the norms are frozen, in training with statistics that are not of these edges, p = q = 0 and nothing is measured.

S. Ioffe and C. Szegedy, arXiv:1502.03167, section 3, for the backward pass of the batch norm.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glassformer.network import kernels
from glassformer.network.cpu_blocks import each_block, one_thread
from glassformer.network.products import Factor

# Numbers of a block's widest layer, 2.6 MB. Smaller blocks lie closer to the core, and cost more in hand-overs between
# threads.
BLOCK_NUMBERS = 655_360

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Affine:
    """A batch norm at work: y = scale z + offset = gamma (z - mean) inverse + beta, each (W,)."""

    mean: Array
    inverse: Array
    scale: Array
    offset: Array

    @classmethod
    def of(cls, mean: Any, variance: Any, norm: nn.BatchNorm1d) -> "Affine":
        """Return the norm that subtracts `mean` and divides by the root of `variance`."""
        inverse = 1 / np.sqrt(variance + norm.eps)
        scale = norm.weight.detach().numpy() * inverse
        offset = norm.bias.detach().numpy() - mean * scale
        return cls(*(np.asarray(x, np.float32) for x in (mean, inverse, scale, offset)))


class Sums:
    """Two sums of every channel (2, W): float32 inside a block, float64 over the blocks of each thread."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.parts: dict[int, Any] = {}

    def add(self, thread: int, first: Array, second: Array) -> None:
        """Add those of one block."""
        self.parts[thread] = self.parts.get(thread, 0.0) + np.stack([first, second]).astype(np.float64)

    def total(self) -> Any:
        """Return them (2, W), the threads' in order."""
        return np.sum([self.parts[thread] for thread in sorted(self.parts)], axis=0)

    def zeros(self) -> tuple[Array, Array]:
        """Return two accumulators for a block."""
        return np.zeros(self.width, np.float32), np.zeros(self.width, np.float32)


class EdgeStack:
    """The layers of one edge convolution over all edges, forward: what it keeps serves the way back.

    z_ij of the first layer is a_i + b_j + c_ij, (M, W), (M, W) and (M, k, W) or None; `weights` are those of the
    further layers, `norms` of all; in evaluation these are frozen: they keep the statistics that they have. `bfloat16`:
    matrix products of all edges in that precision, sums in float32.
    """

    def __init__(
        self,
        parts: tuple[Tensor, Tensor, Tensor | None],
        neighbors: Tensor,
        weights: list[Tensor],
        norms: list[nn.BatchNorm1d],
        aggregation: str,
        bfloat16: bool = False,
    ) -> None:
        a, b, c = (None if part is None else part.detach().contiguous() for part in parts)
        assert a is not None
        assert b is not None
        self.a, self.b = a.numpy(), b.numpy()
        self.c = np.empty((0, a.shape[1]), np.float32) if c is None else c.flatten(0, 1).numpy()
        self.neighbors = neighbors.contiguous().numpy()
        # The compiled loops look at no bounds.
        if self.neighbors.min() < 0 or self.neighbors.max() >= len(a):
            raise IndexError(f"got neighbours outside [0, {len(a)})")
        self.particles, self.k = self.neighbors.shape
        self.edges = self.neighbors.size
        self.weights = [weight.detach() for weight in weights]
        self.norms = norms
        self.frozen = not norms[0].training
        self.bfloat16 = bfloat16
        self.last = len(weights)
        self.maximum = aggregation == "max"
        self.widths = [a.shape[1], *(len(weight) for weight in weights)]
        self.threads = torch.get_num_threads()
        # In any case something to do for every thread.
        share = -(-self.particles // (2 * self.threads))
        self.rows = max(1, min(BLOCK_NUMBERS // (self.k * max(self.widths)), share))
        self.affine: list[Affine] = []
        self.variance: list[Any] = []
        # Outputs of matrix products by layer, a tensor a block.
        self.z: dict[int, list[Tensor]] = {}
        self._scratch: dict[int, Tensor] = {}

    @property
    def share(self) -> float:
        """The part of one edge in the statistics: none where these are not of the edges."""
        return 0.0 if self.frozen else 1 / self.edges

    def forward(self, training: bool) -> Tensor:
        """Return what is aggregated over the neighbours, (M, W); in training, keep what the way back needs."""
        self.best = np.empty((self.particles, self.widths[-1]), np.float32)
        self.slot = np.empty((self.particles, self.widths[-1]), np.int32)
        with one_thread():
            self._run(training)
        if not self.maximum:
            return torch.from_numpy(self.best)
        last = self.affine[-1]
        return torch.from_numpy(self.best * last.scale + last.offset).relu_()

    def _run(self, training: bool) -> None:
        if self.frozen:
            self.affine = [Affine.of(n.running_mean.numpy(), n.running_var.numpy(), n) for n in self.norms]  # type: ignore[union-attr]
        if not training:
            self._whole()
            return
        if not self.frozen:
            self._normalise(0, *self._first_sums())
        for layer in range(1, self.last + 1):
            found = self._layer(layer)
            if not self.frozen:
                self._normalise(layer, *found)
        if not self.maximum:
            self._average()

    def each_block(self, work: Callable[[int, int, int], None]) -> None:
        """Call `work(thread, start, stop)` for every block of particles."""
        each_block(self.particles, self.rows, work, self.threads)

    def block(self, start: int, stop: int) -> slice:
        """Return the edges of the particles from `start` to `stop`."""
        return slice(start * self.k, stop * self.k)

    def scratch(self, thread: int, edges: int, width: int) -> Tensor:
        """Return a buffer (edges, width) that belongs to this thread."""
        if thread not in self._scratch:
            self._scratch[thread] = torch.empty(self.rows * self.k * max(self.widths))
        return self._scratch[thread][: edges * width].view(edges, width)

    def hidden(self, layer: int, thread: int, start: int, stop: int) -> Tensor:
        """Return what `layer` gives after its norm and ReLU, on the block's edges; in the thread's buffer."""
        affine = self.affine[layer]
        out = self.scratch(thread, (stop - start) * self.k, self.widths[layer])
        if layer == 0:
            kernels.first_layer(
                self.a, self.b, self.c, self.neighbors, start, stop, affine.scale, affine.offset, out.numpy()
            )
        else:
            z = self.z[layer][start // self.rows].numpy()
            kernels.affine_relu(z, affine.scale, affine.offset, out.numpy())
        return out

    def _normalise(self, layer: int, shift: Array, sums: Sums) -> None:
        first, second = sums.total() / self.edges
        self.variance.append(np.maximum(second - first**2, 0))
        self.affine.append(Affine.of(shift + first, self.variance[-1], self.norms[layer]))

    def _first_sums(self) -> tuple[Array, Sums]:
        # Sums of squares lose digits unless they are taken from near the mean.
        shift = self.a.mean(0) + self.b.mean(0) + (self.c.mean(0) if len(self.c) else 0)
        sums = Sums(self.widths[0])

        def work(thread: int, start: int, stop: int) -> None:
            total, squares = sums.zeros()
            kernels.first_layer_sums(self.a, self.b, self.c, self.neighbors, start, stop, shift, total, squares)
            sums.add(thread, total, squares)

        self.each_block(work)
        return shift, sums

    def _layer(self, layer: int) -> tuple[Array, Sums]:
        weight, sums = Factor(self.weights[layer - 1].T, self.bfloat16), Sums(self.widths[layer])
        kept = layer < self.last or not self.maximum
        self.z[layer] = self.no_blocks() if kept else []
        shift = self._typical(layer)

        def work(thread: int, start: int, stop: int) -> None:
            z = weight(self.hidden(layer - 1, thread, start, stop))
            if not self.frozen:
                total, squares = sums.zeros()
                kernels.sums(z.numpy(), shift, total, squares)
                sums.add(thread, total, squares)
            if kept:
                self.z[layer][start // self.rows] = z
            else:
                self._take_extreme(z, start, stop)

        self.each_block(work)
        return shift, sums

    def _typical(self, layer: int) -> Array:
        """Return the mean output of a layer over the first few particles' edges; nothing where nothing is measured."""
        if self.frozen:
            return np.empty(0, np.float32)
        hidden = self.hidden(layer - 1, 0, 0, min(self.rows, self.particles))
        mean: Array = (hidden[: 8 * self.k] @ self.weights[layer - 1].T).mean(0).numpy()
        return mean

    def no_blocks(self) -> list[Tensor]:
        """Return places for a tensor a block."""
        return [torch.empty(0)] * -(-self.particles // self.rows)

    def _take_extreme(self, z: Tensor, start: int, stop: int) -> None:
        # The norm and ReLU do not decrease where gamma is positive, nor increase where it is not: the greatest z, or
        # the least, has the greatest outcome.
        sign = np.where(self.norms[-1].weight.detach().numpy() >= 0, np.float32(1), np.float32(-1))
        kernels.extreme(z.numpy(), self.k, sign, self.best[start:stop], self.slot[start:stop])

    def _average(self) -> None:
        last = self.affine[-1]

        def work(thread: int, start: int, stop: int) -> None:
            z = self.z[self.last][start // self.rows].numpy()
            kernels.mean_affine_relu(z, self.k, last.scale, last.offset, self.best[start:stop])

        self.each_block(work)

    def _whole(self) -> None:
        """All layers of a block at once: the statistics are known."""
        weights = [Factor(weight.T, self.bfloat16) for weight in self.weights]

        def work(thread: int, start: int, stop: int) -> None:
            hidden = self.hidden(0, thread, start, stop)
            for weight, affine in zip(weights, self.affine[1:], strict=True):
                hidden = weight(hidden)
                if affine is not self.affine[-1]:
                    kernels.affine_relu(hidden.numpy(), affine.scale, affine.offset, hidden.numpy())
                elif self.maximum:
                    self._take_extreme(hidden, start, stop)
                else:
                    kernels.mean_affine_relu(hidden.numpy(), self.k, affine.scale, affine.offset, self.best[start:stop])

        self.each_block(work)
