"""Standard output that can fail: closed, its reader gone, its disk full."""

import errno
import os
import sys
from typing import Any

from glassformer.core.errors import GlassformerError


class OutputError(GlassformerError):
    """What was asked for cannot be printed."""


class _Stream:
    """A stream that passes everything on to another one."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class ResultStream(_Stream):
    """Standard output for results: what cannot be written is an error in one line, and no traceback."""

    def write(self, text: str) -> int:
        """Write `text`. Raises `OutputError`; a reader that has gone, as of `| head`, is left to the caller."""
        try:
            return int(self._stream.write(text))
        except (OSError, ValueError) as error:
            raise _failed(error) from error

    def flush(self) -> None:
        """Flush it. Raises as `write` does."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            raise _failed(error) from error


def _stdout() -> Any:
    """Return standard output as it is at the moment.

    While rich shows progress, it puts in its place a proxy that prints through the very console that writes here.
    """
    return getattr(sys.stdout, "rich_proxied_file", sys.stdout)


class LogStream:
    """Standard output, as it is at the moment, for progress: what cannot be written is lost, and the work continues."""

    def write(self, text: str) -> int:
        """Write `text` if that is possible."""
        try:
            _stdout().write(text)
        except (OSError, ValueError, AttributeError, OutputError):
            return 0
        return len(text)

    def flush(self) -> None:
        """Flush it if that is possible."""
        try:
            _stdout().flush()
        except (OSError, ValueError, AttributeError, OutputError):
            return

    def isatty(self) -> bool:
        """Tell whether it is a terminal."""
        return bool(sys.stdout is not None and sys.stdout.isatty())

    def fileno(self) -> int:
        """Return its file descriptor."""
        return int(sys.stdout.fileno())

    @property
    def encoding(self) -> str:
        """Its encoding."""
        return getattr(sys.stdout, "encoding", None) or "utf-8"


def guard_streams() -> None:
    """Give this process an output that can be written to, whatever it was started with."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # Closed by whoever started the process. Left open to the end.
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    if not isinstance(sys.stdout, ResultStream):
        sys.stdout = ResultStream(sys.stdout)


def _failed(error: OSError | ValueError) -> Exception:
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        return error
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return OutputError(
        f"cannot print to standard output: {reason}",
        "What the command writes to files is done. Run it again with its output elsewhere to see the rest.",
    )
