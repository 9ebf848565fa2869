"""Write observables of a dataset as CSV tables and figures, with their fits."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from glassformer.core.errors import DatasetError, SettingsError
from glassformer.core.files import write_atomically
from glassformer.dataset.sample import Sample
from glassformer.dataset.summary import by_state_point, summarise
from glassformer.observables.fits import FitError
from glassformer.observables.kww import StretchedExponential, fit_kww
from glassformer.observables.vft import fit_vft
from glassformer.report.analysis import DEFAULT, OBSERVABLES, Columns, Observable
from glassformer.report.figures import scattering_label
from glassformer.report.naming import file_name, titles_of
from glassformer.report.observable_figure import draw, fit_transition, lines_of
from glassformer.report.style import STYLE

# On the plateau, where the alpha relaxation begins.
PLATEAU_TIME = 2.0
# F_s at that time that leaves a decay to be fitted.
LEAST_PLATEAU = 0.5


def analyse(
    samples: Sequence[Sample], wanted: Sequence[str], out: Path, say: Callable[[str], None] = lambda _: None
) -> list[dict[str, Any]]:
    """Write CSV tables and figures of `wanted` observables, a folder each, into `out`; return the fits.

    Every state point has its own table; a figure shows all. The fits are written to out/fits.csv, too. Without `wanted`
    all of `DEFAULT` are made that the samples allow. What a state point does not hold is left out, and `say` is told
    in a line what and why.
    Raises `SettingsError` for an unknown observable, `DatasetError` if one that is `wanted`, or every one, cannot be
    made at any state point, `StorageError`.
    """
    strange = [name for name in wanted if name not in OBSERVABLES]
    if strange:
        raise SettingsError(f"there is no observable '{strange[0]}'", f"There are: {', '.join(OBSERVABLES)}.")
    tables, problems = _tables(samples, list(dict.fromkeys(wanted)) or list(DEFAULT))
    for name in tables:
        if not tables[name] and (wanted or not any(tables.values())):
            raise next(error for observable, _, error in problems if observable == name)
    for name, label, error in problems:
        say(f"{name}, {label}: left out: {error.problem}")
    titles = titles_of(samples)
    fits: list[dict[str, Any]] = []
    for name, of_points in tables.items():
        for label, columns in of_points.items():
            write_csv(out / name / f"{file_name(label)}.csv", columns)
        if of_points:
            _save_drawn(OBSERVABLES[name], of_points, titles, samples, out)
        fits += _fits(name, of_points)
    fits += _vft(samples) if tables.get("scattering") else []
    if fits:
        _write_fits(out / "fits.csv", fits)
    return fits


Problem = tuple[str, str, DatasetError]


def _tables(samples: Sequence[Sample], names: Sequence[str]) -> tuple[dict[str, dict[str, Columns]], list[Problem]]:
    """Return the columns of every observable and state point, and what could not be made: observable, label, why."""
    tables: dict[str, dict[str, Columns]] = {name: {} for name in names}
    problems: list[Problem] = []
    for name in names:
        observable = OBSERVABLES[name]
        for label, members in by_state_point(samples).items():
            try:
                columns = observable.columns(members)
                if not any(np.isfinite(columns[line]).any() for line in lines_of(observable, columns)):
                    raise DatasetError(
                        f"every value of it is undefined at {label}; it takes {observable.needs or 'values'}",
                        "Leave it out, or simulate more draws.",
                    )
            except DatasetError as error:
                problems.append((name, label, error))
                continue
            tables[name][label] = columns
    return tables, problems


def _save_drawn(
    observable: Observable, tables: dict[str, Columns], titles: dict[str, str], samples: Sequence[Sample], out: Path
) -> None:
    label = scattering_label(samples, (0, 1), observable.symbol) if observable.symbol else ""
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = draw(observable, tables, titles, label)
        assert figure is not None
        save_figure(figure, out / observable.name / observable.name)


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


def _fits(name: str, tables: dict[str, Columns]) -> list[dict[str, Any]]:
    """Return the fits that belong to an observable; those that cannot be made are left out, with the reason."""
    fits: list[dict[str, Any]] = []
    for label, columns in tables.items():
        try:
            if name == "scattering":
                fit = _fit_alpha_relaxation(columns)
                fits.append({"fit": f"KWW of F_s of A from t = {PLATEAU_TIME:g}", "state_point": label} | asdict(fit))
            if name == "volume":
                fits.append({"fit": "T_g from V(T)", "state_point": label} | asdict(fit_transition(columns)))
        except FitError as error:
            fits.append({"fit": name, "state_point": label, "failed": error.problem})
    return fits


def _fit_alpha_relaxation(columns: Columns) -> StretchedExponential:
    """Fit F_s of A from the plateau on; raise `FitError` where there is none."""
    at_plateau = float(np.interp(PLATEAU_TIME, columns["time"], columns["f_s_a"]))
    if at_plateau < LEAST_PLATEAU:
        raise FitError(f"no plateau: F_s is {at_plateau:.2f} at t = {PLATEAU_TIME:g}", "It takes a colder liquid.")
    return fit_kww(columns["time"], columns["f_s_a"], PLATEAU_TIME)


def _vft(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    rows = [row for row in summarise(samples) if np.isfinite(row.tau_alpha)]
    try:
        fit = fit_vft(np.array([row.temperature for row in rows]), np.array([row.tau_alpha for row in rows]))
    except FitError as error:
        return [{"fit": "VFT of tau_alpha", "state_point": "all", "failed": error.problem}]
    return [{"fit": "VFT of tau_alpha", "state_point": "all"} | asdict(fit)]


def _write_fits(path: Path, fits: list[dict[str, Any]]) -> None:
    lines = [["fit", "state_point", "quantity", "value"]]
    for fit in fits:
        what = [str(fit["fit"]), str(fit["state_point"])]
        for key, value in fit.items():
            if key not in ("fit", "state_point"):
                lines.append([*what, key, value if isinstance(value, str) else f"{value:.9g}"])
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    write_atomically(path, buffer.getvalue().encode())
