"""A file in memory, for a library that reads and writes files by name."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from glassformer.core.files import storage_error


@contextmanager
def file_in_memory() -> Iterator[tuple[int, str]]:
    """Yield the descriptor of an empty file without a place in any folder, and a name by which it can be opened.

    The name is plain, whatever folders are called, and nothing is left when the process is killed. On systems without
    `memfd_create` it is a temporary file that has been removed already. Raises `StorageError`.
    """
    with ExitStack() as undo:
        descriptor = _in_memory()
        if descriptor is None:
            try:
                descriptor = undo.enter_context(tempfile.TemporaryFile()).fileno()
            except OSError as error:
                raise storage_error("make a temporary file in", Path(tempfile.gettempdir()), error) from error
        else:
            undo.callback(os.close, descriptor)
        yield descriptor, f"/proc/self/fd/{descriptor}"


def _in_memory() -> int | None:
    try:
        return os.memfd_create("glassformer")
    except (AttributeError, OSError):
        # A Python that was built without it, or a system that forbids it.
        return None


def write_all(descriptor: int, contents: bytes) -> None:
    """Write `contents` at the beginning of the open file. Raises `StorageError`."""
    try:
        written = 0
        while written < len(contents):
            written += os.pwrite(descriptor, contents[written:], written)
    except OSError as error:
        raise storage_error("write a temporary file in", Path(tempfile.gettempdir()), error) from error


def read_all(descriptor: int) -> bytes:
    """Return the contents of the open file."""
    with open(descriptor, "rb", closefd=False) as stream:
        stream.seek(0)
        return stream.read()
