"""Sequences whose elements are made when they are asked for, so that more of them can be used than fit into memory."""

import math
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class OnDemand(Sequence[T], Generic[T]):
    """`number` elements, each made by `make(index)`; the first that fit into `memory` bytes are kept.

    What is kept stays: elements used in turn, epoch after epoch, would otherwise push out each other. In another
    process, to which it is sent, it starts with nothing kept.
    """

    def __init__(self, number: int, make: Callable[[int], T], memory: float = math.inf) -> None:
        self._number, self._make, self._memory = number, make, memory
        self._kept: dict[int, T] = {}
        self._left = memory

    def __len__(self) -> int:
        return self._number

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return Chosen(self, range(self._number)[index])
        place = range(self._number)[index]
        if place in self._kept:
            return self._kept[place]
        made = self._make(place)
        size = bytes_of(made) if self._memory < math.inf else 0
        if size <= self._left:
            self._kept[place] = made
            self._left -= size
        return made

    @property
    def kept(self) -> int:
        """How many elements need not be made again."""
        return len(self._kept)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_kept": {}, "_left": self._memory}


class Chosen(Sequence[T], Generic[T]):
    """The elements of `whole` at `places`, each fetched when it is asked for."""

    def __init__(self, whole: Sequence[T], places: Sequence[int]) -> None:
        self._whole, self._places = whole, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return Chosen(self._whole, self._places[index])
        return self._whole[self._places[index]]


def bytes_of(value: Any) -> int:
    """Return the bytes of the arrays and tensors that `value` holds: in fields, lists, tuples and dictionaries."""
    if hasattr(value, "nbytes"):
        return int(value.nbytes)
    if is_dataclass(value):
        return sum(bytes_of(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, list | tuple):
        return sum(map(bytes_of, value))
    if isinstance(value, dict):
        return sum(map(bytes_of, value.values()))
    return 0
