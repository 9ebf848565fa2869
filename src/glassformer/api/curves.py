"""Curves against time, with their errors: of a trajectory, or of every state point of a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from glassformer.api.display import axes_for, data_frame, html_table, number
from glassformer.api.reading import AnyStructures, no_structure, samples_at
from glassformer.api.structures import Structure
from glassformer.api.trajectories import Trajectory, read_trajectory
from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.dataset.consistency import refuse_copies
from glassformer.dataset.readers.read import is_hdf5
from glassformer.dataset.species import species_names
from glassformer.evaluate.analysis import OBSERVABLES, make_tables
from glassformer.evaluate.axis_labels import scattering_axis
from glassformer.evaluate.columns import Columns, names_of_species
from glassformer.evaluate.trajectory import COLUMNS, observable_of
from glassformer.observables.relaxation import relaxation_time

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AnySource = Trajectory | AnyStructures


@dataclass(frozen=True, eq=False, repr=False)
class Curve:
    """An observable of each species against time, at one state point or several.

    `tables`: for each state point, or the one trajectory, the columns `time`, and by species the values and their
    standard errors. `curve["A"]` is that of a species; with several state points choose one first: `curve.at(label)`.
    """

    observable: str
    prefix: str
    tables: dict[str, Columns]
    species: tuple[str, ...]
    wave_numbers: tuple[float, ...]
    errors: str

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the state points, or of the trajectory."""
        return tuple(self.tables)

    def at(self, label: str) -> Self:
        """Return the curve at one state point. Raises `DatasetError` if there is none of this name."""
        if label not in self.tables:
            raise DatasetError(f"there is no state point {label}", f"Available: {', '.join(self.tables)}.")
        return replace(self, tables={label: self.tables[label]})

    @property
    def times(self) -> FloatArray:
        """Times (T,)."""
        return self._only["time"]

    def __getitem__(self, species: str) -> FloatArray:
        return self._column(species, "")

    def error(self, species: str) -> FloatArray:
        """Return the standard error (T,) of the curve of a species; NaN where it is not known."""
        return self._column(species, "_error")

    def _column(self, species: str, end: str) -> FloatArray:
        name = f"{self.prefix}_{species.lower()}{end}"
        if name not in self._only:
            raise DatasetError(f"there is no species {species}", f"Available: {', '.join(self.species)}.")
        return self._only[name]

    @property
    def _only(self) -> Columns:
        if len(self.tables) != 1:
            raise DatasetError(
                f"got {len(self.tables)} state points: {', '.join(self.tables)}", "Choose one: curve.at(label)."
            )
        return next(iter(self.tables.values()))

    def __repr__(self) -> str:
        rows = (
            f"  {' '.join(f'{name} {text}' for name, text in zip(_HEADINGS, row, strict=True))}" for row in self._rows()
        )
        return "\n".join([f"{type(self).__name__}: {self._meaning}", *rows])

    def _repr_html_(self) -> str:
        return html_table(self._meaning, _HEADINGS, self._rows())

    @property
    def _meaning(self) -> str:
        return OBSERVABLES[self.observable].meaning.partition(",")[0]

    def _rows(self) -> list[list[str]]:
        found = []
        for label in self.tables:
            curve = self.at(label)
            for species in self.species:
                span = f"{curve.times[0]:g} to {curve.times[-1]:g}"
                found.append([label, species, span, f"{curve[species][0]:.4g} to {curve[species][-1]:.4g}"])
        return found

    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """Draw the curve, a colour for each state point, a line style for each species; return the axes."""
        from glassformer.report.observable_figure import draw_on
        from glassformer.report.style import literal

        axes = axes_for(axes)
        observable = observable_of(self.observable)
        label = ""
        if observable.symbol:
            parts = [f"{k:g} ({name})" for k, name in zip(self.wave_numbers, self.species, strict=True)]
            label = scattering_axis(observable.symbol, parts)
        titles = {name: literal(name) for name in self.tables}
        entries = draw_on(
            axes, observable, self.tables, titles, label, names=names_of_species(self.species), errors=self.errors
        )
        axes.legend(handles=entries, fontsize="small")
        return axes

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each state point and time. Raises `MissingPackageError`."""
        names = list(dict.fromkeys(name for columns in self.tables.values() for name in columns))
        places = [label for label, columns in self.tables.items() for _ in columns["time"]]
        joined = {
            name: np.concatenate([c.get(name, np.full(len(c["time"]), np.nan)) for c in self.tables.values()])
            for name in names
        }
        return data_frame({"state_point": places, **joined})


AnyCurve = TypeVar("AnyCurve", bound=Curve)
_HEADINGS = ["state point", "species", "t", "value"]


@dataclass(frozen=True, eq=False, repr=False)
class Scattering(Curve):
    """F_s(k, t) of each species, with its relaxation time."""

    def tau_alpha(self, species: str | None = None) -> float:
        """Return the time at which F_s of a species, by default the first, falls to 1/e; NaN if it does not."""
        return float(relaxation_time(self.times, self[species or self.species[0]]))

    def _rows(self) -> list[list[str]]:
        rows = super()._rows()
        of_each = [self.at(label).tau_alpha(species) for label in self.tables for species in self.species]
        return [[*row[:-1], f"{row[-1]}, tau_alpha {number(tau, 2)}"] for row, tau in zip(rows, of_each, strict=True)]


def msd(source: AnySource) -> Curve:
    """Return the mean squared displacement <|r(t) - r(0)|^2> of each species.

    `source`: a trajectory, averaged over time origins; structures with draws, or the path of a dataset, averaged over
    draws and configurations; or the path of a trajectory that says its times and species itself. Raises `DatasetError`.
    """
    return _curve(Curve, "msd", "msd", source)


def self_scattering(source: AnySource) -> Scattering:
    """Return the self-intermediate scattering function F_s(k, t) of each species, at the mixture's wave numbers.

    `source`: as for `msd`. Raises `DatasetError`.
    """
    return _curve(Scattering, "scattering", "f_s", source)


def _curve(kind: type[AnyCurve], observable: str, prefix: str, source: AnySource) -> AnyCurve:
    if isinstance(source, str | Path) and Path(source).is_file() and not is_hdf5(Path(source)):
        source = read_trajectory(source)
    if isinstance(source, Trajectory):
        motion = source.motion
        waves = tuple(float(k) for k in motion.track.wave_numbers)
        tables = {motion.name: COLUMNS[observable](motion)}
        return kind(observable, prefix, tables, motion.names, waves, "standard error,\nfrom blocks of time")
    if not isinstance(source, str | Path | Structure | Sequence):
        raise no_structure(
            source, "Make a trajectory: gf.read_trajectory(path), or gf.trajectory(positions, species, box, times)."
        )
    samples = samples_at(source)
    refuse_copies(
        samples, [sample.identifier for sample in samples],
        "Averaged twice, a structure makes errors too small: leave one out.",
    )  # fmt: skip
    found, problems = make_tables(samples, [observable])
    if problems:
        raise problems[0][2]
    waves = samples[0].facts.mixture.wave_numbers
    return kind(
        observable, prefix, found[observable], species_names(samples), waves, "standard error over\nconfigurations"
    )
