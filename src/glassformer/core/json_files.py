"""JSON files of the package: written with a checksum, and read with suspicion.

A file holds one object, whose last entry "sha256" is the SHA-256 of all others. They are read into values first and
written out again in one form, with sorted keys and without spaces: a file that an editor has saved in another encoding
or layout still has its checksum. What is in a file is checked against a type before it is used.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from glassformer.core.checksum import Checksum, warn_of_older_files
from glassformer.core.errors import InputError
from glassformer.core.files import read_whole, write_atomically

T = TypeVar("T")
# In a JSON file null stands for what is no finite number.
Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
CHECKSUM = "sha256"


def write_json(path: Path, values: Mapping[str, Any], indent: int | None = 1) -> None:
    """Write `values` and their checksum to `path`, whole or not at all. Raises `StorageError`."""
    # As they will be read: keys become text, and tuples lists.
    plain = json.loads(json.dumps(values))
    write_atomically(path, (json.dumps(plain | {CHECKSUM: _checksum(plain)}, indent=indent) + "\n").encode())


def read_json(path: Path, error: type[InputError], what: str, remedy: str) -> Any:
    """Return what the JSON file `path` holds, verified and without its checksum.

    A file of an older version, without a checksum, is read with an `OlderFileWarning`.

    Raises `error`, saying that `path` is no `what`, for a file that does not exist, is no JSON or is damaged, and
    `StorageError` for one that cannot be read.
    """
    values, found = _read(path, error, what, remedy)
    if found is Checksum.NONE:
        warn_of_older_files(path)
    return values


def check_json(path: Path, error: type[InputError], what: str, remedy: str) -> Checksum:
    """Return what was found of the checksum of the JSON file `path`, right or none. Raises as `read_json` does."""
    return _read(path, error, what, remedy)[1]


def _read(path: Path, error: type[InputError], what: str, remedy: str) -> tuple[Any, Checksum]:
    whole = read_whole(path, error, remedy)
    try:
        values = json.loads(whole)
        found = _verify(values)
    except RecursionError:
        raise error(f"{path} is not a {what}: it is nested too deeply", remedy) from None
    except ValueError as problem:
        raise error(f"{path} is not a {what}: {problem}", remedy) from None
    if found is Checksum.WRONG:
        raise error(f"{path} is not a whole {what}: its checksum does not fit its contents", remedy)
    return values, found


def checked(values: Any, kind: type[T], path: Path, error: type[InputError], what: str, remedy: str) -> T:
    """Return `values` as a `kind`, such as a data class or a list of tables. Raises `error` as `read_json` does."""
    try:
        found: T = TypeAdapter(kind).validate_python(values)
    except RecursionError:
        raise error(f"{path} is not a {what}: it is nested too deeply", remedy) from None
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise error(f"{path} is not a {what}: {place}: {first['msg']}", remedy) from None
    return found


def _verify(values: Any) -> Checksum:
    """Take the checksum out of `values` and tell whether it fits the rest."""
    if not isinstance(values, dict) or not values:
        return Checksum.NONE
    known = values.pop(CHECKSUM, None)
    if known is not None:
        return Checksum.RIGHT if known == _checksum(values) else Checksum.WRONG
    # Damage in the entry's name must not make it an older file.
    name, last = values.popitem()
    fits = last == _checksum(values)
    values[name] = last
    return Checksum.WRONG if fits else Checksum.NONE


def _checksum(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
