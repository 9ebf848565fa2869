"""How much memory is left to this process."""

from contextlib import suppress
from pathlib import Path

_MEMINFO, _CGROUP, _OWN = Path("/proc/meminfo"), Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def available_memory() -> int | None:
    """Return the bytes that can still be taken; None if nothing says so.

    By the machine, and by the limits of a container or of a job, as SLURM sets them.
    """
    found = []
    with suppress(OSError, ValueError, IndexError):
        line = next((row for row in _MEMINFO.read_text().splitlines() if row.startswith("MemAvailable:")), "")
        found.append(1024 * int(line.split()[1]))
    for group in _groups():
        with suppress(OSError, ValueError, KeyError):
            limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
            found.append(max(0, limit - used + _cached(group)))
    return min(found, default=None)


def _groups() -> list[Path]:
    """Return the control groups (version 2) that this process is in: its own, and those around it."""
    path = Path("/")
    with suppress(OSError, StopIteration):
        lines = _OWN.read_text().splitlines()
        path = Path(next(line for line in lines if line.startswith("0::")).removeprefix("0::"))
    return [_CGROUP / str(one).lstrip("/") for one in (path, *path.parents)]


def _cached(group: Path) -> int:
    """Return the bytes of files that the system keeps in memory for `group`, and gives up when they are needed."""
    rows = dict(row.split() for row in (group / "memory.stat").read_text().splitlines())
    return int(rows["active_file"]) + int(rows["inactive_file"])
