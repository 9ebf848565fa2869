"""A table of descriptors: one row per particle, one named column per descriptor."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError


@dataclass(frozen=True, eq=False)
class Descriptors:
    """`values` (N, F) float32 and the F names of their columns, each of them once.

    A name reads `structure.quantity.details`; '@1', '@2' after it are generations of averages over neighbors.
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]

    def __post_init__(self) -> None:
        """Raise `ConfigurationError` unless there is one name per column and no name twice."""
        if self.values.ndim != 2 or self.values.shape[1] != len(self.names):
            raise ConfigurationError(
                f"got descriptors of shape {self.values.shape} with {len(self.names)} names; expected one per column",
                "Name every column.",
            )
        if len(set(self.names)) != len(self.names):
            twice = sorted({name for name in self.names if self.names.count(name) > 1})
            raise ConfigurationError(f"got several descriptors named {twice[0]}", "Names must differ.")

    @property
    def particles(self) -> int:
        """Number of particles N."""
        return len(self.values)

    def places(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Return the numbers of the columns `names`; raise `ConfigurationError` if there is no such column."""
        place = {name: column for column, name in enumerate(self.names)}
        missing = [name for name in names if name not in place]
        if missing:
            raise ConfigurationError(
                f"{len(missing)} descriptors are missing, the first {missing[0]}",
                "Compute the descriptors with the settings of the model that reads them.",
            )
        return np.array([place[name] for name in names], np.int64)

    def select(self, names: Sequence[str]) -> "Descriptors":
        """Return the columns `names` in this order; raise `ConfigurationError` if there is no such column."""
        return Descriptors(tuple(names), self.values[:, self.places(names)])

    def column(self, name: str) -> NDArray[np.float32]:
        """Return the column `name`, (N,)."""
        return self.select([name]).values[:, 0]

    def prefixed(self, prefix: str) -> "Descriptors":
        """Return the same columns with `prefix` and a dot before every name."""
        return Descriptors(tuple(f"{prefix}.{name}" for name in self.names), self.values)


def join(*tables: Descriptors) -> Descriptors:
    """Return the columns of all `tables` side by side; raise `ConfigurationError` for different numbers of rows."""
    rows = {table.particles for table in tables}
    if len(rows) != 1:
        raise ConfigurationError(
            f"got descriptors of {sorted(rows)} particles; expected the same number", "Join those of one configuration."
        )
    names = tuple(name for table in tables for name in table.names)
    return Descriptors(names, np.concatenate([table.values for table in tables], 1))


def table_of(names: Sequence[str], columns: Sequence[FloatArray]) -> Descriptors:
    """Return a table of `columns`, each (N,)."""
    return Descriptors(tuple(names), np.stack(columns, 1).astype(np.float32))
