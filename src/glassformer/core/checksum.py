"""A checksum of its bytes in every file that the package writes, verified before another library parses the file.

HDF5 files begin with a user block of 512 bytes, which HDF5's own tools pass over: a line that says what it is, with the
SHA-256 of all that follows. Archives of torch and numpy end with such a line, which their readers ignore. A format that
allows neither, such as safetensors, holds the line among its contents: `EMPTY_LINE` when it is made, filled in then.
"""

import hashlib
import multiprocessing
import warnings
from enum import Enum
from pathlib import Path

BLOCK = 512
_HDF5 = b"\x89HDF\r\n\x1a\n"
_LINE = b"glassformer file, SHA-256 of the rest: "
_DIGITS = 64
# The line before its checksum is known.
EMPTY_LINE = (_LINE + b"0" * _DIGITS).decode()


class Checksum(Enum):
    """What was found: a checksum that fits, none at all as in older files, one that does not fit, or another format."""

    RIGHT = "right"
    NONE = "none"
    WRONG = "wrong"
    FOREIGN = "foreign"


class OlderFileWarning(UserWarning):
    """Files of an older version carry no checksum."""


def with_user_block(whole: bytes) -> bytes:
    """Return an HDF5 file that begins with a user block of `BLOCK` bytes, with its checksum in the block."""
    return _block(whole) + whole[BLOCK:]


def check_user_block(whole: bytes) -> Checksum:
    """Verify the checksum of the HDF5 file `whole`. A file that begins with HDF5's own signature has none."""
    if len(whole) > BLOCK and whole[:BLOCK] == _block(whole):
        return Checksum.RIGHT
    if whole.startswith(_HDF5):
        return Checksum.NONE
    # One damaged byte in the line must not make it another format.
    return Checksum.WRONG if whole[BLOCK:].startswith(_HDF5) or whole.startswith(_LINE) else Checksum.FOREIGN


def with_last_line(data: bytes) -> bytes:
    """Return `data` with a last line that holds their checksum."""
    return data + b"\n" + _line(data)


def check_last_line(whole: bytes) -> tuple[bytes, Checksum]:
    """Return the data that `with_last_line` was given, or `whole` if there is no such line, and what was found."""
    length = len(_LINE) + _DIGITS + 2
    data, end = whole[:-length], whole[-length:]
    if not end[1:].startswith(_LINE):
        return whole, Checksum.NONE
    return data, Checksum.RIGHT if end == b"\n" + _line(data) else Checksum.WRONG


def with_inner_line(data: bytes) -> bytes:
    """Return `data`, which hold `EMPTY_LINE`, with the checksum of `data` in it."""
    begin = data.index(EMPTY_LINE.encode()) + len(_LINE)
    return data[:begin] + hashlib.sha256(data).hexdigest().encode() + data[begin + _DIGITS :]


def check_inner_line(whole: bytes) -> Checksum:
    """Verify the checksum that `with_inner_line` put into `whole`: the first such line counts."""
    begin = whole.find(_LINE)
    if begin < 0:
        return Checksum.NONE
    begin += len(_LINE)
    digits = whole[begin : begin + _DIGITS]
    empty = whole[:begin] + b"0" * _DIGITS + whole[begin + _DIGITS :]
    return Checksum.RIGHT if digits == hashlib.sha256(empty).hexdigest().encode() else Checksum.WRONG


def warn_of_older_files(path: Path) -> None:
    """Say, once for a folder, that damage in its files may go unseen; worker processes leave it to their parent."""
    if multiprocessing.parent_process() is None:
        warnings.warn(
            f"files in {path.parent} were written by an older version and carry no checksum: damage in them may go"
            " unseen",
            OlderFileWarning,
            stacklevel=2,
        )


def _block(whole: bytes) -> bytes:
    return _line(whole[BLOCK:]).ljust(BLOCK, b"\0")


def _line(data: bytes) -> bytes:
    return _LINE + hashlib.sha256(data).hexdigest().encode() + b"\n"
