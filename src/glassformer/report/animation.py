"""How the distribution of the MSD over runs changes with time, as a moving picture."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch
from matplotlib.ticker import FixedLocator

from glassformer.core.arrays import FloatArray, IntArray
from glassformer.core.files import storage_error, write_atomically
from glassformer.dataset.sample import Sample
from glassformer.dataset.species import first_species
from glassformer.dataset.summary import by_state_point
from glassformer.evaluate.axis_labels import TIME_LABEL
from glassformer.report.naming import titles_of
from glassformer.report.spread import msd_of_runs
from glassformer.report.style import STYLE, at_time, ordered_colors

Item = TypeVar("Item")

FRAMES, FRAMES_A_SECOND, DPI = 60, 8, 100
STATE_POINTS = 4
BINS = 31
# Marks on the square-root axis, in per cent of the runs.
MARKS = (0, 2, 10, 25, 50, 75, 100)


def distribution_animation(samples: Sequence[Sample], path: Path) -> None:
    """Write a GIF to `path`: the distribution over runs of ln(MSD / its mean) of the first species.

    It has a panel for the coldest and the hottest state point and two between, and one with their mean MSD in which a
    line moves; about sixty of the observed times, evenly on a logarithmic axis, are a frame each. The same samples give
    the same bytes. Raises `DatasetError` if the samples were not all observed at the same times, and `StorageError`.
    """
    groups = by_state_point(samples)
    msd_of_runs(samples)  # raises if the panels could not share their times
    times = samples[0].dynamics.times
    frames = frame_indices(times)
    color, chosen = ordered_colors(list(groups)), spread_out(list(groups), STATE_POINTS)
    curves = {name: msd_of_runs(groups[name])[:, :, 0] for name in chosen}
    titles, species = titles_of(samples), first_species(samples)
    shades = [color[name] for name in chosen]
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(2.6 * max(len(chosen), 2), 5.0))
        grid = figure.add_gridspec(2, 1, height_ratios=(3, 2))
        above, below = figure.add_subfigure(grid[0]), figure.add_subfigure(grid[1])
        shares, patches = _draw_histograms(
            above, {name: runs[:, frames] for name, runs in curves.items()}, shades, titles, species
        )
        line = _draw_curves(below, times, curves, shades, titles, species)
        title = figure.suptitle(_time_text(times[0]), x=0.46, ha="left")
        # Laid out once: nothing may move from frame to frame.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")

        def show(frame: int) -> None:
            time = times[frames[frame]]
            title.set_text(_time_text(time))
            line.set_xdata([time, time])
            for patch, share in zip(patches, shares, strict=True):
                patch.set_data(share[frame])

        write_atomically(path, _gif(figure, len(frames), show))


def frame_indices(times: FloatArray, number: int = FRAMES) -> IntArray:
    """Return which of `times` are nearest to `number` times that are evenly spaced in the logarithm, each once."""
    wanted = np.geomspace(times[0], times[-1], number)
    return np.unique(np.abs(np.log(times[None] / wanted[:, None])).argmin(1))


def spread_out(names: Sequence[Item], number: int) -> list[Item]:
    """Return `number` of `names` or all if there are fewer: the first, the last, and evenly many between."""
    at = np.unique(np.linspace(0, len(names) - 1, number).round().astype(int))
    return [names[index] for index in at]


def _draw_histograms(
    above: SubFigure, curves: Mapping[str, FloatArray], shades: Sequence[str], titles: Mapping[str, str], species: str
) -> tuple[list[FloatArray], list[StepPatch]]:
    """Draw a panel for each of `curves` (runs, frames); return what it shows at every frame, and the patches.

    The axes of counts are square roots (J. W. Tukey's rootogram): sampling noise then has one size in full and in
    nearly empty bins, and the narrow peak of the ballistic beginning leaves room for what follows.
    """
    spreads = [np.log(runs / runs.mean(0)) for runs in curves.values()]
    # A single run has no spread; the axis still needs a width.
    farthest = max(*(float(np.abs(spread).max()) for spread in spreads), 0.01)
    edges = np.linspace(-farthest, farthest, BINS + 1)
    shares = [100 * np.stack([np.histogram(now, edges)[0] / len(now) for now in spread.T]) for spread in spreads]
    patches = []
    panels = above.subplots(1, len(curves), sharex=True, sharey=True, squeeze=False)[0]
    for axes, name, share, shade in zip(panels, curves, shares, shades, strict=True):
        patches.append(axes.stairs(share[0], edges, fill=True, color=shade, alpha=0.8))
        axes.axvline(0, color="0.6", lw=0.8, ls=":", zorder=0)
        axes.set_title(titles[name], fontsize=10)
    panels[0].set_yscale("function", functions=(_root, np.square))
    panels[0].set(xlim=(-1.05 * farthest, 1.05 * farthest), ylim=(0, 1.1 * max(share.max() for share in shares)))
    panels[0].yaxis.set_major_locator(FixedLocator(MARKS))
    panels[0].set_ylabel("runs  [%]")
    above.supxlabel(f"ln(MSD of {species} / mean over runs)", fontsize=10)
    return shares, patches


def _root(values: FloatArray) -> FloatArray:
    # Margins reach below zero.
    return np.sqrt(np.maximum(values, 0))


def _draw_curves(
    below: SubFigure,
    times: FloatArray,
    curves: Mapping[str, FloatArray],
    shades: Sequence[str],
    titles: Mapping[str, str],
    species: str,
) -> Line2D:
    """Draw the mean of each of `curves` (runs, T) and a line at the first time, which is returned."""
    axes = below.subplots()
    for (name, runs), shade in zip(curves.items(), shades, strict=True):
        axes.plot(times, runs.mean(0), color=shade, lw=1.4, label=titles[name])
    axes.set(xscale="log", yscale="log", xlabel=TIME_LABEL, ylabel=f"mean MSD of {species}\n" + r"[$\sigma_{AA}^2$]")
    axes.legend(loc="upper left", fontsize=8)
    return axes.axvline(times[0], color="0.2", lw=1)


def _time_text(time: float) -> str:
    return at_time(time, ".3g")


def _gif(figure: Figure, frames: int, show: Callable[[int], None]) -> bytes:
    """Return a GIF of `figure` with as many frames, each after `show` of its number."""
    writer = PillowWriter(fps=FRAMES_A_SECOND)
    try:
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder) / "frames.gif"
            with writer.saving(figure, str(whole), DPI):
                for frame in range(frames):
                    show(frame)
                    writer.grab_frame()
            return whole.read_bytes()
    except OSError as error:
        raise storage_error("write an animation in", Path(tempfile.gettempdir()), error) from error
