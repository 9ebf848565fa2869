"""Errors name options of commands; a caller from Python is told the arguments of the same names."""

import math
import re
from collections.abc import Callable, Iterable
from functools import wraps
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError, GlassformerError, SettingsError

# An option with its value: a number, a name in capitals, or an assignment such as 1=A,2=B.
_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)(?:[ =]([A-Z0-9](?:[\w=,:+.-]*\w)?))?")
# A command to be typed, to the end of its sentence.
_COMMAND = re.compile(r"(glassformer [a-z-]+[^.]*(?:\.(?=\S)[^.]*)*)")


def with_arguments(text: str) -> str:
    """Return `text` with 'time_step=0.005' for '--time-step 0.005'; commands of a terminal stay as they are."""
    parts = _COMMAND.split(text)
    return "".join(part if number % 2 else _OPTION.sub(_argument, part) for number, part in enumerate(parts))


def _argument(option: re.Match[str]) -> str:
    name, value = option[1].replace("-", "_"), option[2]
    if value is None:
        return name
    return f"{name}={value}" if re.fullmatch(r"[A-Z]+|[\d.]+", value) else f"{name}={value!r}"


def for_python(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` with errors that speak of arguments."""

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except GlassformerError as error:
            error.problem, error.remedy = with_arguments(error.problem), with_arguments(error.remedy)
            error.args = (error.problem, error.remedy)
            raise

    # By this name it is found again in other processes.
    called.__module__ = "glassformer"
    return called


def positive(name: str, value: Any) -> float | None:
    """Return the argument `name`, a number above 0, or None. Raises `SettingsError` for anything else."""
    return None if value is None else _positive(name, value)


def positives(name: str, values: Any) -> tuple[float, ...]:
    """Return the argument `name`, several numbers above 0, one, or None. Raises `SettingsError` for anything else."""
    if values is None:
        return ()
    # Arrays and tensors without an axis have __iter__, too.
    if isinstance(values, str) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
        return (_positive(name, values),)
    return tuple(_positive(f"{name}[{number}]", one) for number, one in enumerate(values))


def _positive(name: str, value: Any) -> float:
    # Scalars of numpy, arrays and tensors without an axis.
    one = value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value
    number = float(one) if isinstance(one, Real) and not isinstance(one, bool) else math.nan
    if not 0 < number < math.inf:
        raise SettingsError(f"got {name} = {value!r}; expected a positive number", "Give one number, without quotes.")
    return number


def floats(name: str, values: ArrayLike) -> FloatArray:
    """Return the argument `name` as an array of numbers. Raises `ConfigurationError` if it is none."""
    try:
        # A cast would leave out what is imaginary, and take values that are masked.
        if np.ma.is_masked(values) or np.iscomplexobj(values):
            raise ValueError("some are masked" if np.ma.is_masked(values) else "they are complex")
        return np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{name}: got {type(values).__name__}, which is no array of numbers: {error}", "Give numbers."
        ) from None
