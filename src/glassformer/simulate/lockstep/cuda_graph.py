"""Many kernel launches as one: a CUDA graph, so that small systems do not wait for the launches."""

from collections.abc import Callable
from typing import Any

from numba import config, cuda

SIMULATED = bool(getattr(config, "ENABLE_CUDASIM"))  # noqa: B009


class Repeated:
    """A sequence of kernel launches that is the same every time: `launch` must launch on the stream that it is given.

    Recorded once by stream capture and replayed as a CUDA graph. `launch` must have run before, so that its kernels
    are compiled; it may not allocate or copy. On numba's simulator it is called again every time.
    """

    def __init__(self, launch: Callable[[Any], None]) -> None:
        self._launch = launch
        self._graph: Any = None
        self.stream: Any = None if SIMULATED else cuda.stream()

    def run(self) -> None:
        """Run the sequence once, after all that was launched before."""
        if self.stream is None:
            self._launch(0)
            return
        from cuda.bindings import driver

        handle = driver.CUstream(int(getattr(self.stream.handle, "value", self.stream.handle)))
        if self._graph is None:
            # What the default stream still does must be done: the new stream does not wait for it.
            cuda.synchronize()
            _checked(driver.cuStreamBeginCapture(handle, driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED))
            try:
                self._launch(self.stream)
            finally:
                (graph,) = _checked(driver.cuStreamEndCapture(handle))
            (self._graph,) = _checked(driver.cuGraphInstantiate(graph, 0))
            _checked(driver.cuGraphDestroy(graph))
        _checked(driver.cuGraphLaunch(self._graph, handle))

    def close(self) -> None:
        """Free the graph: its kernels refer to arrays that may be replaced."""
        if self._graph is not None:
            from cuda.bindings import driver

            self.stream.synchronize()
            _checked(driver.cuGraphExecDestroy(self._graph))
            self._graph = None


def _checked(result: tuple[Any, ...]) -> tuple[Any, ...]:
    status, *values = result
    if int(status) != 0:
        raise RuntimeError(f"the CUDA driver returned {status!r} while a graph of kernels was made or launched")
    return tuple(values)
