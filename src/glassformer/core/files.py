"""Whole files or none: everything the package writes goes through here."""

import errno
import glob
import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from glassformer.core.errors import FullDiskError, InputError, StorageError
from glassformer.core.layout import LOCK_FILE
from glassformer.core.lock import FolderLock, HeldError, Owner

# .<name>.glassformer-<host>-<process id>.tmp: a name that no user gives to a file.
_TEMPORARY = re.compile(r"\.(.+)\.glassformer-(.+)-(\d+)\.tmp")

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REMEDIES = {
    errno.ENOSPC: "The disk is full: free some space and run the same command again; finished work is kept.",
    errno.EDQUOT: "Your disk quota is used up: free some space and run the same command again; finished work is kept.",
    errno.EROFS: "The file system is read-only: choose another folder with --out.",
    errno.EACCES: "You may not write there: choose another folder with --out, or change its permissions.",
    errno.EFBIG: "The file would be larger than this shell's limit (ulimit -f) or the file system allows.",
    errno.ENAMETOOLONG: "The name is too long: file systems allow 255 bytes for each part of a path.",
    errno.EMFILE: "The limit on open files is too low: raise it (ulimit -n 1024).",
    errno.ENOTDIR: "A part of the path is a file: choose another folder.",
}
_READING = {
    errno.EACCES: "You may not read it: change its permissions, or ask its owner.",
    errno.EISDIR: "It is a folder; a file was expected.",
    errno.EIO: "The disk, or the connection to it, fails: copy the data elsewhere.",
}


def storage_error(action: str, path: Path, error: OSError) -> StorageError:
    """Turn an `OSError` met on `action` at `path` into an error with its remedy."""
    kind = FullDiskError if error.errno in _FULL else StorageError
    remedies = _REMEDIES | _READING if action.startswith(("read", "access")) else _REMEDIES
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
    with suppress(OSError):
        # What a link points to is replaced, not the link.
        path = path.resolve() if path.is_symlink() else path
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.glassformer-{socket.gethostname()}-{os.getpid()}.tmp")
    try:
        if path.exists() and not path.is_file():
            raise StorageError(f"cannot write {path}: it is no regular file", "Choose another name.")
        for leftover in path.parent.glob(f"{glob.escape(f'.{path.name}.')}*"):
            _remove_if_left(leftover)
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            _to_disk(stream.fileno())
        temporary.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise storage_error("write", path, error) from error


# Folders that this process holds, with what tells them from others: device and inode.
_held_folders: dict[Path, tuple[int, int]] = {}


def refuse_if_moved(path: Path) -> None:
    """Raise `StorageError` if a folder around `path` that this process holds was moved, deleted or replaced meanwhile.

    It must not be made again in its old place: half of the results would lie there.
    """
    for folder, identity in _held_folders.items():
        if (folder == path or folder in path.parents) and _identity(folder) != identity:
            raise StorageError(
                f"{folder} was moved or deleted while it was written to",
                "Put it back, or name its new place with --out, and run the same command again; finished work is kept.",
            )


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


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

    Raises `error` with `remedy` if it does not exist, `StorageError` if it cannot be read or is a device, a pipe or a
    folder, which might never end.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise StorageError(f"cannot read {path}: it is no regular file", "Give the name of a file.")
        return path.read_bytes()
    except FileNotFoundError:
        raise error(f"there is no file {path}", remedy) from None
    except (MemoryError, OverflowError):
        raise StorageError(
            f"cannot read {path}: its {path.stat().st_size} bytes do not fit into memory",
            "Is it damaged, or no such file?",
        ) from None
    except OSError as problem:
        raise storage_error("read", path, problem) from problem


def remove_temporaries(folder: Path) -> None:
    """Remove what killed processes left in `folder` and two levels below; call only while holding the folder's lock.

    Only files that this package marked as temporary go, and only if the process that wrote them is gone.
    """
    for pattern in (".*.tmp", "*/.*.tmp", "*/*/.*.tmp"):
        for leftover in folder.glob(pattern):
            _remove_if_left(leftover)


def _remove_if_left(path: Path) -> None:
    marked = _TEMPORARY.fullmatch(path.name)
    if marked is None or not path.is_file() or marked.group(2) != socket.gethostname():
        # Whether a process of another host still runs cannot be seen from here.
        return
    if _runs(int(marked.group(3))):
        return
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    if process == os.getpid():
        # Another one had this number before, as in containers.
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


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
        identity = _identity(folder)
        if identity is not None:
            _held_folders[folder] = identity
        try:
            yield
        finally:
            _held_folders.pop(folder, None)
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
