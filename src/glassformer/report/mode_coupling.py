"""The schematic mode-coupling equation: correlators on both sides of its glass transition, as table and figure."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import SettingsError
from glassformer.observables.mode_coupling import CRITICAL_COUPLING, non_ergodicity, schematic_correlator
from glassformer.report.analyse import save_figure, write_csv
from glassformer.report.style import STYLE, key_entry

COUPLINGS = (0.0, 1.0, 2.0, 3.0, 3.6, 3.9, 3.99, 4.0, 4.01, 4.1, 4.5)
UNTIL = 1e8


def write_correlators(out: Path, couplings: Sequence[float] = COUPLINGS, until: float = UNTIL) -> Path:
    """Write phi(t) for every coupling a as CSV, and a figure of all, into `out`; return the figure's path.

    Raises `SettingsError` for a negative coupling, and `StorageError`.
    """
    if not couplings or min(couplings) < 0:
        raise SettingsError(f"got couplings {list(couplings)}; expected numbers of 0 or more", "For example 3.9,4,4.1.")
    curves = {coupling: schematic_correlator(coupling, until) for coupling in couplings}
    for coupling, (times, correlator) in curves.items():
        write_csv(out / f"a{coupling}.csv", {"time": times, "phi": correlator})
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        save_figure(_draw(curves), out / "mode-coupling")
    return out / "mode-coupling.png"


def _draw(curves: dict[float, tuple[FloatArray, FloatArray]]) -> Figure:
    figure = Figure(figsize=(8.2, 4.6))
    axes = figure.subplots()
    shades = mpl.colormaps["viridis"](np.linspace(0, 0.9, len(curves)))
    plateaus = False
    for shade, (coupling, (times, correlator)) in zip(shades, sorted(curves.items()), strict=True):
        style = "-" if coupling < CRITICAL_COUPLING else "--"
        kind = "liquid" if coupling < CRITICAL_COUPLING else "glass"
        axes.plot(times[1:], correlator[1:], style, color=shade, label=f"a = {coupling:g}, {kind}")
        if coupling >= CRITICAL_COUPLING:
            axes.plot(times[-1], non_ergodicity(coupling), "<", color=shade, ms=6)
            plateaus = True
    axes.set(xscale="log", xlabel=r"time  $t$  [$1 / \Omega$]", ylabel=r"correlator  $\phi(t)$", xlim=(1e-2, None))
    axes.set_ylim(-0.3, 1.03)
    entries = axes.get_legend_handles_labels()[0]
    if plateaus:
        entries.append(key_entry(r"exact limit for $t \to \infty$", marker="<"))
    figure.legend(handles=entries, loc="outside right center", fontsize=8)
    return figure
