"""Whole files or none: everything the package writes goes through here."""

import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from glassformer.core.errors import FullDiskError, InputError, NoFileError, StorageError
from glassformer.core.temporaries import remove_dead, temporaries_of, temporary

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REMEDIES = {
    errno.ENOSPC: "The disk is full: free some space and run the same command again; finished work is kept.",
    errno.EDQUOT: "Your disk quota is used up: free some space and run the same command again; finished work is kept.",
    errno.EROFS: "The file system is read-only: choose another folder with --out.",
    errno.ELOOP: "A link leads back to itself: remove it.",
    errno.EACCES: "You may not write there: choose another folder with --out, or change its permissions.",
    errno.EFBIG: "The file would be larger than this shell's limit (ulimit -f) or the file system allows.",
    errno.ENAMETOOLONG: "The name is too long: file systems allow 255 bytes for each part of a path.",
    errno.EMFILE: "The limit on open files is too low: raise it (ulimit -n 1024).",
    errno.ENOTDIR: "A part of the path is a file: choose another folder.",
    errno.ENOENT: "A folder of the path is missing: it may have been moved or deleted.",
}
# Of commands that change a folder where it is.
_IN_PLACE = {
    errno.EROFS: "The file system is read-only: make it writable, or run the command on a copy of the folder.",
    errno.EACCES: "You may not write there: change its permissions, or run the command on a copy of the folder.",
    errno.EPERM: "You may not write there: change its permissions, or run the command on a copy of the folder.",
}
_READING = {
    errno.EACCES: "You may not read it: change its permissions, or ask its owner.",
    errno.EISDIR: "It is a folder; a file was expected.",
    errno.EIO: "The disk, or the connection to it, fails: copy the data elsewhere.",
}


def storage_error(action: str, path: Path, error: OSError, in_place: bool = False) -> StorageError:
    """Turn an `OSError` met on `action` at `path` into an error with its remedy.

    `in_place`: the command changes a folder, and cannot write to another one.
    """
    kind = FullDiskError if error.errno in _FULL else StorageError
    remedies = _REMEDIES | _READING if action.startswith(("read", "access")) else _REMEDIES
    remedies = remedies | _IN_PLACE if in_place else remedies
    return kind(
        f"cannot {action} {_shortened(path)}: {error.strerror or error}",
        remedies.get(error.errno or 0, "Check the path and its permissions."),
    )


def _shortened(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 300 else f"{text[:150]} ... {text[-100:]}"


def make_folder(path: Path) -> None:
    """Create `path` and its parents. Raises `StorageError`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error("create the folder", path, error) from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a file with this name is always whole.

    The bytes go to a temporary name in the same folder, are flushed to the disk, and the file is renamed; then the
    folder is flushed. A process killed at any moment leaves the old file or the new one, and perhaps a temporary file,
    which the next writer of this file removes. Raises `StorageError`, also where `path` is a device, a pipe or a
    folder; then no temporary file is left.
    """
    refuse_if_moved(path)
    named = path
    with suppress(OSError, RuntimeError):
        # What a link points to is replaced, not the link; one that leads back to itself raises `RuntimeError`.
        path = path.resolve() if path.is_symlink() else path
    _make_below_held(path.parent)
    mine = temporary(path)
    try:
        if path.exists() and not path.is_file():
            raise StorageError(f"cannot write {path}: it is not a regular file", "Choose another name.")
        remove_dead(temporaries_of(path))
        with mine.open("wb") as stream:
            stream.write(data)
            stream.flush()
            _to_disk(stream.fileno())
        mine.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            mine.unlink(missing_ok=True)
        # The folder may have been moved since this function looked.
        refuse_if_moved(named)
        raise storage_error("write", path, error) from error


def _make_below_held(folder: Path) -> None:
    """Create `folder` and its parents, but none that this process holds: that may have been moved a moment ago.

    Raises `StorageError`.
    """
    held = next((above for above in (folder, *folder.parents) if above in _held_folders), None)
    if held is None:
        return make_folder(folder)
    below = [folder, *folder.parents]
    try:
        for one in reversed(below[: below.index(held)]):
            one.mkdir(exist_ok=True)
    except OSError as error:
        refuse_if_moved(folder)
        raise storage_error("create the folder", folder, error) from error


# What a file system answers that is out of reach, read-only or remounted for a while.
_FOR_A_WHILE = (errno.EROFS, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN)
# Seconds for which hours of work wait for such a file system, and between two attempts.
PATIENCE, PAUSE = 600.0, 5.0


def patiently(write: Callable[[], None]) -> None:
    """Call `write` until the file system takes what it writes, for at most `PATIENCE` seconds.

    Raises the last `StorageError`; one that waiting does not cure, such as of a full disk, at once.
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return write()
        except StorageError as error:
            cause = error.__cause__
            passing = isinstance(cause, OSError) and cause.errno in _FOR_A_WHILE
            if not passing or time.monotonic() > until:
                raise
        time.sleep(PAUSE)


# Folders that this process holds, with what tells them from others, device and inode, once for each holder.
_held_folders: dict[Path, list[tuple[int, int]]] = {}
_guard = threading.Lock()


def refuse_if_moved(path: Path) -> None:
    """Raise `StorageError` if a folder around `path` that this process holds was moved, deleted or replaced meanwhile.

    It must not be made again in its old place: half of the results would lie there.
    """
    with _guard:
        held = [(folder, known[0]) for folder, known in _held_folders.items() if known]
    for folder, identity in held:
        if (folder == path or folder in path.parents) and _has_moved(folder, identity):
            raise StorageError(
                f"{folder} was moved or deleted during the run",
                "Move it back, or give its new path, and run the same command again; finished work is kept.",
            )


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Let `refuse_if_moved` watch over `folder` meanwhile."""
    with suppress(OSError):
        identity = _identity(folder)
        with _guard:
            # Threads that work in one folder begin and end as they like.
            _held_folders.setdefault(folder, []).append(identity)
    try:
        yield
    finally:
        with _guard:
            known = _held_folders.get(folder, [])
            del known[-1:]
            if not known:
                _held_folders.pop(folder, None)


def _identity(folder: Path) -> tuple[int, int]:
    """Raises `OSError`."""
    found = folder.stat()
    return found.st_dev, found.st_ino


def _has_moved(folder: Path, identity: tuple[int, int]) -> bool:
    try:
        return _identity(folder) != identity
    except OSError as error:
        # One that is out of reach for a while is still there.
        return error.errno not in _FOR_A_WHILE


def _to_disk(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems have no such call; they are as good without.
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise


def _flush_folder(folder: Path) -> None:
    """Make a rename durable, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_whole(path: Path, error: type[InputError], remedy: str) -> bytes:
    """Return the bytes of `path`.

    Raises `error` with `remedy` if it does not exist; `NoFileError` for a device, a pipe or a folder, which might never
    end, and for a link to nothing or to itself; `StorageError` if it cannot be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise NoFileError(f"cannot read {path}: it is not a regular file", "Give the name of a file.")
        return path.read_bytes()
    except FileNotFoundError:
        refuse_broken_link(path)
        raise error(f"there is no file {path}", remedy) from None
    except (MemoryError, OverflowError):
        raise StorageError(
            f"cannot read {path}: its {path.stat().st_size} bytes do not fit into memory",
            "The file may be damaged or of another kind.",
        ) from None
    except OSError as problem:
        refuse_broken_link(path)
        raise storage_error("read", path, problem) from problem


def refuse_broken_link(path: Path) -> None:
    """Raise `NoFileError` if `path` is a link to nothing, or to itself by whatever way."""
    if not is_broken_link(path):
        return
    try:
        target = os.readlink(path)
    except OSError:
        target = "?"
    raise NoFileError(
        f"cannot read {path}: it is a link to {target}, which does not exist",
        "Make its target available again, or remove the link.",
    )


def is_broken_link(path: Path) -> bool:
    """Tell whether `path` is a link that leads to nothing, or back to itself."""
    try:
        path.stat()
    except OSError as error:
        return error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP) and path.is_symlink()
    return False
