"""The page of `analyse --report`: the observables of a dataset or a trajectory, as figures that tell their values."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

from glassformer.core.errors import SettingsError
from glassformer.core.files import write_atomically
from glassformer.core.provenance import code_version
from glassformer.evaluate.analysis import Observable
from glassformer.report.page import in_page, plots, template


@dataclass(frozen=True)
class Drawn:
    """The `figure` of an observable; `errors`: what its bands or bars are."""

    observable: Observable
    figure: Figure
    errors: str

    @property
    def heading(self) -> str:
        """The meaning as a heading."""
        return self.observable.meaning[0].upper() + self.observable.meaning[1:]

    @property
    def caption(self) -> str:
        """What the observable is, and what the bands or bars are if there are any."""
        kinds = {PolyCollection: "Bands", LineCollection: "Bars"}
        text = f"{self.heading}: {self.observable.definition}."
        for kind, word in kinds.items():
            if any(isinstance(one, kind) for axes in self.figure.axes for one in axes.collections):
                text += f" {word}: {self.errors}."
        return text


def check_page(path: Path) -> None:
    """Raise `SettingsError` unless `path` is the name of a page."""
    if path.suffix != ".html":
        raise SettingsError(
            f"got --report {path}; expected a name that ends with .html", "For example --report page.html."
        )


def write_observables_page(
    path: Path,
    title: str,
    lead: str,
    drawn: Sequence[Drawn],
    fits: Sequence[Mapping[str, Any]],
    names: Mapping[str, str],
    facts: Mapping[str, str],
    left_out: Sequence[str] = (),
) -> None:
    """Write a page that needs nothing beside it: `drawn`, a table of `fits`, and `facts` about where it comes from.

    `names`: of the state points, as the page calls them. `left_out`: a line for each observable that could not be
    computed. To be called where figures have their style. Raises `StorageError`.
    """
    page = template("observables.html.jinja").render(
        title=title,
        lead=lead,
        observables=[(one, in_page(one.figure, one.observable.name, interactive=True)) for one in drawn],
        fits=[row for fit in fits for row in _rows(fit, names)],
        facts={**facts, "code": f"glassformer {code_version()}"},
        left_out=left_out,
        plots=plots(),
    )
    write_atomically(path, page.encode())


def _rows(fit: Mapping[str, Any], names: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """Return a line for each quantity of a fit: the fit, the state point, the quantity, its value with its error."""
    what, where = str(fit["fit"]), names.get(str(fit["state_point"]), str(fit["state_point"]))
    if "failed" in fit:
        return [(what, where, "not fitted", str(fit["failed"]))]
    quantities = [name for name in fit if name not in ("fit", "state_point") and not name.endswith("_error")]
    return [(what, where, name, _with_error(fit[name], fit.get(f"{name}_error", math.nan))) for name in quantities]


def _with_error(value: float, error: float) -> str:
    text = f"{value:.4g}" if math.isnan(error) else f"{value:.4g} ± {error:.1g}"
    return text.replace("-", "−")
