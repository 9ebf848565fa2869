"""A lock on a folder: `flock` where the file system has it, else a file that records its owner.

Some file systems refuse `flock`: Lustre mounted without it (ENOSYS), NFS without a lock daemon (ENOLCK). There the lock
is the existence of the file, which names host, process and the process's start. A file whose owner has died on this
host, or that names no owner, is taken over; one of another host cannot be judged from here.
"""

import errno
import fcntl
import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

# What a file system without flock answers.
_NO_FLOCK = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}
_HELD = {errno.EAGAIN, errno.EACCES}
# Attempts to take a lock whose file is replaced meanwhile.
_ATTEMPTS = 20
# Seconds after which nobody takes a lock over any more.
_TURN = 30.0
# Attempts where another process holds it.
_LOOKS = 12


@dataclass(frozen=True)
class Owner:
    """The process that wrote a lock file: its host, what tells the host's boot and containers apart, and its start."""

    host: str
    boot: str
    namespace: str
    process: int
    started: str

    @classmethod
    def this(cls) -> "Owner":
        """Return this process."""
        boot = _read("/proc/sys/kernel/random/boot_id")
        return cls(socket.gethostname(), boot, _namespace(), os.getpid(), _started(os.getpid()))

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
        here = Owner.this()
        if self.host != here.host:
            return None
        if self.boot != here.boot:
            # The host has been restarted since.
            return False
        if self.namespace != here.namespace:
            # In another container, or outside of this one.
            return None
        if not self.started:
            # A system without /proc.
            return _exists(self.process)
        return _started(self.process) == self.started


class HeldError(Exception):
    """Another process holds the lock: `owner`, if it is known."""

    def __init__(self, owner: Owner | None) -> None:
        super().__init__(owner)
        self.owner = owner


class FolderLock:
    """The lock whose file is `path`; nothing of it is left when it is released."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, without waiting for it. Raises `HeldError`, `OSError`."""
        held = HeldError(None)
        for attempt in range(_ATTEMPTS):
            try:
                if self._try():
                    return
            except HeldError as error:
                held = error
                # Whoever only looks whether it is held (`is_held`) holds it for a moment.
                if attempt >= _LOOKS:
                    break
            time.sleep(0.01)
        raise held

    def release(self) -> None:
        """Give the lock back, and remove its file."""
        # Before the lock ends: later, the file may be another's, as it is if the folder was moved.
        with suppress(OSError):
            if self._descriptor is None or _is_still(self._descriptor, self._path):
                self._path.unlink()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _try(self) -> bool:
        """Take the lock; false if its file was replaced meanwhile."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            works = _flock(descriptor, fcntl.LOCK_EX)
            found = _contents(descriptor)
            if works is not False:
                _refuse_living(Owner.of(found))
            if works and _is_still(descriptor, self._path):
                if found:
                    os.ftruncate(descriptor, 0)
                self._descriptor, descriptor = descriptor, -1
                return True
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        if works is False:
            raise HeldError(Owner.of(found))
        return works is None and self._replace(found)

    def _replace(self, dead: bytes) -> bool:
        """Put a file that names this process in the place of one with the contents `dead`; false if it has changed.

        One process at a time: whoever makes the file beside it. The lock's file is replaced in one step.
        """
        mine = self._path.with_name(f".lock.glassformer-{socket.gethostname()}-{os.getpid()}.tmp")
        turn = self._path.with_name(f"{self._path.name}.takeover")
        if not _take_turn(turn):
            return False
        try:
            if self._path.read_bytes() != dead:
                # Another process was faster.
                return False
            mine.write_text(json.dumps(asdict(Owner.this())))
            mine.replace(self._path)
        except FileNotFoundError:
            return False
        finally:
            for leftover in (mine, turn):
                with suppress(OSError):
                    leftover.unlink()
        return True


def _take_turn(turn: Path) -> bool:
    """Make the file `turn`; false if another process has it, unless that was killed before it could remove it."""
    try:
        os.close(os.open(turn, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        with suppress(OSError):
            if time.time() - turn.stat().st_mtime > _TURN:
                turn.unlink()
        return False
    return True


def is_held(path: Path) -> bool:
    """Tell whether a process holds the lock whose file is `path`, without changing anything."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        # No lock, or none that may be read: nobody writes here, as far as can be told.
        return False
    try:
        if _flock(descriptor, fcntl.LOCK_SH) is False:
            return True
        owner = Owner.of(_contents(descriptor))
        return owner is not None and owner.alive is not False
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _refuse_living(owner: Owner | None) -> None:
    if owner is not None and owner.alive is not False:
        raise HeldError(owner)


def _flock(descriptor: int, how: int) -> bool | None:
    """Lock the open file; return whether that succeeded, or None if its file system cannot."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        if error.errno in _NO_FLOCK:
            return None
        raise
    return True


def _is_still(descriptor: int, path: Path) -> bool:
    """Tell whether the open file is the one that has its name: a run that ended may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _contents(descriptor: int) -> bytes:
    return os.pread(descriptor, 4096, 0)


def _started(process: int) -> str:
    """Return when the process started, in the kernel's ticks, or nothing if there is no such process."""
    fields = _read(f"/proc/{process}/stat").rpartition(")")[2].split()
    # A zombie has ended; only its parent has not looked yet.
    return fields[19] if len(fields) > 19 and fields[0] != "Z" else ""


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
