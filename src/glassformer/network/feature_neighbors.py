"""Nearest neighbours in feature space: the dynamic graph of a dynamic graph network."""

import torch
from torch import Tensor

# Distances held at once: blocks of rows keep a large configuration within memory (64 MB in float32).
BLOCK = 16_000_000


@torch.no_grad()
def feature_neighbors(features: Tensor, counts: tuple[int, ...], number: int) -> Tensor:
    """Return the indices (M, k) of the k = `number` nearest neighbours of each row of `features` (M, C).

    Neighbours are sought within each graph of the batch (`counts` rows each); a particle is never its own neighbour,
    also where features coincide. The neighbours do not depend differentiably on the features, as in Wang et al.,
    ACM Trans. Graph. 38, 146 (2019). Needs `number` < every count.
    """
    found = []
    offset = 0
    for part in torch.split(features.detach(), list(counts)):
        half_norm = (part * part).sum(1) / 2
        rows = max(1, BLOCK // len(part))
        for start in range(0, len(part), rows):
            block = part[start : start + rows]
            # |x - y|^2 / 2 less |x|^2 / 2, the same for all y: it orders the neighbours as the distance does.
            order = torch.addmm(half_norm, block, part.T, alpha=-1.0)
            own = torch.arange(start, start + len(block), device=part.device)
            order[torch.arange(len(block), device=part.device), own] = torch.inf
            found.append(order.topk(number, dim=1, largest=False, sorted=False).indices + offset)
        offset += len(part)
    return torch.cat(found)
