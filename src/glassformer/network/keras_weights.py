"""ParticleNet's weights as the Keras implementations of it name and lay them out.

Layers `pn_fts_bn` (input norm), `pn_EdgeConv<b>_conv<l>`, `_bn<l>`, `_sc_conv`, `_sc_bn` and, in their order, `dense*`.
Kernels are (1, 1, in, out) or (in, out); the first of a block reads [x_i, x_j - x_i], as `EdgeConv` does.
"""

import re
from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import CheckpointError
from glassformer.network.edgeconv import EdgeConv
from glassformer.network.particlenet import ParticleNet
from glassformer.network.registry import Network


@torch.no_grad()
def load_keras_weights(network: Network, weights: Mapping[str, FloatArray]) -> None:
    """Set the weights of `network`, a ParticleNet, to those called '<layer>/<variable>' in `weights`.

    Raises `CheckpointError` if one is missing, left over or of another shape; then some may have been set.
    """
    encoder = network.encoder
    if not isinstance(encoder, ParticleNet):
        raise CheckpointError("Keras weights are ParticleNet's, and this is another network", "Build a ParticleNet.")
    left = dict(weights)
    _norm(encoder.input_norm, "pn_fts_bn", left)
    for number, block in enumerate(cast(EdgeConv, block) for block in encoder.blocks):
        name = f"pn_EdgeConv{number}"
        for layer, (linear, norm) in enumerate(zip(block.linears, block.norms, strict=True)):
            _linear(cast(nn.Linear, linear), f"{name}_conv{layer}", left)
            _norm(norm, f"{name}_bn{layer}", left)
        _linear(block.shortcut, f"{name}_sc_conv", left)
        _norm(block.shortcut_norm, f"{name}_sc_bn", left)
    dense = sorted({key.split("/")[0] for key in left if key.startswith("dense")}, key=_number)
    linears = [layer for layer in network.head.layers if isinstance(layer, nn.Linear)]
    if len(dense) != len(linears):
        raise CheckpointError(f"got {len(dense)} dense layers; expected {len(linears)}", "Check fully_connected.")
    for linear, name in zip(linears, dense, strict=True):
        _linear(linear, name, left)
    if left:
        raise CheckpointError(f"{len(left)} weights are left over, first {next(iter(left))}", "Check network.blocks.")


def _number(name: str) -> int:
    """Return the number at the end of 'dense_12'; Keras calls the first 'dense'."""
    found = re.search(r"_(\d+)$", name)
    return int(found[1]) if found else 0


def _linear(linear: nn.Linear, name: str, weights: dict[str, FloatArray]) -> None:
    kernel = _take(f"{name}/kernel", weights)
    _set(linear.weight, kernel.reshape(kernel.shape[-2:]).T, name)
    if linear.bias is not None:
        _set(linear.bias, _take(f"{name}/bias", weights), name)


def _norm(norm: nn.Module, name: str, weights: dict[str, FloatArray]) -> None:
    if not isinstance(norm, nn.BatchNorm1d):
        return
    targets = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    for target, variable in zip(targets, ("gamma", "beta", "moving_mean", "moving_variance"), strict=True):
        assert target is not None
        _set(target, _take(f"{name}/{variable}", weights), name)


def _take(name: str, weights: dict[str, FloatArray]) -> FloatArray:
    if name not in weights:
        raise CheckpointError(f"the weight {name} is missing", "Check network.blocks and network.input_norm.")
    return weights.pop(name)


def _set(target: Tensor, values: FloatArray, name: str) -> None:
    if tuple(target.shape) != values.shape:
        raise CheckpointError(
            f"{name}: got a weight of shape {values.shape}; expected {tuple(target.shape)}", "Check network.blocks."
        )
    target.copy_(torch.from_numpy(np.ascontiguousarray(values)))
