"""Several files of one configuration, each with its draws at another time, as one."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.dataset.readers.botan import FORMAT
from glassformer.dataset.readers.contents import Contents, Draws


def joined(files: Sequence[Contents]) -> list[Contents]:
    """Return `files` with those of one configuration in BOTAN's format joined, at the place of the first of them.

    Their structures must be equal to the last bit. A draw must have the same place in every file. Raises `DatasetError`
    if their numbers of draws differ, or two files hold the same time or the same draws.
    """
    groups: dict[str, list[Contents]] = {}
    for number, contents in enumerate(files):
        name = contents.first.fingerprint if contents.format == FORMAT else f"file {number}"
        groups.setdefault(name, []).append(contents)
    return [members[0] if len(members) == 1 else _join(members) for members in groups.values()]


def _join(members: Sequence[Contents]) -> Contents:
    draws = [contents.draws for contents in members if contents.draws is not None]
    assert len(draws) == len(members)
    numbers = [len(one.displacements) for one in draws]
    if len(set(numbers)) > 1:
        raise DatasetError(
            f"{members[0].path} and the other files of its configuration have {min(numbers)} to {max(numbers)} draws;"
            " expected the same draws at several times",
            "Import them into different datasets.",
        )
    for (one, these), (other, those) in itertools.combinations(zip(members, draws, strict=True), 2):
        same_time = these.times is not None and np.array_equal(these.times, np.asarray(those.times))
        if same_time or np.array_equal(these.displacements, those.displacements):
            what = "one time" if same_time else "the same positions of the draws"
            raise DatasetError(f"{one.path} and {other.path} hold {what} of one configuration", "Leave one out.")
    first = members[0]
    source = f"{first.origin.source}; {len(members)} files of one configuration, the first"
    moved = np.concatenate([one.displacements for one in draws], 1)
    others = ", ".join(contents.path.name for contents in members[1:])
    note = f"joined with {others}: one configuration at {moved.shape[1]} times."
    return replace(
        first,
        draws=Draws(moved, _times(draws)),
        origin=replace(first.origin, source=source),
        notes=(*first.notes, note),
    )


def _times(draws: Sequence[Draws]) -> FloatArray | None:
    """Return the times of all, None if any is not known: a user then gives them all, in the order of the files."""
    known = [one.times for one in draws if one.times is not None]
    return np.concatenate(known) if len(known) == len(draws) else None
