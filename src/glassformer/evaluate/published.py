"""A dataset's MSD beside published curves: means and spreads over single runs for each state point."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.core.files import read_whole
from glassformer.core.layout import file_name
from glassformer.core.mixture import shipped_mixture
from glassformer.core.thesis import THESIS_MIXTURE, thesis_density
from glassformer.dataset.sample import Sample
from glassformer.dataset.summary import by_state_point, mean_over_ensembles

COLUMNS = ("time", "msd_a_mean", "msd_a_std", "msd_b_mean", "msd_b_std")


def columns_of(species: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of a table of a mixture of these `species`: `COLUMNS` for A and B."""
    return ("time", *(f"msd_{name.lower()}_{what}" for name in species for what in ("mean", "std")))


# Times are the same if they agree to this fraction.
TIME_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Comparison:
    """One state point: deviations of the dataset's mean MSD from the published one, in standard deviations of one run.

    `deviation` and `ratio` (T, S) for every one of `species` at `times`. `density` is the mean of the configurations',
    `held_density` that of their last two windows of holding, NaN where those are not known; `published_density` is None
    where the liquid or the state point is none of the thesis's.
    """

    label: str
    species: tuple[str, ...]
    runs: int
    times: FloatArray
    deviation: FloatArray
    ratio: FloatArray
    density: float
    held_density: float
    published_density: float | None

    @property
    def largest(self) -> tuple[float, ...]:
        """Largest deviation of each species."""
        return tuple(np.abs(self.deviation).max(0).tolist())

    @property
    def when(self) -> tuple[float, ...]:
        """When those are reached."""
        return tuple(self.times[np.abs(self.deviation).argmax(0)].tolist())


def compare_with_published(samples: Sequence[Sample], folder: Path) -> list[Comparison]:
    """Compare every state point with <folder>/<state point>.csv.

    The tables are CSV with the columns that `columns_of` names, after any lines that begin with #. State points without
    one are left out. Raises `DatasetError` if no table fits, or one cannot be read.
    """
    groups = by_state_point(samples)
    paths = {label: folder / f"{file_name(label)}.csv" for label in groups}
    found = [_compare(label, groups[label], path) for label, path in paths.items() if path.exists()]
    if not found:
        names = ", ".join(path.name for path in paths.values())
        raise DatasetError(f"{folder} holds no table to compare with", f"Looked for {names}.")
    return found


def read_published(path: Path, wanted: Sequence[str] = COLUMNS) -> dict[str, FloatArray]:
    """Return the columns `wanted` of a published table. Raises `DatasetError`.

    It may come out of a spreadsheet: a byte order mark, separators ';' (numbers then may have a decimal comma) or tabs,
    spaces about names, quotes, empty cells at the end and empty lines make no difference.
    """
    expected = f"Expected CSV with the columns {', '.join(wanted)}, after any lines that begin with #."
    lines = [(number, line) for number, line in enumerate(_text(path).splitlines(), 1) if not _is_comment(line)]
    if not lines:
        raise DatasetError(f"{path} is not a table: it is empty", expected)
    separator = next((one for one in (",", ";", "\t") if one in lines[0][1]), ",")
    names = _cells(lines[0][1], separator)
    if not set(wanted) <= set(names):
        raise DatasetError(f"{path}: got the columns {', '.join(map(repr, names))}", expected)
    twice = [name for name in wanted if names.count(name) > 1]
    if twice:
        raise DatasetError(f"{path} has two columns {twice[0]}", expected)
    columns: dict[str, list[float]] = {name: [] for name in wanted}
    for number, line in lines[1:]:
        cells = _cells(line, separator)
        if len(cells) != len(names):
            raise DatasetError(f"{path}, line {number}: got {len(cells)} values, {line!r}", f"Expected {len(names)}.")
        for name, cell in zip(names, cells, strict=True):
            if name in columns:
                columns[name].append(_value(path, number, name, cell, separator))
    if not columns["time"]:
        raise DatasetError(f"{path} is not a table: it has no line of numbers", expected)
    return {name: np.array(values) for name, values in columns.items()}


def _text(path: Path) -> str:
    """Return the text of `path`; in comments, characters that are no UTF-8 make no difference."""
    data = read_whole(path, DatasetError, "Check the path.")
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return data.decode(encoding, errors="replace")


def _is_comment(line: str) -> bool:
    """Return whether a line says nothing: a comment, which a spreadsheet may have put in quotes, or empty cells."""
    return line.lstrip(' "').startswith("#") or not line.strip(" ,;\t")


def _cells(line: str, separator: str) -> list[str]:
    """Return the cells of a line without the space about them, and without empty ones at the end."""
    cells = [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _value(path: Path, number: int, name: str, cell: str, separator: str) -> float:
    try:
        value = float(cell.replace(",", ".") if separator != "," else cell)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise DatasetError(f"{path}, line {number}: got {name} = {cell!r}", "Expected a finite number.")
    return value


def _compare(label: str, members: list[Sample], path: Path) -> Comparison:
    species = members[0].mixture.species
    published = read_published(path, columns_of(species))
    times = members[0].dynamics.times
    at = np.abs(times[:, None] - published["time"]).argmin(1)
    same = np.abs(times - published["time"][at]) < TIME_TOLERANCE * published["time"][at]
    if not same.any():
        raise DatasetError(f"{path} and {label} have no time in common", "Simulate at the times of the table.")
    # Every configuration counts alike, whatever its number of draws.
    mean = mean_over_ensembles(members, "msd").mean(0)[same]
    expected, spread = (
        np.stack([published[f"msd_{name.lower()}_{what}"][at[same]] for name in species], 1) for what in ("mean", "std")
    )
    if (spread <= 0).any():
        time = times[same][(spread <= 0).any(1)][0]
        raise DatasetError(f"{path}: a standard deviation at t = {time:g} is not above 0", "Leave that time out.")
    facts = members[0].facts
    of_thesis = facts.mixture.same_liquid(shipped_mixture(THESIS_MIXTURE))
    return Comparison(
        label=label,
        species=species,
        runs=sum(sample.draws for sample in members),
        times=times[same],
        deviation=(mean - expected) / spread,
        ratio=mean / expected,
        density=float(np.mean([sample.configuration.density for sample in members])),
        held_density=float(np.mean([_held_density(sample) for sample in members])),
        published_density=thesis_density(facts.temperature, facts.pressure) if of_thesis else None,
    )


def _held_density(sample: Sample) -> float:
    return np.nan if sample.equilibration is None else float(sample.equilibration.windows[-2:, 1].mean())
