"""For how long a file is known to have been as it is, by the observer's own clock: no other clock need be right.

Processes of one host share what they have seen, in a note beside the file, `.c0003.lock.seen-<host>`: the monotonic
clock of a host is the same in all its processes until it is restarted.
"""

import glob
import hashlib
import json
import time
from contextlib import suppress
from pathlib import Path

from glassformer.core.host import here

# What this process has seen: the state of a file, and since when.
_seen: dict[Path, tuple[str, float]] = {}


def unchanged_for(path: Path, contents: bytes, touched: float, share: bool) -> float:
    """Return for how many seconds the file `path` is known to have had `contents`, untouched since `touched`.

    The first call returns 0. What other processes of this host have seen counts; with `share`, they are told.
    """
    now, state = time.monotonic(), hashlib.sha256(contents + repr(touched).encode()).hexdigest()
    known = [one for one in (_seen.get(path), _noted(path)) if one is not None and one[0] == state and one[1] <= now]
    since = min((one[1] for one in known), default=now)
    _seen[path] = state, since
    if share and _noted(path) != (state, since):
        with suppress(OSError):
            _note(path).write_text(json.dumps({"state": state, "since": since, "observer": here()}))
    return now - since


def forget(path: Path) -> None:
    """Remove what was noted of the file `path`, by whatever host."""
    _seen.pop(path, None)
    with suppress(OSError):
        for note in path.parent.glob(f"{glob.escape(path.name)}.seen-*"):
            note.unlink(missing_ok=True)


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.seen-{here()[0]}")


def _noted(path: Path) -> tuple[str, float] | None:
    try:
        found = json.loads(_note(path).read_bytes())
        if tuple(found["observer"]) != here():
            return None
        return str(found["state"]), float(found["since"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
