"""Sums over the edges of every particle."""

import torch
from torch import Tensor


def sum_edges(values: Tensor, centers: Tensor, particles: int) -> Tensor:
    """Return S_i = sum over edges e with center i of `values` v_e (E, C), as (M, C); zero where i has no edge.

    The edges are added in their order, so on a CPU the sum is the same every time. Half precision is summed in
    float32: a particle has tens of edges, and each addition would round.
    """
    if values.dtype in (torch.bfloat16, torch.float16):
        values = values.float()
    # index_add would keep the values for a gradient that does not need them.
    return values.new_zeros(particles, values.shape[1]).scatter_add(0, centers[:, None].expand_as(values), values)
