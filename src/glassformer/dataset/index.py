"""What was read of a dataset's samples, kept beside them, so that thousands need not be read again to be listed.

The index is a cache and never the truth: what it knows of a file counts only while the file's size, times and inode are
those it was read with. One that is damaged, of another version or cannot be written is as good as none.
"""

import hashlib
import io
import json
import os
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import FloatArray
from glassformer.core.checksum import Checksum, check_last_line, with_last_line
from glassformer.core.errors import StorageError
from glassformer.core.files import write_atomically
from glassformer.core.layout import DatasetFolder
from glassformer.core.version import __version__
from glassformer.dataset.digest import Digest, restored

# Raise it when what is kept changes its form or its meaning.
FORMAT = f"2, glassformer {__version__}"
# Fewer samples are read in half a second: they get no index.
LEAST = 100
# A file that changed so short a time ago may change again without another time, on file systems that count in seconds.
SETTLED = 2.0

# Size, times of modification and of change in ns, inode.
Key = tuple[int, int, int, int]


class Index:
    """The index of the dataset in a folder. `digest` answers from it, or reads the sample and remembers it."""

    def __init__(self, dataset: Path) -> None:
        self._dataset = dataset
        self._known: dict[str, tuple[Key, Digest]] = {}
        self._consistent = ""
        self._changed = False
        # Samples read since, because the index did not know them.
        self.read = 0
        with suppress(*_USELESS):
            self._known, self._consistent = _unpacked(DatasetFolder(dataset).index.read_bytes())

    def known(self, path: Path) -> Digest | None:
        """Return the digest of the sample at `path` if the index has it as the file is now, else None."""
        found = self._known.get(self._name(path))
        return found[1] if found is not None and found[0] == key(path) else None

    def digest(self, path: Path, read: Callable[[Path], Digest]) -> Digest:
        """Return the digest of the sample at `path`, by `read` if the index does not know it. Raises what that does."""
        found = self.known(path)
        if found is None:
            before = key(path)
            found = read(path)
            self.read += 1
            self.add(path, found, before)
        return found

    def add(self, path: Path, digest: Digest, before: Key | None) -> None:
        """Take in the digest of `path`, which had the key `before` when it was read, unless it may have changed."""
        if before is not None and before == key(path) and time.time() - before[1] / 1e9 > SETTLED:
            self._known[self._name(path)] = before, digest
            self._changed = True

    def missing(self, paths: Sequence[Path]) -> int:
        """Return how many of `paths` would have to be read."""
        return sum(self.known(path) is None for path in paths)

    def is_consistent(self, paths: Sequence[Path]) -> bool:
        """Tell whether these very files were found to belong together, by `set_consistent`."""
        return self._consistent != "" and self._consistent == self._state(paths)

    def set_consistent(self, paths: Sequence[Path]) -> None:
        """Take down that these files, as they are, belong together and hold no structure twice."""
        state = self._state(paths)
        self._changed |= state != self._consistent
        self._consistent = state

    def save(self, paths: Sequence[Path]) -> None:
        """Write the index of `paths`, all samples of the dataset, if it has changed and is worth it."""
        names = [self._name(path) for path in paths]
        if not self._changed or len(names) < LEAST:
            return
        kept = {name: self._known[name] for name in names if name in self._known}
        with suppress(StorageError):
            write_atomically(DatasetFolder(self._dataset).index, _packed(kept, self._consistent))
            self._changed = False

    def _name(self, path: Path) -> str:
        return f"{path.parent.name}/{path.name}"

    def _state(self, paths: Sequence[Path]) -> str:
        """Return a hash of the names and keys of `paths`, or nothing if the index does not know them all."""
        known = [self._known.get(name) for name in map(self._name, paths)]
        if not paths or None in known:
            return ""
        keys = [(self._name(path), found[0]) for path, found in zip(paths, known, strict=True) if found is not None]
        return hashlib.sha256(repr(keys).encode()).hexdigest()


def key(path: Path) -> Key | None:
    """Return what tells that the file `path` is as it was, or None if it cannot be seen."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


_USELESS = (OSError, ValueError, TypeError, KeyError, IndexError, EOFError, RecursionError, zipfile.BadZipFile)


def _packed(known: dict[str, tuple[Key, Digest]], consistent: str) -> bytes:
    """Return the bytes of the file: rows as JSON, and the vectors of all samples in tables."""
    digests = [digest for _, digest in known.values()]
    times: dict[bytes, int] = {}
    rows = []
    for name, (seen, digest) in known.items():
        number = None if digest.times is None else times.setdefault(digest.times.tobytes(), len(times))
        rows.append([name, seen, number, digest.without_arrays()])
    text = json.dumps({"format": FORMAT, "consistent": consistent, "rows": rows}).encode()
    buffer = io.BytesIO()
    np.savez(
        buffer,
        allow_pickle=False,
        rows=np.frombuffer(text, np.uint8),
        times=_table([np.frombuffer(one) for one in times]),
        scattering=_table([np.empty(0) if one.scattering is None else one.scattering for one in digests]),
        signature=_table([one.signature for one in digests]),
        lengths=np.array([len(one.signature) for one in digests]),
    )
    return with_last_line(buffer.getvalue())


def _unpacked(whole: bytes) -> tuple[dict[str, tuple[Key, Digest]], str]:
    data, found = check_last_line(whole)
    if found is not Checksum.RIGHT:
        raise ValueError("damaged")
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        tables: dict[str, NDArray[Any]] = dict(file)
    contents = json.loads(tables["rows"].tobytes())
    if contents["format"] != FORMAT:
        raise ValueError("of another version")
    grids = [row[~np.isnan(row)] for row in tables["times"]]
    known = {}
    for at, (name, seen, number, plain) in enumerate(contents["rows"]):
        times = scattering = None
        if number is not None:
            times = grids[number]
            scattering = tables["scattering"][at, : len(times)]
        signature = tables["signature"][at, : tables["lengths"][at]]
        known[name] = tuple(seen), restored(plain, times, scattering, signature)
    return known, contents["consistent"]


def _table(rows: Sequence[FloatArray]) -> FloatArray:
    """Return `rows` as one table, NaN where one is shorter than the longest."""
    table = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for row, values in zip(table, rows, strict=True):
        row[: len(values)] = values
    return table
