"""Failures of some among many: collected while the others are done, then told together."""

from collections.abc import Mapping

from glassformer.core.errors import EngineError, GlassformerError
from glassformer.core.words import some_of


def named(name: str, error: GlassformerError) -> GlassformerError:
    """Return `error` with the name of what failed before its problem."""
    return type(error)(f"{name}: {error.problem}", error.remedy)


def describe(error: Exception) -> str:
    """Return the problem in one line."""
    return error.problem if isinstance(error, GlassformerError) else f"{type(error).__name__}: {error}"


def raise_failures(failures: Mapping[str, Exception], total: int, things: str = "configurations") -> None:
    """Raise one error that counts `failures` among `total` `things` and names the first; nothing if there is none.

    Of the common type, or `EngineError`. One that is not ours, which is a fault of the program, is raised as it is.
    """
    if not failures:
        return
    expected: dict[str, GlassformerError] = {}
    for name, error in failures.items():
        if not isinstance(error, GlassformerError):
            error.add_note(f"while working on {name}; failed: {', '.join(failures)}")
            raise error
        expected[name] = error
    if total == 1:
        raise named(*next(iter(expected.items())))
    kinds = {type(error) for error in expected.values()}
    kind = kinds.pop() if len(kinds) == 1 else EngineError
    others = "" if len(expected) == total else "; the others are done"
    lines = [f"{name}: {error.problem}" for name, error in sorted(expected.items())]
    raise kind(
        "\n".join([f"{len(expected)} of {total} {things} failed{others}:", *some_of(lines)]),
        "\n".join(dict.fromkeys(error.remedy for error in expected.values())),
    )
