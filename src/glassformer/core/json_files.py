"""JSON files of the package, read with suspicion: what is in them is checked against a type before it is used."""

import json
import math
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from glassformer.core.errors import InputError
from glassformer.core.files import read_whole

T = TypeVar("T")
# In a JSON file null stands for what is no finite number.
Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]


def read_json(path: Path, error: type[InputError], what: str, remedy: str) -> Any:
    """Return what the JSON file `path` holds.

    Raises `error`, saying that `path` is no `what`, for a file that does not exist or is no JSON, and `StorageError`
    for one that cannot be read.
    """
    whole = read_whole(path, error, remedy)
    try:
        return json.loads(whole)
    except RecursionError:
        raise error(f"{path} is no {what}: it is nested too deeply", remedy) from None
    except ValueError as problem:
        raise error(f"{path} is no {what}: {problem}", remedy) from None


def checked(values: Any, kind: type[T], path: Path, error: type[InputError], what: str, remedy: str) -> T:
    """Return `values` as a `kind`, such as a data class or a list of tables. Raises `error` as `read_json` does."""
    try:
        found: T = TypeAdapter(kind).validate_python(values)
    except RecursionError:
        raise error(f"{path} is no {what}: it is nested too deeply", remedy) from None
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise error(f"{path} is no {what}: {place}: {first['msg']}", remedy) from None
    return found
