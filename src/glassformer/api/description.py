"""Descriptors of the particles of a structure, as a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassformer.api.display import data_frame, html_table
from glassformer.api.reading import AnyStructures, the_one
from glassformer.api.simulation import quenched
from glassformer.api.structures import Structure
from glassformer.baselines.propensity_model import describe
from glassformer.core.cores import cores
from glassformer.core.errors import SettingsError
from glassformer.observables.descriptors import Descriptors, DescriptorSettings


@dataclass(frozen=True, eq=False, repr=False)
class DescriptorTable:
    """A row for each particle of `structure`, a named column for each descriptor."""

    structure: Structure
    table: Descriptors

    @property
    def names(self) -> tuple[str, ...]:
        """Names (F,) of the columns."""
        return self.table.names

    @property
    def values(self) -> NDArray[np.float32]:
        """Values (N, F)."""
        return self.table.values

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        """Return one column (N,). Raises `ConfigurationError` if there is none of this name."""
        return self.table.column(name)

    def __repr__(self) -> str:
        return f"Descriptors of {self.structure.name}: {self.values.shape[0]} particles x {len(self.names)} columns"

    def _repr_html_(self) -> str:
        quantities: dict[str, int] = {}
        for name in self.names:
            quantity = name.split(".")[1]
            quantities[quantity] = quantities.get(quantity, 0) + 1
        return html_table(repr(self), ["quantity", "columns"], list(quantities.items()))

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each particle. Raises `MissingPackageError` without pandas."""
        return data_frame(dict(zip(self.names, self.values.T, strict=True)))


def descriptors(
    structure: AnyStructures,
    *,
    of: str = "inherent",
    settings: Mapping[str, Any] | None = None,
    threads: int | None = None,
) -> DescriptorTable:
    """Return what describes the surroundings of every particle: densities, bond orders, energies and their averages.

    `of`: 'inherent', the inherent structure, found on the way; 'cage', the cage positions (`glassformer.cage`).
    `settings`: changes to the defaults of `glassformer.observables.descriptors.DescriptorSettings`, such as
    {"reach": 3.0}.

    Raises `ConfigurationError` for a box shorter than twice the reach, or cages that are not known; `SettingsError`.
    """
    if of not in ("inherent", "cage"):
        raise SettingsError(f"got of = {of!r}; expected 'inherent' or 'cage'", "Choose one of them.")
    structure = the_one(structure, "descriptors")
    sample = quenched(structure.sample, threads or cores())
    cage = structure.cage if of == "cage" else None
    chosen = DescriptorSettings.of(settings or {})
    return DescriptorTable(
        Structure(sample), describe(sample.configuration, sample.mixture, chosen, threads or cores(), cage)
    )
