"""Signals that stop a run: a closed terminal and `kill` end it as Ctrl-C does, with everything put in order."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGHUP)
# What the terminal sends to all processes of a command.
_OF_THE_TERMINAL = (signal.SIGINT, signal.SIGHUP)


class StopRequested(BaseException):
    """The process was told to stop, by the signal `number`.

    No `KeyboardInterrupt`, which libraries catch to say something of their own.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def name(self) -> str:
        """Name of the signal."""
        return signal.Signals(self.number).name

    @property
    def in_time(self) -> bool:
        """Whether the process stops itself, before its walltime ends."""
        return self.number == signal.SIGALRM


def stop_on_signals() -> None:
    """Raise `StopRequested` on SIGTERM and SIGHUP; one that is ignored, as under nohup, stays ignored.

    Only the first counts: another one must not disturb what it set going.
    """
    for number in STOPPING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    for other in STOPPING:
        signal.signal(other, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0)
    raise StopRequested(number)


@contextmanager
def stop_after(seconds: float | None) -> Iterator[None]:
    """Raise `StopRequested` inside after so many `seconds`, as a signal from outside would; never if that is None.

    Only in the main thread, where Python handles signals. Of two that are nested the earlier counts.
    """
    earlier, began = signal.getitimer(signal.ITIMER_REAL)[0], time.monotonic()
    nested = earlier > 0 and signal.getsignal(signal.SIGALRM) is _stop
    if seconds is None or (nested and earlier <= seconds):
        yield
        return
    before = signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        # Who has been stopped once is not stopped again while putting everything in order.
        stopped = nested and signal.getitimer(signal.ITIMER_REAL)[0] == 0
        left = max(earlier - (time.monotonic() - began), 1e-3) if earlier > 0 and not stopped else 0
        signal.setitimer(signal.ITIMER_REAL, left)
        signal.signal(signal.SIGALRM, before)


def await_stop(within: float) -> None:
    """Wait for the end that `stop_after` has set, and raise `StopRequested`, if it comes `within` so many seconds."""
    left = signal.getitimer(signal.ITIMER_REAL)[0]
    if signal.getsignal(signal.SIGALRM) is _stop and 0 < left <= within:
        time.sleep(left + 1)


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Undo what a library that is loaded or started inside does to the handling of signals.

    MPI libraries catch SIGHUP when they are loaded, and a process that waits for it then never ends. Without effect
    outside of the main thread, where Python cannot change handlers.
    """
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number in (*STOPPING, signal.SIGINT):
                known = signal.getsignal(number)
                if known is not None:
                    signal.signal(number, known)


@contextmanager
def ctrl_c_held_back() -> Iterator[None]:
    """Hold back Ctrl-C until the end; processes started inside receive neither it nor a hang-up: their parent does.

    They inherit the mask of signals. A signal that is only ignored meanwhile would be lost.
    """
    held: list[int] = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_THE_TERMINAL)
    in_main_thread = threading.current_thread() is threading.main_thread()
    # The mask is that of this thread; another one may receive the signal, and the handler runs here.
    handler = signal.signal(signal.SIGINT, lambda number, _: held.append(number)) if in_main_thread else None
    try:
        yield
    finally:
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if held:
            signal.raise_signal(signal.SIGINT)
