"""Compile, without a GPU, all kernels as one training step launches them; print the shared memory of each as JSON.

A launch compiles for sm_90 and computes nothing.
"""

import json
import sys
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime import JITFunction

from glassformer.core.network_kinds import ParticleNetSettings
from glassformer.network import edgeconv
from glassformer.network.edgeconv import EdgeConv

TYPES = {torch.float32: "*fp32", torch.int64: "*i64", torch.int32: "*i32"}
shared: dict[str, int] = {}


def compile_only(self: JITFunction, *args: Any, grid: Any, warmup: bool, **options: Any) -> None:
    given = dict(zip(self.arg_names, args, strict=False))
    constants = {name: value for name, value in options.items() if name in self.arg_names}
    constants |= {name: given[name] for name in ("W_IN", "W_OUT", "WIDTH") if name in given}
    signature = {
        name: "constexpr" if name in constants else TYPES[given[name].dtype] if torch.is_tensor(given[name]) else "i32"
        for name in self.arg_names
    }
    places = {name: (number,) for number, name in enumerate(self.arg_names)}
    aligned = {places[name]: [["tt.divisibility", 16]] for name, kind in signature.items() if kind.startswith("*")}
    source = ASTSource(self, signature, {places[name]: value for name, value in constants.items()}, aligned)
    chosen = {name: options[name] for name in ("num_warps", "num_stages") if name in options}
    found = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=chosen)
    what = [f"{self.__name__} {constants.get('PRODUCTS', '')} {constants.get('W_IN', '')}"]
    shared[" ".join(what + [name for name, value in constants.items() if value is True])] = found.metadata.shared


JITFunction.run = compile_only
EdgeConv.kernels_of_gpu = True
for products, width, edge_features in (("tf32x3", 256, 0), ("tf32", 256, 0), ("bf16", 64, 4)):
    edgeconv.products_of = lambda bfloat16, products=products: products
    made = EdgeConv(8, edge_features, (width,) * 3, ParticleNetSettings())
    edges = torch.zeros(100, 20, edge_features) if edge_features else None
    made.fused_aggregate(torch.zeros(100, 8), torch.zeros(100, 20, dtype=torch.int64), edges).sum().backward()
json.dump(shared, sys.stdout)
