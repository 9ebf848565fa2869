"""Any known file, told by its contents first and by its suffix second."""

from pathlib import Path

from glassformer.dataset.readers.contents import Contents


def read_file(path: Path, incomplete: bool = False) -> Contents:
    """Return what the file `path` holds, in whichever known format it is.

    `incomplete`: take the whole frames of a file whose last frame is cut off, which is an error otherwise.
    Raises `DatasetError`, `ConfigurationError` or `StorageError`, naming `path` and what is wrong.
    """
    raise NotImplementedError
