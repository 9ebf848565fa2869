"""Many kernel launches as one: a CUDA graph, so that small systems do not wait for the launches."""

import warnings
import weakref
from collections.abc import Callable
from typing import Any

from numba import config, cuda

SIMULATED = bool(getattr(config, "ENABLE_CUDASIM"))  # noqa: B009


class Repeated:
    """A sequence of kernel launches that is the same every time, recorded by stream capture as a CUDA graph.

    It holds no reference to what launches the kernels: that would keep its arrays on the device.
    """

    def __init__(self) -> None:
        self._graph: Any = None
        self._free: Any = None
        self._stream: Any = None if SIMULATED else cuda.stream()

    @property
    def recorded(self) -> bool:
        """Whether a graph is in use."""
        return self._graph is not None

    def run(self, launch: Callable[[Any], None]) -> None:
        """Run the sequence once, after all that was launched before.

        `launch` launches it on the stream that it is given. It must have run before, so that its kernels are compiled,
        and may not allocate or copy. It is called at the first time only, to be recorded; every time on numba's
        simulator, and, after a warning, where the driver cannot record it.
        """
        if self._graph is None and self._stream is not None:
            try:
                self._graph = self._record(launch)
            # Of numba, of cuda.bindings or of the driver: launching one by one does the same.
            except Exception as error:
                warnings.warn(f"kernels are launched one by one: no CUDA graph could be made ({error})", stacklevel=2)
                self._stream = None
        if self._graph is None:
            launch(0)
            return
        from cuda.bindings import driver

        # The driver wants a context of the calling thread; what numba launches by itself has one.
        cuda.current_context()
        _checked(driver.cuGraphLaunch(self._graph, driver.CUstream(int(self._stream))))

    def close(self) -> None:
        """Free the graph: its kernels refer to arrays that are to be replaced."""
        if self._graph is not None:
            self._stream.synchronize()
            self._free()
            self._graph = None

    def _record(self, launch: Callable[[Any], None]) -> Any:
        from cuda.bindings import driver

        handle = driver.CUstream(int(self._stream))
        # What the default stream still does must be done before.
        cuda.synchronize()
        _checked(driver.cuStreamBeginCapture(handle, driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED))
        try:
            launch(self._stream)
        finally:
            ended = driver.cuStreamEndCapture(handle)
        (graph,) = _checked(ended)
        (executable,) = _checked(driver.cuGraphInstantiate(graph, 0))
        _checked(driver.cuGraphDestroy(graph))
        # Also where this object is dropped without being closed.
        self._free = weakref.finalize(self, _destroy, executable)
        self._free.atexit = False
        return executable


def _destroy(executable: Any) -> None:
    from cuda.bindings import driver

    cuda.current_context()
    _checked(driver.cuGraphExecDestroy(executable))


def _checked(result: tuple[Any, ...]) -> tuple[Any, ...]:
    status, *values = result
    if int(status) != 0:
        raise RuntimeError(f"the CUDA driver returned {status!r}")
    return tuple(values)
