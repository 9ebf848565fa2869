"""Temporary files: they carry the process that writes them, and go with it, with its heir, or not at all."""

import glob
import hashlib
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from glassformer.core.host import exists, here

# .<name>.glassformer-<host>-<process>-<boot and container>.tmp: a name that no user gives to a file. Older versions did
# without the last part.
_TEMPORARY = re.compile(r"\.(.+)\.glassformer-(.+)-(\d+)(?:-(t[0-9a-f]{7})[0-9a-f]*)?\.tmp")


def temporary(path: Path, mark: str = "") -> Path:
    """Return the temporary name under which this process writes `path`; `mark` is of hexadecimal digits."""
    host, *where = here()
    return path.with_name(f".{path.name}.glassformer-{host}-{os.getpid()}-{_tag(where)}{mark}.tmp")


def remove_temporaries(folder: Path) -> None:
    """Remove what killed processes of this host left in `folder` and two levels below."""
    for pattern in (".*.tmp", "*/.*.tmp", "*/*/.*.tmp"):
        remove_dead(folder.glob(pattern))


def temporaries_of(path: Path) -> list[Path]:
    """Return all temporary files of `path`, whoever writes them."""
    found = path.parent.glob(f"{glob.escape(f'.{path.name}.')}*.tmp")
    return [one for one in found if _TEMPORARY.fullmatch(one.name)]


def remove_inherited(paths: Iterable[Path]) -> None:
    """Remove temporary files, whoever writes them: only the holder of the lock under which they are written may."""
    for path in paths:
        if _TEMPORARY.fullmatch(path.name):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def remove_dead(paths: Iterable[Path]) -> None:
    """Remove those of `paths` that are temporary files of a process that this one can see to have ended."""
    for path in paths:
        marked = _TEMPORARY.fullmatch(path.name)
        if marked is None or not path.is_file():
            continue
        host, *where = here()
        # A process of another host, another container or before a restart cannot be seen from here.
        if marked[2] == host and marked[4] in (None, _tag(where)) and not _runs(int(marked[3])):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    # Another one had this number before, as in containers.
    return process != os.getpid() and exists(process)


def _tag(where: list[str]) -> str:
    return "t" + hashlib.sha256(" ".join(where).encode()).hexdigest()[:7]
