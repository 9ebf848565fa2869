"""Matrix products of many blocks with one matrix, as fast as the library at hand makes them."""

from functools import cache

import torch
from torch import Tensor


class Factor:
    """A matrix (I, O) that many blocks (n, I) are multiplied with from the left.

    oneDNN takes it into its own layout once, and then multiplies about a tenth sooner than MKL on the processors
    measured. torch gives no public name to that, so where it is not there torch.mm does it.
    """

    def __init__(self, matrix: Tensor, bfloat16: bool = False) -> None:
        self.bfloat16 = bfloat16
        self.packed: Tensor | None = None
        self.matrix = matrix.bfloat16() if bfloat16 else matrix.contiguous()
        if not bfloat16 and _can_pack():
            self.packed = torch.ops.mkldnn._reorder_linear_weight(matrix.T.contiguous())

    def __call__(self, left: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return left @ matrix + bias (n, O), in float32."""
        if self.packed is not None:
            product: Tensor = torch.ops.mkldnn._linear_pointwise(left, self.packed, bias, "none", [], "")
            return product
        product = (left.bfloat16() @ self.matrix).float() if self.bfloat16 else left @ self.matrix
        return product if bias is None else product.add_(bias)


def add_product(total: Tensor, left: Tensor, right: Tensor, bfloat16: bool = False) -> None:
    """Add left @ right to `total`."""
    if bfloat16:
        total += left.bfloat16() @ right.bfloat16()
    else:
        torch.addmm(total, left, right, out=total)


@cache
def _can_pack() -> bool:
    """Try it once: names without an underscore before them would be promised to stay."""
    ones = torch.ones(2, 2)
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(ones)
        product = torch.ops.mkldnn._linear_pointwise(ones, packed, ones[0], "none", [], "")
    except (AttributeError, RuntimeError, TypeError):
        return False
    return bool((product == 3).all())
