"""Write observables of a dataset as CSV tables and figures, with their fits."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from glassformer.core.errors import SettingsError
from glassformer.core.files import write_atomically
from glassformer.core.layout import AnalysisFolder
from glassformer.dataset.sample import Sample
from glassformer.dataset.summary import by_state_point
from glassformer.evaluate.analysis import DEFAULT, OBSERVABLES, Observable, make_tables, y_label_of
from glassformer.evaluate.columns import Columns, names_of_species
from glassformer.evaluate.fits import fit_relaxation_times, fits_of
from glassformer.report.build import provenance
from glassformer.report.figures import scattering_label
from glassformer.report.liquid_words import liquid
from glassformer.report.naming import names_of, titles_of
from glassformer.report.observable_figure import ERRORS, draw
from glassformer.report.observables_page import Drawn, write_observables_page
from glassformer.report.style import STYLE


def analyse(
    samples: Sequence[Sample],
    wanted: Sequence[str],
    out: Path,
    say: Callable[[str], None] = lambda _: None,
    page: Path | None = None,
) -> list[dict[str, Any]]:
    """Write CSV tables and figures of `wanted` observables, a folder each, into `out`; return the fits.

    Every state point has its own table; a figure shows all. The fits are also written to out/fits.csv, and all figures
    and fits to `page`, if given. Without `wanted`, all of `DEFAULT` are computed that the samples allow. What a state
    point does not hold is left out, and `say` gets one line about each, with the reason.
    Raises `SettingsError` for an unknown observable, `DatasetError` if one that is `wanted`, or every one, cannot be
    made at any state point, `StorageError`.
    """
    strange = [name for name in wanted if name not in OBSERVABLES]
    if strange:
        raise SettingsError(f"there is no observable '{strange[0]}'", f"Available: {', '.join(OBSERVABLES)}.")
    tables, problems = make_tables(samples, list(dict.fromkeys(wanted)) or list(DEFAULT))
    for name in tables:
        if not tables[name] and (wanted or not any(tables.values())):
            raise next(error for observable, _, error in problems if observable == name)
    reasons: dict[tuple[str, str], list[str]] = {}
    for name, label, error in problems:
        reasons.setdefault((label, error.problem), []).append(name)
    left_out = [f"{', '.join(names)}, {label}: left out: {problem}" for (label, problem), names in reasons.items()]
    for line in left_out:
        say(line)
    titles, groups = titles_of(samples), by_state_point(samples)
    first = {label: members[0].mixture.species[0] for label, members in groups.items()}
    fits: list[dict[str, Any]] = []
    drawn: list[Drawn] = []
    for name, of_points in tables.items():
        for label, columns in of_points.items():
            write_csv(AnalysisFolder(out).table(name, label), columns)
        if of_points:
            drawn.append(_save_drawn(OBSERVABLES[name], of_points, titles, samples, out))
        fits += fits_of(name, of_points, first)
    fits += fit_relaxation_times(samples) if tables.get("scattering") else []
    if fits:
        write_fits(AnalysisFolder(out).fits, fits)
    if page is not None:
        with mpl.rc_context(STYLE):  # type: ignore[arg-type]
            lead, names = f"{liquid(samples)}.", names_of(samples)
            write_observables_page(page, "a dataset", lead, drawn, fits, names, _facts(samples), left_out)
    return fits


def _facts(samples: Sequence[Sample]) -> dict[str, str]:
    made = provenance(samples)
    return {"state points": "; ".join(names_of(samples).values())} | {
        name.replace("_", " "): value for name, value in made.items() if value != "not stated"
    }


def _save_drawn(
    observable: Observable, tables: dict[str, Columns], titles: dict[str, str], samples: Sequence[Sample], out: Path
) -> Drawn:
    label = (
        scattering_label(samples, symbol=observable.symbol) if observable.symbol else y_label_of(observable, samples)
    )
    names = {end: name for sample in samples for end, name in names_of_species(sample.mixture.species).items()}
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = draw(observable, tables, titles, label, names=names)
        assert figure is not None
        save_figure(figure, AnalysisFolder(out).figure(observable.name))
    return Drawn(observable, figure, " ".join(ERRORS.split()))


def write_csv(path: Path, columns: Columns) -> None:
    """Write `columns` with a line of names."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([f"{value:.9g}" for value in row] for row in zip(*columns.values(), strict=True))
    write_atomically(path, buffer.getvalue().encode())


def save_figure(figure: Figure, stem: Path) -> None:
    """Write `figure` as PDF and PNG."""
    for suffix, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, dpi=160, bbox_inches="tight", pad_inches=0.08, metadata=metadata)
        write_atomically(stem.with_suffix(f".{suffix}"), buffer.getvalue())


def write_fits(path: Path, fits: list[dict[str, Any]]) -> None:
    """Write `fits` with a line for each of their quantities."""
    lines = [["fit", "state_point", "quantity", "value"]]
    for fit in fits:
        what = [str(fit["fit"]), str(fit["state_point"])]
        for key, value in fit.items():
            if key not in ("fit", "state_point"):
                lines.append([*what, key, value if isinstance(value, str) else f"{value:.9g}"])
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    write_atomically(path, buffer.getvalue().encode())
