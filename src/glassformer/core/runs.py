"""Who may write to a folder: one run alone, or several that share the work.

A run that writes alone holds the folder's lock. One that shares has a lock of its own beside it, by which it is seen.
Each kind makes its own lock first and looks for the other's then, so that they never write at the same time.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from glassformer.core.errors import StorageError
from glassformer.core.files import make_folder, storage_error, watched
from glassformer.core.host import here
from glassformer.core.layout import LOCK_FILE, run_locks
from glassformer.core.lock import STALE, HeldError, Lock, Owner, clear_dead, living_owner, rival

_ELSEWHERE = "Wait until it ends, stop it, or choose another folder with --out."


@contextmanager
def exclusive(folder: Path, in_place: bool = False) -> Iterator[None]:
    """Hold `folder` for this process alone; the lock ends with the process, however it ends.

    `in_place`: of a command that cannot write to another folder, which its errors must not advise.
    If nothing was written, a folder that did not exist before does not exist afterwards.
    Raises `StorageError` if another process writes there.
    """
    with _made(folder), _locked(folder, folder / LOCK_FILE, in_place):
        for owner in sharing(folder):
            raise _held(folder, owner, in_place)
        with watched(folder):
            yield


@contextmanager
def shared(folder: Path) -> Iterator[None]:
    """Write to `folder` beside other runs that share it. As `exclusive`, which it excludes."""
    host = here()[0]
    with _made(folder):
        for left in folder.glob(run_locks(host)):
            clear_dead(left)
        with _locked(folder, folder / run_locks(host, os.getpid())):
            owner = rival(folder / LOCK_FILE)
            if owner is not None:
                raise _held(folder, owner)
            with watched(folder):
                yield


def sharing(folder: Path) -> list[Owner]:
    """Return the runs that share `folder` at the moment, without this one."""
    found = [rival(path) for path in folder.glob(run_locks())]
    here_too = (*here(), os.getpid())
    return [one for one in found if one and (one.host, one.boot, one.namespace, one.process) != here_too]


def writing(folder: Path) -> list[Owner]:
    """Return the runs that write to `folder` at the moment, alone or shared; nothing is changed."""
    found = [living_owner(path) for path in (folder / LOCK_FILE, *folder.glob(run_locks()))]
    return [one for one in found if one is not None]


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    new = _missing(folder)
    make_folder(folder)
    try:
        yield
    finally:
        for made in new:
            with suppress(OSError):
                # Only if it is empty.
                made.rmdir()


@contextmanager
def _locked(folder: Path, path: Path, in_place: bool = False) -> Iterator[None]:
    lock = Lock(path)
    try:
        lock.acquire()
    except HeldError as error:
        raise _held(folder, error.owner, in_place) from None
    except OSError as error:
        raise storage_error("lock", folder, error, in_place) from error
    try:
        yield
    finally:
        lock.release()


def _missing(folder: Path) -> list[Path]:
    """Return which of `folder` and its parents do not exist, the deepest first."""
    try:
        return list(takewhile(lambda path: not path.exists(), (folder, *folder.parents)))
    except OSError:
        # One that may not be looked into: making the folder will say so.
        return []


def _held(folder: Path, owner: Owner | None, in_place: bool = False) -> StorageError:
    problem = f"another run is writing to {folder}"
    remedy = "Wait until it ends, or stop it." if in_place else _ELSEWHERE
    if owner is None:
        return StorageError(problem, remedy)
    if owner.alive is None:
        remedy += f" If it was killed, the folder is free in {STALE / 60:g} minutes at the latest."
    return StorageError(f"{problem}: {owner}", remedy)
