"""Whole files or none: everything the package writes goes through here."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from glassformer.core.errors import InputError, StorageError

# .<name>.<process id>.tmp, for the kinds of file that the package writes.
_OUR_TEMPORARY = re.compile(r"\..+\.(h5|npz|json|pt|ckpt|html|svg|png|pdf|gif|csv|restart)\.\d+\.tmp")

_REMEDIES = {
    errno.ENOSPC: "The disk is full: free some space and run the same command again; finished work is kept.",
    errno.EDQUOT: "Your disk quota is used up: free some space and run the same command again; finished work is kept.",
    errno.EROFS: "The file system is read-only: choose another folder with --out.",
    errno.EACCES: "You may not write there: choose another folder with --out, or change its permissions.",
    errno.EFBIG: "The file would be larger than this shell's limit (ulimit -f) or the file system allows.",
}


def storage_error(action: str, path: Path, error: OSError) -> StorageError:
    """Turn an `OSError` met on `action` at `path` into an error with its remedy."""
    return StorageError(
        f"cannot {action} {path}: {error.strerror or error}",
        _REMEDIES.get(error.errno or 0, "Check the path and its permissions."),
    )


def make_folder(path: Path) -> None:
    """Create `path` and its parents. Raises `StorageError`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error("create the folder", path, error) from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a file with this name is always whole.

    The bytes go to a temporary name in the same folder, are flushed to the disk, and the file is renamed. A process
    killed at any moment leaves the old file or the new one. Raises `StorageError`; then no temporary file is left.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise storage_error("write", path, error) from error


def read_whole(path: Path, error: type[InputError], remedy: str) -> bytes:
    """Return the bytes of `path`. Raises `error` with `remedy` if it is not there, else `StorageError`."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise error(f"there is no file {path}", remedy) from None
    except OSError as problem:
        raise storage_error("read", path, problem) from problem


def remove_temporaries(folder: Path) -> None:
    """Remove what killed processes left in `folder` and two levels below; call only while holding the folder's lock."""
    for pattern in (".*.tmp", "*/.*.tmp", "*/*/.*.tmp"):
        for leftover in folder.glob(pattern):
            if _OUR_TEMPORARY.fullmatch(leftover.name):
                leftover.unlink(missing_ok=True)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process alone; the lock vanishes with the process, however it ends.

    Raises `StorageError` if another process holds it.
    """
    make_folder(folder)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise StorageError(
            f"another run is writing to {folder}",
            "Wait until it ends, stop it, or choose another folder with --out.",
        ) from None
    except OSError as error:
        raise storage_error("lock", folder, error) from error
    try:
        yield
    finally:
        lock.release()
