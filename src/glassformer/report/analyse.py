"""Write observables of a dataset as CSV tables and figures, with their fits."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import SettingsError
from glassformer.core.files import write_atomically
from glassformer.dataset.sample import Sample
from glassformer.dataset.summary import by_state_point, summarise
from glassformer.observables.fits import FitError
from glassformer.observables.glass_transition import GlassTransition, glass_transition
from glassformer.observables.kww import StretchedExponential, fit_kww
from glassformer.observables.vft import fit_vft
from glassformer.report.analysis import DEFAULT, OBSERVABLES, Columns, Observable
from glassformer.report.figures import title_of
from glassformer.report.style import STYLE, colors

# On the plateau, where the alpha relaxation begins.
PLATEAU_TIME = 2.0
# F_s at that time that leaves a decay to be fitted.
LEAST_PLATEAU = 0.5
# Change of the pressure along a cooling run that counts as none.
PRESSURE_CHANGE = 0.1
LINE_STYLES = ("-", "--", ":", "-.")


def analyse(samples: Sequence[Sample], wanted: Sequence[str], out: Path) -> list[dict[str, Any]]:
    """Write CSV tables and figures of `wanted` observables, a folder each, into `out`; return the fits.

    Every state point has its own table; a figure shows all. The fits are written to out/fits.csv, too.
    Raises `SettingsError` for an unknown observable, `DatasetError` if the samples do not hold what it needs,
    `StorageError`.
    """
    names = list(wanted) or list(DEFAULT)
    strange = [name for name in names if name not in OBSERVABLES]
    if strange:
        raise SettingsError(f"there is no observable '{strange[0]}'", f"There are: {', '.join(OBSERVABLES)}.")
    fits: list[dict[str, Any]] = []
    groups = by_state_point(samples)
    for name in names:
        observable = OBSERVABLES[name]
        tables = {label: observable.columns(members) for label, members in groups.items()}
        for label, columns in tables.items():
            write_csv(out / name / f"{label}.csv", columns)
        titles = {label: title_of(members[0]) for label, members in groups.items()}
        with mpl.rc_context(STYLE):  # type: ignore[arg-type]
            save_figure(draw(observable, tables, titles), out / name / name)
        fits += _fits(name, tables)
    fits += _vft(samples) if "scattering" in names else []
    if fits:
        _write_fits(out / "fits.csv", fits)
    return fits


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


def draw(observable: Observable, tables: dict[str, Columns], titles: dict[str, str]) -> Figure:
    """Return the figure of `observable`: a colour a state point, a line style a column."""
    figure = Figure(figsize=(7.2, 4.6))
    axes = figure.subplots()
    color = colors(list(tables))
    for label, columns in tables.items():
        lines = observable.lines or _lines_in_time(columns)
        for number, name in enumerate(lines):
            if np.isnan(columns[name]).all():
                continue
            style = LINE_STYLES[number % len(LINE_STYLES)]
            error = columns.get(f"{name}_error", np.full(len(columns[name]), np.nan))
            _plot(axes, observable, columns[observable.x], columns[name], error, color[label], style,
                  f"{titles[label]}, {_legend(name)}")  # fmt: skip
    axes.set(xlabel=observable.x_label, ylabel=observable.y_label)
    if observable.log_x:
        _log_scale(axes, np.concatenate([columns[observable.x] for columns in tables.values()]))
    if observable.name == "volume":
        _mark_knees(axes, tables)
    if observable.log_y:
        axes.set_yscale("log")
    axes.legend(fontsize=8, ncols=1 + (len(axes.lines) > 8))
    return figure


def _log_scale(axes: Axes, x: FloatArray) -> None:
    """Make the horizontal axis logarithmic; a value of 0 keeps its place to the left."""
    if x.min() > 0:
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=float(x[x > 0].min()), linscale=0.5)


def _mark_knees(axes: Axes, tables: dict[str, Columns]) -> None:
    """Draw the two straight lines whose meeting is T_g."""
    for columns in tables.values():
        try:
            found = fit_transition(columns)
        except FitError:
            continue
        ends = columns["temperature"].min(), found.temperature, columns["temperature"].max()
        slopes = found.glass_slope, 0.0, found.liquid_slope
        volumes = [found.volume + slope * (end - found.temperature) for slope, end in zip(slopes, ends, strict=True)]
        axes.plot(ends, volumes, color="0.3", lw=1, label=f"$T_g$ = {found.temperature:.3f}", zorder=3)


def _plot(axes: Axes, observable: Observable, x: Any, y: Any, error: Any, color: str, style: str, label: str) -> None:
    if observable.points:
        marker = "o" if style == "-" else "s"
        axes.errorbar(x, y, np.nan_to_num(error), fmt=marker, ms=4, lw=1, color=color, label=label,
                      mfc=color if style == "-" else "none")  # fmt: skip
        return
    axes.plot(x, y, style, color=color, label=label)
    axes.fill_between(x, y - np.nan_to_num(error), y + np.nan_to_num(error), color=color, alpha=0.2, lw=0)


def _lines_in_time(columns: Columns) -> tuple[str, ...]:
    """Return the columns of the first species, or pair of them, at every time."""
    return tuple(name for name in columns if name.startswith("t") and name.endswith(("_a", "_aa")))


def _legend(column: str) -> str:
    if column.startswith("t") and column[1].isdigit():
        return f"t = {column[1:].rpartition('_')[0]}"
    special = {"chi_4": "all draws", "chi_4_draws": "within configurations", "s": "total", "overlap": "A",
               "ceiling": "spread of draws", "ceiling_halves": "split halves", "volume": "cooling"}  # fmt: skip
    return special.get(column, column.rpartition("_")[2].upper())


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


def fit_transition(columns: Columns) -> GlassTransition:
    """Fit T_g; raise `FitError` if the pressure changes along the way: V(T) then bends for another reason."""
    pressure, temperature = columns["pressure"], columns["temperature"]
    if len(pressure) > 4:
        (slope, _), covariance = np.polyfit(temperature, pressure, 1, cov=True)
        change, error = slope * np.ptp(temperature), np.sqrt(covariance[0, 0]) * np.ptp(temperature)
        if abs(change) > max(PRESSURE_CHANGE, 4 * error):
            raise FitError(f"the pressure changes by {change:.2g} along the way", "Cool at constant pressure.")
    return glass_transition(temperature, columns["volume"])


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
