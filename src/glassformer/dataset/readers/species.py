"""Which species of a mixture each type of a file is."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from glassformer.core.errors import DatasetError
from glassformer.dataset.readers.contents import Contents


def assign_species(contents: Contents, names: Sequence[str], assignment: str = "") -> Contents:
    """Return `contents` with species counted in the order of `names`, those of a mixture.

    `assignment` says which type is which: '1=A,2=B'. Without it types are matched by name, or numbers in their order;
    such a guess is added to the notes. Raises `DatasetError` for a type without a species.
    """
    chosen = _parsed(contents, names, assignment) if assignment else _guessed(contents, names)
    numbers = np.array([names.index(chosen[kind]) for kind in contents.types], np.uint8)
    notes = contents.notes
    if not assignment and any(kind != name for kind, name in chosen.items()):
        pairs = ", ".join(f"{kind} is {name}" for kind, name in chosen.items())
        notes += (f"Types by their order: {pairs} (otherwise --species {_example(contents, names)}).",)
    labels = {name: kind for kind, name in chosen.items()}
    return replace(
        contents, types=tuple(names), species=numbers[contents.species], notes=notes,
        labels=tuple(labels.get(name, name) for name in names),
    )  # fmt: skip


def _parsed(contents: Contents, names: Sequence[str], assignment: str) -> dict[str, str]:
    remedy = f"For example --species {_example(contents, names)}."
    chosen: dict[str, str] = {}
    for part in assignment.split(","):
        kind, sign, name = (word.strip() for word in part.partition("="))
        if not sign or not kind or kind in chosen:
            raise DatasetError(f"got --species {assignment!r}; expected one species for every type", remedy)
        if name not in names:
            raise DatasetError(f"got the species '{name}'; the mixture has {', '.join(names)}", remedy)
        chosen[kind] = name
    missing = [kind for kind in contents.types if kind not in chosen]
    if missing:
        raise DatasetError(
            f"{contents.path} has particles of type {missing[0]}, which --species {assignment} does not name", remedy
        )
    return {kind: chosen[kind] for kind in contents.types}


def _guessed(contents: Contents, names: Sequence[str]) -> dict[str, str]:
    """Return the species of each type: that of its name, or the first for the lowest number and so on."""
    types = contents.types
    if set(types) <= set(names):
        return {kind: kind for kind in types}
    numbers = [int(kind) for kind in types if kind.isdecimal()]
    # Types count from 0 or from 1, and some may have no particles.
    first = 0 if 0 in numbers else 1
    if len(numbers) == len(types) and all(number - first < len(names) for number in numbers):
        return {kind: names[int(kind) - first] for kind in types}
    raise DatasetError(
        f"{contents.path} has particles of the types {', '.join(types)}; the mixture's species are {', '.join(names)}",
        f"Assign them: --species {_example(contents, names)}.",
    )


def _example(contents: Contents, names: Sequence[str]) -> str:
    return ",".join(f"{kind}={names[number % len(names)]}" for number, kind in enumerate(contents.types))
