"""What differs between two sets of settings, key by key."""

from collections.abc import Mapping
from typing import Any

# More than this many are not read.
MOST = 6


def differences(old: Mapping[str, Any], new: Mapping[str, Any], holder: str, asker: str) -> list[str]:
    """Return a text per key whose values differ, such as 'time_step: 0.005 in the dataset, 0.004 in this campaign'.

    `old` belongs to `holder` ('the dataset'), `new` to `asker` ('this campaign'). Tables, and lists of as many tables,
    are compared key by key.
    """
    return [
        f"{key}: {_shown(before)} in {holder}, {_shown(after)} in {asker}" for key, before, after in _compare(old, new)
    ]


def listed(found: list[str]) -> str:
    """Return the texts of `differences` as one, the first `MOST` of them if there are more."""
    more = len(found) - MOST
    return "; ".join(found[:MOST]) + (f"; and {more} more" if more > 0 else "")


_ABSENT = object()


def _compare(old: Mapping[str, Any], new: Mapping[str, Any], place: str = "") -> list[tuple[str, Any, Any]]:
    found = []
    for key in [*old, *(key for key in new if key not in old)]:
        found += _values(f"{place}{key}", old.get(key, _ABSENT), new.get(key, _ABSENT))
    return found


def _values(place: str, before: Any, after: Any) -> list[tuple[str, Any, Any]]:
    if before == after:
        return []
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return _compare(before, after, f"{place}.")
    tables = isinstance(before, list) and isinstance(after, list) and len(before) == len(after)
    if tables and all(isinstance(one, Mapping) for one in [*before, *after]):
        pairs = enumerate(zip(before, after, strict=True))
        return [line for number, (one, two) in pairs for line in _compare(one, two, f"{place}[{number}].")]
    return [(place, before, after)]


def _shown(value: Any) -> str:
    if value is _ABSENT or value is None:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_shown(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else f"{value}"
