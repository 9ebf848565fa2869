"""Campaign and run files: TOML in, checked models out, and errors that a person can act on."""

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Tag, ValidationError

from glassformer.core.errors import SettingsError
from glassformer.core.text import read_text


class Settings(BaseModel):
    """Base of every table in a campaign or run file: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=Settings)


def load_settings(path: Path, model: type[Model]) -> Model:
    """Read the TOML file `path` into `model`. Raises `SettingsError` with one line per problem found."""
    return check_settings(read_toml(path), model, str(path))


LONGEST_LINE = 20_000


def read_toml(path: Path) -> dict[str, Any]:
    """Return the contents of the TOML file `path`. Raises `SettingsError`."""
    remedy = "See https://toml.io for the format."
    text = read_text(path)
    longest = max(map(len, text.splitlines()), default=0)
    if longest > LONGEST_LINE:
        # The parser takes time that grows with the square of a key's length.
        raise SettingsError(f"{path} has a line of {longest} characters; expected at most {LONGEST_LINE}", remedy)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise SettingsError(f"{path} cannot be used: it is nested too deeply", remedy) from None
    except ValueError as error:
        # Also what is no TOML's fault, such as an integer of thousands of digits.
        raise SettingsError(f"{path} is not TOML: {error}", remedy) from error


CORRECT_THE_FILE = "Correct the file and run the same command again."


def check_settings(values: dict[str, Any], model: type[Model], where: str, remedy: str = CORRECT_THE_FILE) -> Model:
    """Check `values` against `model`. Raises `SettingsError` with a line per problem, naming `where`, and `remedy`."""
    found = checked(values, model)
    if isinstance(found, list):
        raise SettingsError("\n".join(f"{where}: {problem.text}" for problem in found), remedy)
    return found


class Problem(NamedTuple):
    """What is wrong with settings, and the keys of the place where it is."""

    keys: tuple[str, ...]
    text: str


def checked(values: dict[str, Any], model: type[Model]) -> Model | list[Problem]:
    """Return `values` as a `model`, or what is wrong with them."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        return [
            Problem(tuple(part for part in problem["loc"] if isinstance(part, str)), _describe(problem, model))
            for problem in _first_at_each_place(error.errors())
        ]


def _describe(problem: Any, model: type[Settings]) -> str:
    place = _place(problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key {place}; {_nearest(problem['loc'], model)}"
    if problem["type"] == "missing":
        return f"the key {place} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    if isinstance(problem["input"], dict):
        return f"{place}: {message}" if place else message
    # After a comma pydantic says how it tried.
    wanted = message.removeprefix("Input should be ").partition(", unable to ")[0]
    return f"{place}: got {problem['input']!r}; expected {wanted}" if wanted != message else f"{place}: {message}"


def _first_at_each_place(problems: list[Any]) -> list[Any]:
    """Drop what only follows from an earlier problem, such as every other form that a value might have had."""
    kept: list[Any] = []
    for problem in problems:
        place = _place(problem["loc"])
        if not any(_place(other["loc"]).startswith(place) for other in kept) or problem["type"] == "extra_forbidden":
            kept.append(problem)
    return kept


def _place(location: tuple[str | int, ...]) -> str:
    text = ""
    for part in location:
        # pydantic adds the form it tried, as in ('times', 0, 'constrained-float').
        if isinstance(part, str) and not part.isidentifier() and text:
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _nearest(location: tuple[str | int, ...], model: type[Settings]) -> str:
    keys = list(_table(model, location[:-1]).model_fields)
    close = difflib.get_close_matches(str(location[-1]), keys, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(keys)}"


def _table(model: type[Settings], location: tuple[str | int, ...]) -> type[Settings]:
    """Return the model of the table at `location` inside `model`."""
    forms: dict[str, type[Settings]] = {}
    for part in location:
        if part in forms:
            model = forms[str(part)]
        elif isinstance(part, str) and part in model.model_fields:
            forms = _forms(model.model_fields[part].annotation)
            model = next(iter(forms.values()), model)
    return model


def _forms(annotation: Any, tag: str = "") -> dict[str, type[Settings]]:
    """Return the tables that `annotation` allows, by the tags that pydantic names in a location."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return {tag: annotation}
    if get_origin(annotation) is Annotated:
        tag = next((entry.tag for entry in annotation.__metadata__ if isinstance(entry, Tag)), tag)
        return _forms(annotation.__origin__, tag)
    return {name: form for part in get_args(annotation) for name, form in _forms(part).items()}
