"""A folder for what matplotlib keeps, where the home cannot be written to."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "MPLCONFIGDIR"


@contextmanager
def matplotlib_folder() -> Iterator[None]:
    """Give matplotlib, here and in worker processes, a temporary folder if it has none that it can write to.

    It would make one itself, in each process, with a warning that there is nothing to be done about.
    """
    folder = None if _has_folder() else _temporary()
    if folder is not None:
        os.environ[VARIABLE] = folder
    try:
        yield
    finally:
        if folder is not None:
            os.environ.pop(VARIABLE, None)
            shutil.rmtree(folder, ignore_errors=True)


def _has_folder() -> bool:
    if os.environ.get(VARIABLE):
        return True
    try:
        home = Path.home()
    except RuntimeError:
        # A user without a name, as in some containers.
        return False
    places = {"XDG_CONFIG_HOME": ".config", "XDG_CACHE_HOME": ".cache"}
    return all(
        _is_writable(Path(os.environ.get(name) or home / default) / "matplotlib") for name, default in places.items()
    )


def _is_writable(folder: Path) -> bool:
    """Tell whether files can be written to `folder`, or it can be made."""
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
    except (OSError, StopIteration):
        return False
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _temporary() -> str | None:
    try:
        return tempfile.mkdtemp(prefix="glassformer-")
    except OSError:
        return None
