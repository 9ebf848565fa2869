"""Compile, without a GPU, the kernels of lockstep for sm_90 as the engines launch them; print lengths of PTX as JSON.

Arrays stay in the computer's memory, a launch compiles for the types that it is given and computes nothing.
"""

import json
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import cuda
from numba.cuda import compiler, dispatcher
from numba.cuda.dispatcher import CUDADispatcher
from numba.cuda.typing.typeof import typeof

from glassformer.simulate.lockstep import cuda as engine
from glassformer.simulate.lockstep import cuda_coupled, cuda_graph
from tests.conftest import rattled_lattice
from tests.liquids import unit_masses, with_cutoff

H100 = (9, 0)
lengths: dict[str, int] = {}


class Kept(np.ndarray[Any, Any]):
    """An array with the methods of one on a device."""

    def copy_to_host(self) -> Any:
        return np.array(self)

    def copy_to_device(self, values: Any) -> None:
        self[...] = values


def kept(values: Any) -> Kept:
    return np.array(values).view(Kept)


def launch(self: CUDADispatcher, configuration: Any) -> Any:
    def compile_only(*arguments: Any) -> None:
        types = [typeof(np.asarray(one) if isinstance(one, Kept) else one) for one in arguments]
        name = f"{self.__name__} {kind.__name__}"
        lengths[name] = len(cuda.compile_ptx(self.py_func, tuple(types), cc=H100)[0])

    return compile_only


for module in (compiler, dispatcher):
    module.get_current_device = lambda: SimpleNamespace(compute_capability=H100)
CUDADispatcher.__getitem__ = launch
host = SimpleNamespace(
    to_device=kept,
    device_array=lambda shape, dtype: kept(np.zeros(shape, dtype)),
    device_array_like=lambda array: kept(np.zeros_like(array)),
)
engine.cuda = cuda_coupled.cuda = host
engine.check_device, engine.free_bytes, engine.SIMULATED = (lambda: None), (lambda: 2**40), True
cuda_graph.Repeated.__init__ = lambda self: None
start = rattled_lattice(3, 0, spacing=1.08)
drawn = unit_masses(1, start.particles, 2.0)
bath = cuda_coupled.Bath((0.5, 0.9), (2.0, 40.0))
for kind in (np.float32, np.float64):
    made = cuda_coupled.CoupledCuda.__new__(cuda_coupled.CoupledCuda)
    made._refresh = lambda: None
    made.__init__([start], with_cutoff(1.2), 0.01, [drawn], [bath], [7], 0.05, kind)
    made._launch_step(0)
    made._launch_coupling(0)
json.dump(lengths, sys.stdout)
