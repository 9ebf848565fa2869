"""A dataset's MSD beside published curves: a table for each state point, and a figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from glassformer.core.layout import AnalysisFolder
from glassformer.dataset.sample import Sample
from glassformer.evaluate.axis_labels import TIME_LABEL
from glassformer.evaluate.published import Comparison, compare_with_published
from glassformer.report.analyse import save_figure, write_csv
from glassformer.report.naming import titles_of
from glassformer.report.style import LINE_STYLES, STYLE, band_entry, ordered_colors

# The folder of its table and figure.
NAME = "compare"


def compare(samples: Sequence[Sample], folder: Path, out: Path) -> list[Comparison]:
    """Compare `samples` with the tables in `folder`; write a table each and a figure into `out`/compare.

    Raises `DatasetError` as `compare_with_published` does, and `StorageError`.
    """
    found = compare_with_published(samples, folder)
    for one in found:
        columns = {"time": one.times}
        for kind, species in enumerate(one.species):
            name = species.lower()
            columns |= {f"ratio_{name}": one.ratio[:, kind], f"deviation_{name}": one.deviation[:, kind]}
        write_csv(AnalysisFolder(out).table(NAME, one.label), columns)
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        save_figure(_draw(found, titles_of(samples)), AnalysisFolder(out).figure(NAME))
    return found


def _draw(found: list[Comparison], titles: dict[str, str]) -> Figure:
    figure = Figure(figsize=(8.4, 6.0))
    above, below = figure.subplots(2, 1, sharex=True)
    color = ordered_colors([one.label for one in found])
    for one in found:
        for kind, (species, style) in enumerate(zip(one.species, LINE_STYLES, strict=False)):
            look: dict[str, Any] = {"ls": style, "color": color[one.label]}
            label = f"{titles[one.label]}, {species}"
            above.plot(one.times, 100 * (one.ratio[:, kind] - 1), label=label, **look)
            below.plot(one.times, one.deviation[:, kind], **look)
    above.axhline(0, color="0.6", lw=0.8)
    bands = []
    for width, shade, order in ((1, "0.85", 0), (4, "0.94", -1)):
        below.axhspan(-width, width, color=shade, lw=0, zorder=order)
        bands.append(band_entry(f"within {width} standard\ndeviation{'s' * (width > 1)} of one run", shade, 1.0))
    above.set(xscale="log", ylabel="MSD less the published one  [%]")
    below.set(xlabel=TIME_LABEL, ylabel="difference in standard\ndeviations of one run")
    entries = [*above.get_legend_handles_labels()[0], *bands]
    figure.legend(handles=entries, loc="outside right center", fontsize=8)
    return figure
