"""The memory of a CUDA device: how much is free, and what is raised when it is full."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from numba import cuda

from glassformer.core.errors import DeviceMemoryError, GlassformerError
from glassformer.simulate.lockstep.cuda_graph import SIMULATED

MEMORY_REMEDY = (
    'Free memory on the device (nvidia-smi lists who uses it), use one with more memory, or set engine = "lockstep" in'
    " the campaign to simulate on the processor."
)

P = ParamSpec("P")
R = TypeVar("R")


def free_bytes() -> int:
    """Return how much of the device's memory is free, once that of deleted arrays has been freed."""
    context = cuda.current_context()
    if not SIMULATED:
        # numba frees arrays late.
        context.deallocations.clear()
    return int(min(context.get_memory_info()[0], 2**62))


def within_memory(call: Callable[P, R]) -> Callable[P, R]:
    """Have `call` raise `DeviceMemoryError` where CUDA finds no memory."""

    @functools.wraps(call)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except Exception as error:
            # The class depends on the version of numba-cuda; the driver's name for it does not.
            if isinstance(error, GlassformerError) or "OUT_OF_MEMORY" not in str(error):
                raise
            problem = f"the device's memory is full ({error})"
        # Outside of the handler: what is handled would keep alive, with its frames, the arrays on the device.
        raise DeviceMemoryError(problem, MEMORY_REMEDY)

    return checked
