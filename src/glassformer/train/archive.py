"""Files of torch: written whole with a checksum, verified before torch parses them; nothing in them is executed."""

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from glassformer.core.checksum import Checksum, check_last_line, with_last_line
from glassformer.core.errors import CheckpointError
from glassformer.core.files import read_whole, write_atomically

# What torch raises on damaged contents, depending on where the damage lies.
_ERRORS = (OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, MemoryError, OverflowError)


def write_archive(path: Path, values: dict[str, Any]) -> None:
    """Write `values` to `path`, whole or not at all, with a checksum. Raises `StorageError`."""
    buffer = io.BytesIO()
    torch.save(values, buffer)
    write_atomically(path, with_last_line(buffer.getvalue()))


def read_archive(path: Path, what: str, absent: str, damaged: str) -> tuple[dict[str, Any], bool]:
    """Return what the file `path` holds, and whether it has a checksum.

    Only tensors and plain values are read. `what` it should be, such as 'model', is said in messages; `absent` and
    `damaged` are the remedies for a file that does not exist or cannot be read. Raises `CheckpointError`.
    """
    data, found = check_last_line(read_whole(path, CheckpointError, absent))
    if found is Checksum.WRONG:
        raise CheckpointError(f"{path} is damaged: its checksum does not fit its contents", damaged)
    try:
        values = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        # Torch's own words advise to switch this protection off.
        raise CheckpointError(
            f"{path} is damaged or no {what}: it holds other than tensors and plain values, which is never loaded",
            damaged,
        ) from None
    except _ERRORS as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{path} is damaged or no {what}: {first}", damaged) from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} is not a {what}: it holds a {type(values).__name__}", damaged)
    return values, found is Checksum.RIGHT
