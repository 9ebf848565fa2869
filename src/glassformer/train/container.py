"""Model files: tensors in a safetensors file, all else as JSON in its metadata, with a checksum. They hold no code.

The metadata have one entry, 'glassformer': the line of the checksum, a line feed, and a JSON object. Any program that
reads safetensors reads the tensors.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from glassformer.core.checksum import EMPTY_LINE, Checksum, check_inner_line, with_inner_line
from glassformer.core.errors import CheckpointError
from glassformer.core.files import write_atomically

KEY = "glassformer"
# Bytes in front of the header, which say how long it is.
_LENGTH = 8


def write_container(path: Path, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write `header`, plain values, and `tensors` to `path`, whole or not at all. Raises `StorageError`."""
    # Tensors that share memory cannot be saved.
    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    whole = save(own, {KEY: f"{EMPTY_LINE}\n{json.dumps(header)}"})
    write_atomically(path, with_inner_line(whole))


def parse_container(whole: bytes, path: Path, remedy: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the header and the tensors of the model file `path`, whose contents are `whole`.

    Raises `CheckpointError` with `remedy` if it is damaged or no such file.
    """
    found = check_inner_line(whole)
    if found is Checksum.WRONG:
        raise CheckpointError(f"{path} is damaged: its checksum does not fit its contents", remedy)
    if found is not Checksum.RIGHT:
        raise CheckpointError(f"{path} is damaged or no model of glassformer: it carries no checksum", remedy)
    try:
        length = int.from_bytes(whole[:_LENGTH], "little")
        text = json.loads(whole[_LENGTH : _LENGTH + length])["__metadata__"][KEY]
        header = json.loads(text.partition("\n")[2])
        tensors = load(whole)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{path} is not a model of glassformer: {first}", remedy) from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path} is not a model of glassformer: its header is not a table", remedy)
    return header, tensors
