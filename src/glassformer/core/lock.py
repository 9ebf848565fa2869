"""Locks that hold across the nodes of a shared file system: a file that names its owner, kept fresh by a heartbeat.

The file is made under a name of its own and linked to the lock's, which succeeds for one process only, also over NFS;
`flock`, which some file systems refuse or keep to one node, is not used. Its owner touches it every `HEARTBEAT`
seconds. An owner on this host that has ended is seen to be dead at once; any other one counts as dead `STALE` seconds
after its last heartbeat, by the clock of the file system. Then the lock is taken over.

Clocks may be wrong. An owner is also dead if its file has stayed as it is for `STALE` seconds of the observer's own
monotonic clock (`core.observed`). Commands that refuse at once cannot watch for so long: they note when they first met
a lock that was touched more than `AHEAD` seconds in the future, and the next command on the same host counts from
there. Thus such a lock is believed no longer than one that was touched when it was first met.
"""

import errno
import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from glassformer.core.host import exists, here, started
from glassformer.core.observed import forget, unchanged_for
from glassformer.core.temporaries import temporary

HEARTBEAT, STALE = 15.0, 180.0
# Seconds in the future from which on the time of a lock file is not believed.
AHEAD = 15.0
# Seconds after which a lock file that names no owner is nobody's: one is written whole within this time.
_NAMELESS = 5.0
# Seconds after which a process that takes a lock over has been killed meanwhile.
_TURN = 30.0
# What file systems without hard links answer.
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EXDEV)


@dataclass(frozen=True)
class Owner:
    """The process that wrote a lock file: its host, what tells the host's boot and containers apart, and its start.

    `folder` is the inode of the folder that the file was made in: in a copy of the folder the lock is nobody's.
    """

    host: str
    boot: str
    namespace: str
    process: int
    started: str
    folder: int
    token: str

    @classmethod
    def this(cls, folder: Path) -> "Owner":
        """Return this process, as the owner of one lock in `folder`."""
        return cls(*here(), os.getpid(), started(os.getpid()), folder.stat().st_ino, uuid.uuid4().hex)

    @classmethod
    def of(cls, contents: bytes) -> "Owner | None":
        """Return the owner that a lock file names, or None."""
        try:
            owner = cls(**json.loads(contents))
        except (ValueError, TypeError):
            return None
        return owner if isinstance(owner.process, int) and owner.process > 0 else None

    @property
    def alive(self) -> bool | None:
        """Whether the process still runs; None if that cannot be seen from here."""
        if (self.host, self.boot, self.namespace) != here():
            # On another host, in another container, or before this host was restarted.
            return None
        # Without /proc there is no start to compare.
        return started(self.process) == self.started if self.started else exists(self.process)

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"


class HeldError(Exception):
    """Another process holds the lock: `owner`, if it is known.

    `made`: how many samples a task made nevertheless, of which others held only some.
    """

    def __init__(self, owner: Owner | None, made: int = 0) -> None:
        super().__init__(owner, made)
        self.owner, self.made = owner, made


class Lock:
    """The lock whose file is `path`; nothing of it is left when it is released."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._contents = b""
        self.inherited: Owner | None = None
        self.lost = False

    def acquire(self) -> None:
        """Take the lock, without waiting for it. Raises `HeldError`, `OSError`.

        `inherited` is then the dead owner from whom it was taken over, if there was one.
        """
        owner = Owner.this(self._path.parent)
        self._contents, self.lost = json.dumps(asdict(owner)).encode(), False
        mine = temporary(self._path, owner.token[:8])
        try:
            mine.write_bytes(self._contents)
            if not _link(mine, self._path, self._contents):
                self._take_over(mine)
        finally:
            with suppress(OSError):
                mine.unlink(missing_ok=True)
        _heart().add(self)

    def release(self) -> None:
        """Give the lock back, and remove its file."""
        _heart().remove(self)
        with suppress(OSError):
            # Otherwise it was taken over, or the folder was moved and another one is in its place.
            if self._path.read_bytes() == self._contents:
                self._path.unlink()
                forget(self._path)

    def beat(self) -> None:
        """Show that this process lives. Sets `lost` if the lock was taken over, or its folder moved or deleted."""
        try:
            if self._path.read_bytes() == self._contents:
                os.utime(self._path)
            else:
                self.lost = True
        except FileNotFoundError:
            self.lost = True
        except OSError:
            # Read-only or out of reach for a while: the others cannot take it over either.
            return

    def _take_over(self, mine: Path) -> None:
        """Replace the file of a dead owner. Raises `HeldError` if the owner lives, or another process was faster.

        One process at a time: whoever makes the file beside it. The lock's file is replaced in one step.
        """
        now = mine.stat().st_mtime
        found = _look(self._path)
        if found is None:
            raise HeldError(None)
        contents, owner, touched = found
        if not _is_dead(self._path, found, now, share=True):
            raise HeldError(owner)
        turn = self._path.with_name(f"{self._path.name}.takeover")
        if not _take_turn(turn, now):
            raise HeldError(owner)
        try:
            again = _look(self._path)
            if again is None or again[0] != contents or again[2] != touched:
                raise HeldError(again and again[1])
            mine.replace(self._path)
            forget(self._path)
        finally:
            with suppress(OSError):
                turn.unlink()
        self.inherited = owner


@contextmanager
def held(path: Path) -> Iterator[Lock]:
    """Hold the lock whose file is `path`. Raises as `Lock.acquire` does."""
    lock = Lock(path)
    lock.acquire()
    try:
        yield lock
    finally:
        lock.release()


def living_owner(path: Path) -> Owner | None:
    """Return who holds the lock whose file is `path`, as far as can be told, or None; nothing is changed."""
    return _living_owner(path, share=False)


def rival(path: Path) -> Owner | None:
    """Return `living_owner`, to a process that is going to write: it notes when it met a lock from the future."""
    return _living_owner(path, share=True)


def _living_owner(path: Path, share: bool) -> Owner | None:
    found = _look(path)
    if found is None or found[1] is None or _is_dead(path, found, time.time(), share):
        return None
    return found[1]


def clear_dead(path: Path) -> None:
    """Remove the lock whose file is `path` if its owner is known to be dead."""
    if path.exists():
        with suppress(HeldError, OSError), held(path):
            pass


def release_all() -> None:
    """Give back all locks of this process, which is about to end."""
    for lock in _heart().locks():
        lock.release()


class _Heart:
    """A thread that touches the files of all locks that this process holds."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._locks: set[Lock] = set()
        # Also for a signal's handler, which may interrupt what holds it.
        self._guard = threading.RLock()
        threading.Thread(target=self._run, daemon=True, name="heartbeat").start()

    def add(self, lock: Lock) -> None:
        with self._guard:
            self._locks.add(lock)

    def remove(self, lock: Lock) -> None:
        with self._guard:
            self._locks.discard(lock)

    def locks(self) -> list[Lock]:
        with self._guard:
            return list(self._locks)

    def _run(self) -> None:
        while True:
            time.sleep(HEARTBEAT)
            for lock in self.locks():
                lock.beat()


_hearts: list[_Heart] = []
_one_at_a_time = threading.Lock()


def _heart() -> _Heart:
    """Return that of this process; one that was forked has none yet."""
    with _one_at_a_time:
        if not _hearts or _hearts[0].process != os.getpid():
            _hearts[:] = [_Heart()]
        return _hearts[0]


def _link(mine: Path, path: Path, contents: bytes) -> bool:
    """Give the file `mine` the name `path` as well; false if there is one already."""
    try:
        os.link(mine, path)
    except FileExistsError:
        # Over NFS the answer to a link that was made may be lost, and asked for again.
        return _read(path) == contents
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(contents)
    return True


def _take_turn(turn: Path, now: float) -> bool:
    """Make the file `turn`; false if another process has it, unless that was killed before it could remove it."""
    try:
        os.close(os.open(turn, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        with suppress(OSError):
            touched = turn.stat().st_mtime
            # Also one from the future, by whatever clock.
            if now - touched > _TURN or (
                touched - now > AHEAD and unchanged_for(turn, b"", touched, share=True) > _TURN
            ):
                turn.unlink()
                forget(turn)
        return False
    return True


def _look(path: Path) -> tuple[bytes, Owner | None, float] | None:
    """Return what the lock file holds, whom it names, and when it was touched; None if it cannot be read."""
    try:
        with path.open("rb") as stream:
            contents = stream.read(4096)
            return contents, Owner.of(contents), os.fstat(stream.fileno()).st_mtime
    except OSError:
        return None


def _is_dead(path: Path, found: tuple[bytes, Owner | None, float], now: float, share: bool) -> bool:
    """Tell whether the owner of the lock file `path`, in which `found` was found at the time `now`, counts as dead.

    With `share`, other processes of this host are told of a lock from the future.
    """
    contents, owner, touched = found
    limit = _NAMELESS
    if owner is not None:
        # In a copy of the folder the owner's life means nothing.
        alive = owner.alive if owner.folder == _inode(path.parent) else None
        if alive is not None:
            return not alive
        limit = STALE
    age = now - touched
    return age > limit or unchanged_for(path, contents, touched, share and age < -AHEAD) > limit


def _inode(folder: Path) -> int:
    try:
        return folder.stat().st_ino
    except OSError:
        return 0


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
