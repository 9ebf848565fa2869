"""Nearest neighbours in feature space: the dynamic graph of a dynamic graph network."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from glassformer.core.errors import SettingsError
from glassformer.network.cpu_blocks import each_block
from glassformer.network.kernels import select_least

# Distances held at once: blocks of rows keep a large configuration within memory (64 MB in float32).
BLOCK = 16_000_000
# Rows of a block on a CPU: few enough for its distances to stay in the cache up to some thousand particles.
ROWS = 64


@torch.no_grad()
def feature_neighbors(features: Tensor, counts: tuple[int, ...], number: int) -> Tensor:
    """Return the indices (M, k) of the k = `number` nearest neighbours of each row of `features` (M, C).

    Neighbours are sought within each graph of the batch (`counts` rows each), in no order; a particle is never its own
    neighbour, also where features coincide. The neighbours do not depend differentiably on the features, as in Wang et
    al., ACM Trans. Graph. 38, 146 (2019). Raises `SettingsError` unless `number` < every count.
    """
    if number >= min(counts) or sum(counts) != len(features):
        raise SettingsError(
            f"got k = {number} neighbours and graphs of {list(counts)} particles, {len(features)} in all;"
            " expected k < N",
            "Lower network.neighbors.",
        )
    found = torch.empty(len(features), number, dtype=torch.int64, device=features.device)
    search = _search_cpu if features.device.type == "cpu" else _search
    # In bfloat16 or TF32 distances would not tell near neighbours apart.
    whole = features.detach().float() if features.dtype in (torch.bfloat16, torch.float16) else features.detach()
    offset = 0
    kind = features.device.type
    autocast = (
        torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else contextlib.nullcontext()
    )
    with _whole_products(), autocast:
        for part in torch.split(whole, list(counts)):
            # From their middle, where rounding of the norms is least.
            part = (part - part.mean(0)).contiguous()
            search(part, found[offset : offset + len(part)], offset)
            offset += len(part)
    return found


@contextlib.contextmanager
def _whole_products() -> Iterator[None]:
    """Let products of float32 be made in float32, also where TF32 is allowed."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _search(part: Tensor, found: Tensor, offset: int) -> None:
    half_norm, number = (part * part).sum(1) / 2, found.shape[1]
    rows = max(1, BLOCK // len(part))
    for start in range(0, len(part), rows):
        block = part[start : start + rows]
        # |x - y|^2 / 2 less |x|^2 / 2, the same for all y: it orders the neighbours as the distance does.
        order = torch.addmm(half_norm, block, part.T, alpha=-1.0)
        own = torch.arange(start, start + len(block), device=part.device)
        order[own - start, own] = torch.inf
        found[start : start + rows] = order.topk(number, dim=1, largest=False, sorted=False).indices + offset


def _search_cpu(part: Tensor, found: Tensor, offset: int) -> None:
    half_norm, transposed = (part * part).sum(1) / 2, part.T.contiguous()

    def work(thread: int, start: int, stop: int) -> None:
        order = torch.addmm(half_norm, part[start:stop], transposed, alpha=-1.0)
        select_least(order.numpy(), start, offset, found[start:stop].numpy())

    each_block(len(part), ROWS, work)
