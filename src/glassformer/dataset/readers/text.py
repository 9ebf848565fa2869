"""Text files of other codes, plain or compressed by gzip, read line by line: memory does not grow with the file."""

import gzip
import io
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError, StorageError
from glassformer.core.files import storage_error
from glassformer.core.words import counted

GZIP = b"\x1f\x8b"
# Characters of one line: a line of numbers has a few hundred, a header with a matrix a thousand.
LONGEST_LINE = 100_000
# Lines that are turned into numbers at a time.
CHUNK = 100_000


class Lines:
    """The lines of the text file `path`, without their ends, counted from 1 by `number`.

    `cut`: whether the file ended inside a line or inside compressed data. The last number there may lack digits; but
    people, too, write files whose last line has no end.
    """

    def __init__(self, stream: io.TextIOWrapper, path: Path) -> None:
        self._stream, self.path, self.number, self.cut = stream, path, 0, False
        self._again: str | None = None

    def next(self) -> str | None:
        """Return the next line, or None at the end. Raises `DatasetError` for what is no text."""
        if self._again is not None:
            line, self._again = self._again, None
            self.number += 1
            return line
        try:
            line = self._stream.readline(LONGEST_LINE)
        except EOFError:
            self.cut = True
            return None
        except (UnicodeDecodeError, zlib.error, gzip.BadGzipFile) as error:
            raise self.error(f"after line {self.number}: {_damage(error)}", "Copy the file again.") from None
        except OSError as error:
            raise storage_error("read", self.path, error) from error
        if not line:
            return None
        self.number += 1
        if len(line) >= LONGEST_LINE:
            raise self.error(f"line {self.number} is longer than {LONGEST_LINE} characters", "Is it a text file?")
        self.cut = not line.endswith("\n")
        return line.rstrip("\n")

    def back(self, line: str) -> None:
        """Let `line`, the last one returned, be returned once more."""
        self._again = line
        self.number -= 1

    def content(self) -> str | None:
        """Return the next line that is not blank, without blanks around it, or None at the end."""
        while (line := self.next()) is not None:
            if stripped := line.strip():
                return stripped
        return None

    def rows(self, number: int) -> list[str]:
        """Return the next `number` lines, fewer at the end of the file."""
        found: list[str] = []
        while len(found) < number and (line := self.next()) is not None:
            found.append(line)
        return found

    def table(self, number: int, numeric: Sequence[int], word: int | None = None) -> tuple[FloatArray, list[str]]:
        """Return the columns `numeric` of the next `number` lines, (R, C), and the texts of the column `word`.

        R is less than `number` at the end of the file. Raises `DatasetError` for lines that lack a column or hold a
        text in the place of a number.
        """
        tables, words = [], list[str]()
        left = number
        while left > 0:
            first, lines = self.number + 1, self.rows(min(left, CHUNK))
            complete = len(lines) == min(left, CHUNK)
            if self.cut and lines and not _has_numbers(lines[-1], numeric):
                complete = False
                lines.pop()
            tables.append(self._numbers(lines, numeric, first))
            if word is not None:
                words += self._words(lines, word, first)
            if not complete:
                break
            left -= len(lines)
        return (np.concatenate(tables) if tables else np.empty((0, len(numeric)))), words

    def _numbers(self, lines: list[str], columns: Sequence[int], first: int) -> FloatArray:
        if not lines:
            return np.empty((0, len(columns)))
        try:
            table = np.loadtxt(lines, np.float64, comments=None, usecols=list(columns), ndmin=2)
        except (ValueError, IndexError, OverflowError):
            raise self._wrong_line(lines, columns, first) from None
        if len(table) != len(lines):
            raise self._wrong_line(lines, columns, first)
        return table

    def _words(self, lines: list[str], column: int, first: int) -> list[str]:
        try:
            return [line.split(None, column + 1)[column] for line in lines]
        except IndexError:
            raise self._wrong_line(lines, [column], first) from None

    def _wrong_line(self, lines: list[str], columns: Sequence[int], first: int) -> DatasetError:
        """Return the error that names the first of `lines` that does not have numbers in `columns`."""
        wrong = next((number for number, line in enumerate(lines) if not _has_numbers(line, columns)), 0)
        remedy = f"Expected at least {counted(max(columns) + 1, 'column')}, with numbers where numbers belong."
        return self.error(f"line {first + wrong}: got '{shortened(lines[wrong])}'", remedy)

    def error(self, problem: str, remedy: str) -> DatasetError:
        """Return an error that names the file."""
        return DatasetError(f"{self.path}: {problem}", remedy)


@contextmanager
def open_lines(path: Path) -> Iterator[Lines]:
    """Yield the lines of the text file `path`. Raises `DatasetError` if it does not exist, `StorageError`."""
    with open_bytes(path) as stream, io.TextIOWrapper(stream, "utf-8-sig") as text:
        yield Lines(text, path)


@contextmanager
def open_bytes(path: Path) -> Iterator[io.BufferedReader | gzip.GzipFile]:
    """Yield `path` as a stream of bytes, decompressed where it is compressed by gzip.

    Raises `DatasetError` if it does not exist, `StorageError` if it cannot be read or is not a regular file.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise StorageError(f"cannot read {path}: it is not a regular file", "Give the name of a file.")
        with path.open("rb") as file:
            packed = file.read(2) == GZIP
            file.seek(0)
            if not packed:
                yield file
                return
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield unpacked
    except FileNotFoundError:
        raise DatasetError(f"there is no file {path}", "Check the path.") from None
    except OSError as error:
        raise storage_error("read", path, error) from error


def head(path: Path, size: int) -> bytes:
    """Return the first `size` bytes of `path`, decompressed, fewer where it is shorter or damaged."""
    with open_bytes(path) as stream:
        found = b""
        try:
            while len(found) < size and (part := stream.read1(size - len(found))):
                found += part
        except (EOFError, zlib.error, gzip.BadGzipFile):
            pass
        return found


def shortened(text: str, most: int = 60) -> str:
    """Return `text` fit for a message: printable, and not longer than `most` characters."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text.strip())
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."


def _has_numbers(line: str, columns: Sequence[int]) -> bool:
    values = line.split()
    try:
        for column in columns:
            float(values[column])
    except (ValueError, IndexError):
        return False
    return True


def _damage(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"the byte 0x{error.object[error.start]:02x} is no UTF-8 text"
    return f"the compressed data are damaged ({error})"
