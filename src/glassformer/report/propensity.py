"""The section of the report about held-out propensities: rows, sentences and figures, from their files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from glassformer.core.errors import DatasetError
from glassformer.core.layout import OutFolder
from glassformer.dataset.held_out import HeldOut, read_held_out
from glassformer.dataset.sample import Sample
from glassformer.evaluate.held_out import HeldOutRow, held_out_rows
from glassformer.report import propensity_words as words
from glassformer.report.propensity_figures import correlation_figure, map_figure, typical
from glassformer.report.view import colourings, view


@dataclass(frozen=True)
class Propensities:
    """Held-out propensities, and the rows of their first species."""

    parts: tuple[HeldOut, ...]
    rows: tuple[HeldOutRow, ...]

    @property
    def shown(self) -> HeldOutRow:
        """The row of the map: the coldest state point at the last time."""
        return [row for row in self.rows if row.state_point == self.rows[0].state_point][-1]

    @property
    def mapped(self) -> HeldOut:
        """The part that the map shows."""
        return next(part for part in self.parts if part.state_point == self.shown.state_point)

    def figures(self, titles: Mapping[str, str], stacked: bool = False) -> dict[str, Figure]:
        """Return the map and the correlations by configuration, by the names of their files."""
        number = typical(self.shown)
        return {
            "propensity-map": map_figure(self.mapped, number, self._place, float(self.shown.pearson[number]), stacked),
            "propensity-correlations": correlation_figure(self.rows, titles, stacked),
        }

    @property
    def _place(self) -> int:
        """The number of the time that is shown."""
        return int(abs(self.mapped.times - self.shown.time).argmin())

    def _view(self) -> Markup:
        """Return the configuration of the map as a view that can be turned."""
        part, number = self.mapped, typical(self.shown)
        where = part.of_particles(number)
        return view(
            part.box[number],
            part.positions[where],
            part.species[where],
            part.species_names,
            colourings(part.species[where], part.prediction[where, self._place], part.label[where, self._place]),
            "The map above shows a slab of the same configuration.",
        )

    def section(self, names: Mapping[str, str]) -> dict[str, Any]:
        """Return the rows and sentences of the page."""
        return {
            "rows": self.rows,
            "opening": words.opening(self.parts, self.rows),
            "finding": words.finding(self.rows),
            "note": words.note(self.rows, self.parts),
            "map": words.map_caption(self.mapped, self.shown, typical(self.shown), names),
            "view": self._view(),
            "view_caption": words.view_caption(self.mapped, self.shown, typical(self.shown), names),
            "correlations": words.correlation_caption(self.rows),
        }


def read_propensities(files: OutFolder, samples: Sequence[Sample]) -> Propensities | None:
    """Return the held-out propensities in `files`, or None if there are none.

    Raises `DatasetError` if they are of other configurations than `samples`, `PredictionError` if a file is damaged.
    """
    known = {sample.configuration.fingerprint for sample in samples}
    parts = []
    for path in files.held_out():
        parts.append(read_held_out(path))
        if not known.issuperset(parts[-1].fingerprints):
            raise DatasetError(
                f"{path} predicts configurations that are not in {files.data}",
                f"Delete {path.parent} and run the demo again.",
            )
    rows = held_out_rows(parts)
    first = [row for row in rows if row.species == rows[0].species]
    return Propensities(tuple(parts), tuple(first)) if first else None
