"""How much memory is left to this process."""

from contextlib import suppress
from pathlib import Path

_MEMINFO, _CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Return the bytes that can still be taken, by the machine and by a container's limit; None if nothing says so."""
    found = []
    with suppress(OSError, ValueError, IndexError):
        line = next((row for row in _MEMINFO.read_text().splitlines() if row.startswith("MemAvailable:")), "")
        found.append(1024 * int(line.split()[1]))
    with suppress(OSError, ValueError, KeyError):
        limit, used = (int((_CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        found.append(max(0, limit - used + _cached()))
    return min(found, default=None)


def _cached() -> int:
    """Return the bytes of files that the container's system keeps in memory, and gives up when they are needed."""
    rows = dict(row.split() for row in (_CGROUP / "memory.stat").read_text().splitlines())
    return int(rows["active_file"]) + int(rows["inactive_file"])
