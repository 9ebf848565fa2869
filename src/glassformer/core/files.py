"""Whole files or none: everything the package writes goes through here."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from glassformer.core.errors import FullDiskError, InputError, StorageError
from glassformer.core.lock import FolderLock, HeldError, Owner

# .<name>.<process id>.tmp, for the kinds of file that the package writes.
_OUR_TEMPORARY = re.compile(r"\..+\.(h5|npz|json|pt|ckpt|html|svg|png|pdf|gif|csv|restart|lock)\.\d+\.tmp")

LOCK_FILE = ".lock"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REMEDIES = {
    errno.ENOSPC: "The disk is full: free some space and run the same command again; finished work is kept.",
    errno.EDQUOT: "Your disk quota is used up: free some space and run the same command again; finished work is kept.",
    errno.EROFS: "The file system is read-only: choose another folder with --out.",
    errno.EACCES: "You may not write there: choose another folder with --out, or change its permissions.",
    errno.EFBIG: "The file would be larger than this shell's limit (ulimit -f) or the file system allows.",
}


def storage_error(action: str, path: Path, error: OSError) -> StorageError:
    """Turn an `OSError` met on `action` at `path` into an error with its remedy."""
    kind = FullDiskError if error.errno in _FULL else StorageError
    return kind(
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
            _to_disk(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise storage_error("write", path, error) from error


def _to_disk(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems have no such call; they are as good without.
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise


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
    """Hold `folder` for this process alone; the lock ends with the process, however it ends.

    If nothing was written, a folder that did not exist before does not exist afterwards.
    Raises `StorageError` if another process holds it.
    """
    new = _missing(folder)
    make_folder(folder)
    lock = FolderLock(folder / LOCK_FILE)
    try:
        try:
            lock.acquire()
        except HeldError as error:
            raise _held(folder, error.owner) from None
        except OSError as error:
            raise storage_error("lock", folder, error) from error
        try:
            yield
        finally:
            lock.release()
    finally:
        for made in new:
            with suppress(OSError):
                # Only if it is empty.
                made.rmdir()


def _missing(folder: Path) -> list[Path]:
    """Return which of `folder` and its parents do not exist, the deepest first."""
    try:
        return list(takewhile(lambda path: not path.exists(), (folder, *folder.parents)))
    except OSError:
        # One that may not be looked into: making the folder will say so.
        return []


def _held(folder: Path, owner: Owner | None) -> StorageError:
    problem = f"another run is writing to {folder}"
    if owner is None:
        return StorageError(problem, "Wait until it ends, stop it, or choose another folder with --out.")
    remedy = "Wait until it ends, stop it, or choose another folder with --out."
    if owner.alive is None:
        remedy += f" If there is no such process any more, delete {folder / LOCK_FILE}."
    return StorageError(f"{problem}: process {owner.process} on {owner.host}", remedy)
