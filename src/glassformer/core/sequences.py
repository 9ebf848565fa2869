"""Sequences whose elements are made when they are asked for, so that more of them can be used than fit into memory."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class OnDemand(Sequence[T], Generic[T]):
    """`number` elements, each made by `make(index)`; the first that fit into `memory` bytes are kept.

    What is kept stays: elements used in turn, epoch after epoch, would otherwise push each other out. In another
    process, to which it is sent, it starts with nothing kept.
    """

    def __init__(self, number: int, make: Callable[[int], T], memory: float = math.inf) -> None:
        self._number, self._make, self._memory = number, make, memory
        self._kept: dict[int, T] = {}
        # What elements share, as single draws of a structure do, takes its bytes once.
        self._counted: set[int] = set()
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
        arrays = {id(one): one.nbytes for one in arrays_of(made)} if self._memory < math.inf else {}
        size = sum(size for name, size in arrays.items() if name not in self._counted)
        if size <= self._left:
            self._kept[place] = made
            self._left -= size
            self._counted |= arrays.keys()
        return made

    @property
    def kept(self) -> int:
        """How many elements need not be made again."""
        return len(self._kept)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_kept": {}, "_counted": set(), "_left": self._memory}


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
    """Return the bytes of all different arrays and tensors that `value` holds."""
    return sum({id(one): int(one.nbytes) for one in arrays_of(value)}.values())


def arrays_of(value: Any) -> Iterator[Any]:
    """Return the arrays and tensors that `value` holds: in fields, lists, tuples and dictionaries."""
    if hasattr(value, "nbytes"):
        yield value
        return
    parts: Iterable[Any] = ()
    if is_dataclass(value):
        parts = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, list | tuple):
        parts = value
    elif isinstance(value, dict):
        parts = value.values()
    for part in parts:
        yield from arrays_of(part)
