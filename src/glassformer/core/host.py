"""Which host this is, and whether a process of it still runs."""

import os
import socket
from pathlib import Path


def here() -> tuple[str, str, str]:
    """Return the host's name, and what tells its boot and its containers apart."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return socket.gethostname(), _text("/proc/sys/kernel/random/boot_id"), namespace


def started(process: int) -> str:
    """Return when a process started, in the kernel's ticks, or nothing if there is no such process, or no /proc."""
    fields = _text(f"/proc/{process}/stat").rpartition(")")[2].split()
    # A zombie has ended; only its parent has not looked yet.
    return fields[19] if len(fields) > 19 and fields[0] != "Z" else ""


def exists(process: int) -> bool:
    """Tell whether a process of this host and container exists."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
