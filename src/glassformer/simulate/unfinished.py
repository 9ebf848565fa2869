"""What is there of a sample that is not finished: files in a hidden folder beside it, gone when it is whole."""

import io
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassformer.core.checksum import Checksum, check_last_line, with_last_line
from glassformer.core.errors import StorageError
from glassformer.core.files import patiently, refuse_if_moved, write_atomically
from glassformer.core.layout import unfinished_folder
from glassformer.core.lock import Lock

# Raise it when what is kept changes its form: older files then count as not there.
FORMAT = 2


class Unfinished:
    """Arrays by name, kept for the sample at `path` while it is made with the parameters that hash to `key`.

    What was made with others, is damaged or cannot be read counts as not there. Without a key, whatever is there is
    read. With the sample's `lock`, nothing is written any more once that is lost.
    """

    def __init__(self, path: Path, key: str | None, lock: Lock | None = None) -> None:
        self._lock = lock
        self._folder = unfinished_folder(path)
        self._key = None if key is None else f"{FORMAT}:{key}"

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        """Return the arrays saved as `name`, or None."""
        try:
            data, found = check_last_line(self._file(name).read_bytes())
            if found is not Checksum.RIGHT:
                return None
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                arrays = dict(file)
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None
        key = str(arrays.pop("key", ""))
        return arrays if self._key in (None, key) else None

    def names(self) -> list[str]:
        """Return the names under which something is saved, whatever the parameters."""
        return sorted(path.stem for path in self._folder.glob("[!.]*.npz"))

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Save `arrays` as `name`, whole or not at all; wait for a file system that is out of reach for a while.

        Raises `StorageError`.
        """
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, key=np.array(self._key), **arrays)
        contents = with_last_line(buffer.getvalue())

        def write() -> None:
            self.check_home()
            write_atomically(self._file(name), contents)

        patiently(write)

    def check_home(self) -> None:
        """Raise `StorageError` if the dataset was moved or deleted while this process watched it.

        Also if the sample's lock was taken over meanwhile: this process was suspended, or out of reach, for too long.
        """
        refuse_if_moved(self._folder)
        if self._lock is not None and self._lock.lost:
            raise StorageError(
                f"the lock beside {self._folder} was lost: another run has taken the sample over",
                "The other run simulates the sample. This process may have been suspended, or the file system"
                " unreachable.",
            )

    def drop(self, name: str) -> None:
        """Forget `name`."""
        self._file(name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget everything."""
        if self._folder.exists():
            shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.npz"
