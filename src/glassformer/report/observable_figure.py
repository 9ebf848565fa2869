"""The figure of an observable: all state points in one."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glassformer.core.arrays import FloatArray
from glassformer.evaluate.analysis import Observable, lines_of
from glassformer.evaluate.columns import Columns
from glassformer.evaluate.fits import fit_transition
from glassformer.observables.fits import FitError
from glassformer.report.style import (
    BAND_ALPHA,
    LINE_STYLES,
    MOST_ENTRIES,
    at_time,
    band_entry,
    key_entry,
    log_scale,
    ordered_colors,
    split_legend,
)

ERRORS = "standard error over\nconfigurations"
# Both kinds of points: filled circles, open squares.
_POINTS = ({"marker": "o", "ls": ""}, {"marker": "s", "ls": "", "mfc": "none"})


def draw(
    observable: Observable,
    tables: Mapping[str, Columns],
    titles: Mapping[str, str],
    y_label: str = "",
    more: Sequence[Artist] = (),
    names: Mapping[str, str] | None = None,
    errors: str = ERRORS,
    calls: Mapping[str, str] | None = None,
) -> Figure | None:
    """Return the figure of `observable`: a colour per state point, a line style per column.

    None if no state point has a value to be drawn. `y_label`: in the place of the observable's own; `more`: further
    entries of the legend; `names`: what it calls the ends of columns, as `names_of_species` returns them; `calls`: what
    it calls whole columns, before all else; `errors`: what bands are.
    """
    figure = Figure(figsize=(8.4, 4.6))
    entries = draw_on(figure.subplots(), observable, tables, titles, y_label, names, errors, calls)
    if not entries:
        return None
    figure.legend(handles=[*entries, *more], loc="outside right center", fontsize=8)
    return figure


def draw_on(
    axes: Axes,
    observable: Observable,
    tables: Mapping[str, Columns],
    titles: Mapping[str, str],
    y_label: str = "",
    names: Mapping[str, str] | None = None,
    errors: str = ERRORS,
    calls: Mapping[str, str] | None = None,
) -> list[Artist]:
    """Draw `observable` on `axes`, as `draw` does; return the entries of the legend, none if nothing is drawn."""
    color = ordered_colors(list(tables))
    shades: dict[str, str] = {}
    looks: dict[str, dict[str, object]] = {}
    with_errors = False
    for label, columns in tables.items():
        for number, name in enumerate(lines_of(observable, columns)):
            if not np.isfinite(columns[name]).any():
                continue
            look = _look(observable, number, len(columns[name]))
            text = (calls or {}).get(name) or _legend(observable, name, names or {})
            error = columns.get(f"{name}_error", np.full(len(columns[name]), np.nan))
            _plot(axes, columns[observable.x], columns[name], error, color[label], look, f"{titles[label]}, {text}")
            shades[titles[label]], looks[text] = color[label], look
            with_errors |= bool(np.isfinite(error).any())
    if not shades:
        return []
    axes.set(xlabel=observable.x_label, ylabel=y_label or observable.y_label)
    _set_scales(axes, observable, tables)
    entries = _entries(axes, shades, looks)
    if with_errors:
        entries.append(key_entry(errors, marker="|", ms=10) if observable.points else band_entry(errors))
    if observable.name == "volume":
        entries += _mark_knees(axes, tables)
    return entries


def _look(observable: Observable, number: int, values: int) -> dict[str, object]:
    """Return how the column of this number is drawn; a curve of a single value as a point."""
    if observable.points:
        return _POINTS[number % len(_POINTS)] | {"ms": 4}
    # More columns than line styles: thinner lines follow.
    width = 1.5 / (1 + number // len(LINE_STYLES))
    look: dict[str, object] = {"ls": LINE_STYLES[number % len(LINE_STYLES)], "lw": width}
    return look | _POINTS[number % len(_POINTS)] if values == 1 else look


def _plot(
    axes: Axes, x: FloatArray, y: FloatArray, error: FloatArray, color: str, look: dict[str, object], label: str
) -> None:
    axes.plot(x, y, color=color, label=label, **look)  # type: ignore[arg-type]
    if not np.isfinite(error).any():
        return
    if "marker" in look:
        bars = axes.errorbar(x, y, np.nan_to_num(error), fmt="none", lw=1, color=color)
        for collection in bars.lines[2]:
            collection.set_label(f"_{label}")
    else:
        # Where an error is not known, matplotlib leaves a gap in the band.
        look = {"color": color, "alpha": BAND_ALPHA, "lw": 0, "label": f"_{label}"}
        axes.fill_between(x, y - error, y + error, **look)  # type: ignore[arg-type]


def _entries(axes: Axes, shades: Mapping[str, str], looks: Mapping[str, dict[str, object]]) -> list[Artist]:
    lines: list[Artist] = list(axes.get_legend_handles_labels()[0])
    if len(lines) <= MOST_ENTRIES:
        return lines
    return split_legend(shades, looks)


def _set_scales(axes: Axes, observable: Observable, tables: Mapping[str, Columns]) -> None:
    """Make axes logarithmic where they are to be and the values allow it."""
    if observable.log_x:
        x = np.concatenate([columns[observable.x] for columns in tables.values()])
        if (x > 0).all():
            log_scale(axes, "x", x)
        elif (x > 0).any():
            # A value of 0 keeps its place to the left.
            axes.set_xscale("symlog", linthresh=float(x[x > 0].min()), linscale=0.5)
    drawn = [np.asarray(line.get_ydata(), float) for line in axes.lines]
    if observable.log_y and any((values > 0).any() for values in drawn):
        axes.set_yscale("log")


def _mark_knees(axes: Axes, tables: Mapping[str, Columns]) -> list[Artist]:
    """Draw the two straight lines whose meeting is T_g; return the legend's entries."""
    entries: list[Artist] = []
    for number, columns in enumerate(tables.values()):
        try:
            found = fit_transition(columns)
        except FitError:
            continue
        ends = columns["temperature"].min(), found.temperature, columns["temperature"].max()
        slopes = found.glass_slope, 0.0, found.liquid_slope
        volumes = [found.volume + slope * (end - found.temperature) for slope, end in zip(slopes, ends, strict=True)]
        text = rf"$T_g$ = {found.temperature:.3f} $\pm$ {found.temperature_error:.3f}"
        style = LINE_STYLES[number % len(LINE_STYLES)]
        entries += axes.plot(ends, volumes, color="0.3", ls=style, lw=1, label=text, zorder=3)
    return entries


def _legend(observable: Observable, column: str, names: Mapping[str, str]) -> str:
    """Return what the legend calls a column: its species or pair of species, or its time."""
    if column.startswith("t") and column[1].isdigit():
        return at_time(float(column[1:].partition("_")[0]))
    first = next(iter(names.values()), "A")
    special = {"chi_4": "all draws", "chi_4_draws": "within configurations", "s": "total", "overlap": first,
               "ceiling": "spread of draws", "ceiling_halves": "split halves", "volume": "cooling"}  # fmt: skip
    starts = [line.removesuffix("*") for line in observable.lines if line.endswith("*")]
    end = next((column.removeprefix(start) for start in starts if column.startswith(start)), column)
    return special.get(column) or names.get(end, end.upper())
