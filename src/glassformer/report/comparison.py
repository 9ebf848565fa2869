"""A dataset's MSD beside published curves: a table of means and spreads over single runs for each state point."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.dataset.sample import Sample
from glassformer.dataset.summary import by_state_point, mean_over_ensembles
from glassformer.physics.state_points import THESIS_DENSITIES
from glassformer.report.analyse import save_figure, write_csv
from glassformer.report.figures import TIME_LABEL, title_of
from glassformer.report.style import STYLE, colors

COLUMNS = ("time", "msd_a_mean", "msd_a_std", "msd_b_mean", "msd_b_std")
# Times are the same if they agree to this fraction.
TIME_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Comparison:
    """One state point: deviations of the dataset's mean MSD from the published one, in standard deviations of one run.

    `deviation` and `ratio` (T, 2) for A and B at `times`. `density` is the mean of the configurations', `held_density`
    that of their last two windows of holding, NaN where those are not known; `published_density` is None where the
    state point is none of the thesis's.
    """

    label: str
    runs: int
    times: FloatArray
    deviation: FloatArray
    ratio: FloatArray
    density: float
    held_density: float
    published_density: float | None

    @property
    def largest(self) -> tuple[float, float]:
        """Largest deviation of A and of B."""
        a, b = np.abs(self.deviation).max(0)
        return float(a), float(b)

    @property
    def when(self) -> tuple[float, float]:
        """When those are reached."""
        a, b = self.times[np.abs(self.deviation).argmax(0)]
        return float(a), float(b)


def compare(samples: Sequence[Sample], folder: Path, out: Path) -> list[Comparison]:
    """Compare every state point with <folder>/<state point>.csv; write a table each and a figure into `out`/compare.

    The tables are CSV with the columns `COLUMNS`, after any lines that begin with #. State points without one are left
    out. Raises `DatasetError` if no table fits, or one cannot be read, and `StorageError`.
    """
    found = []
    titles = {}
    for label, members in by_state_point(samples).items():
        path = folder / f"{label}.csv"
        if path.exists():
            found.append(_compare(label, members, read_published(path), path))
            titles[label] = title_of(members[0])
    if not found:
        names = ", ".join(f"{label}.csv" for label in by_state_point(samples))
        raise DatasetError(f"{folder} holds no table to compare with", f"Looked for {names}.")
    for one in found:
        columns = {"time": one.times}
        for species, name in enumerate("ab"):
            columns |= {f"ratio_{name}": one.ratio[:, species], f"deviation_{name}": one.deviation[:, species]}
        write_csv(out / "compare" / f"{one.label}.csv", columns)
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        save_figure(_draw(found, titles), out / "compare" / "compare")
    return found


def read_published(path: Path) -> dict[str, FloatArray]:
    """Return the columns of a published table. Raises `DatasetError`."""
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
        names, rows = lines[0].split(","), np.loadtxt(lines[1:], delimiter=",", ndmin=2)
    except (OSError, ValueError, IndexError) as error:
        raise DatasetError(f"{path} is no table: {error}", f"Expected CSV with {', '.join(COLUMNS)}.") from error
    if not set(COLUMNS) <= set(names) or rows.shape[1:] != (len(names),):
        raise DatasetError(f"{path}: got columns {', '.join(names)}", f"Expected {', '.join(COLUMNS)}.")
    return dict(zip(names, rows.T, strict=True))


def _compare(label: str, members: list[Sample], published: dict[str, FloatArray], path: Path) -> Comparison:
    times = members[0].ensemble.times
    at = np.abs(times[:, None] / published["time"] - 1).argmin(1)
    same = np.abs(times / published["time"][at] - 1) < TIME_TOLERANCE
    if not same.any():
        raise DatasetError(f"{path} and {label} have no time in common", "Simulate at the times of the table.")
    # Every configuration counts alike, whatever its number of draws.
    mean = mean_over_ensembles(members, "msd").mean(0)[same]
    expected, spread = (
        np.stack([published[f"msd_{species}_{what}"][at[same]] for species in "ab"], 1) for what in ("mean", "std")
    )
    facts = members[0].facts
    return Comparison(
        label=label,
        runs=sum(len(sample.ensemble.seeds) for sample in members),
        times=times[same],
        deviation=(mean - expected) / spread,
        ratio=mean / expected,
        density=float(np.mean([sample.configuration.density for sample in members])),
        held_density=float(np.mean([_held_density(sample) for sample in members])),
        published_density=THESIS_DENSITIES.get((facts.temperature, facts.pressure or np.nan)),
    )


def _held_density(sample: Sample) -> float:
    return np.nan if sample.equilibration is None else float(sample.equilibration.windows[-2:, 1].mean())


def _draw(found: list[Comparison], titles: dict[str, str]) -> Figure:
    figure = Figure(figsize=(7.2, 6.0))
    above, below = figure.subplots(2, 1, sharex=True)
    color = colors([one.label for one in found])
    for one in found:
        for species, style in enumerate(("-", "--")):
            letter = "AB"[species]
            above.plot(one.times, 100 * (one.ratio[:, species] - 1), style, color=color[one.label],
                       label=f"{titles[one.label]}, {letter}")  # fmt: skip
            below.plot(one.times, one.deviation[:, species], style, color=color[one.label])
    above.axhline(0, color="0.6", lw=0.8)
    below.axhspan(-1, 1, color="0.9", lw=0, zorder=0)
    below.axhspan(-4, 4, color="0.95", lw=0, zorder=-1)
    above.set(xscale="log", ylabel="MSD, difference  [%]")
    below.set(xlabel=TIME_LABEL, ylabel="difference in standard\ndeviations of one run")
    above.legend(fontsize=8, ncols=2)
    return figure
