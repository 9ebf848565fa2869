"""Text files that people write: UTF-8, with or without a byte order mark, and with any line endings."""

import codecs
from pathlib import Path

from glassformer.core.errors import SettingsError
from glassformer.core.files import read_whole

# UTF-32 comes first: its little-endian mark starts with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def read_text(path: Path) -> str:
    """Return the text of `path`, its lines ended by a line feed. Raises `SettingsError`, `StorageError`."""
    try:
        data = read_whole(path, SettingsError, "Check the path.")
    except SettingsError:
        raise SettingsError(f"cannot read {path}: it does not exist", "Check the path.") from None
    return decode(data, path)


def decode(data: bytes, path: Path) -> str:
    """Return the text that `data`, the contents of `path`, holds. Raises `SettingsError` if it is not UTF-8."""
    remedy = "Save it again with the encoding UTF-8."
    for mark, name in _MARKS.items():
        if data.startswith(mark):
            raise SettingsError(f"{path} is {name} text; expected UTF-8", remedy)
    if b"\0" in data:
        raise SettingsError(f"{path} holds zero bytes: it is UTF-16 text or not text at all; expected UTF-8", remedy)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        place = f"line {before.count(10) + 1}, byte {error.start - before.rfind(10)}"
        raise SettingsError(f"{path} is not UTF-8 text: {place} holds 0x{data[error.start]:02x}", remedy) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
