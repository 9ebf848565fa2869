"""The pickles of DeepMind's glassy_dynamics data set: a structure, and where the draws are at ten times.

V. Bapst et al., Nature Physics 16, 448 (2020); https://github.com/google-deepmind/deepmind-research, glassy_dynamics.
A file holds `positions` (N, 3), `types` (N,) 0 = A and 1 = B, `box` (3,), `time`, `time_indices` (S,) into it, and
`trajectory_target_positions`: for each of these times a list of arrays (N, 3), one a draw, unwrapped; `metadata` has
temperature and pressure. The cutoff of the potential is not in the file: 2.5 sigma_AA sigma_ab by the publication.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.core.files import read_whole
from glassformer.dataset.readers.contents import Contents, Draws, Origin
from glassformer.dataset.readers.frames import Frame, Frames, whole_numbers
from glassformer.dataset.readers.pickles import PickledArray, RefusedError, load_arrays
from glassformer.dataset.readers.text import shortened
from glassformer.dataset.readers.unwrapped import check_ends

FORMAT = "DeepMind glassy_dynamics pickle"
_EXPECTED = "Expected a pickle of the glassy_dynamics data set: positions, types, box, trajectory_target_positions."
SOURCE = "V. Bapst et al., Nature Physics 16, 448 (2020)"
# Times multiplied by draws.
_MOST_ARRAYS = 100_000


def read_deepmind(path: Path) -> Contents:
    """Return the structure and the draws of the pickle `path`, which is read without running anything.

    Raises `DatasetError`, `ConfigurationError` or `StorageError`, naming the file, and what it names that it may not.
    """
    whole = read_whole(path, DatasetError, "Check the path.")
    try:
        found = load_arrays(whole)
    except RefusedError as error:
        raise DatasetError(
            f"{path} is refused: the pickle asks for {shortened(str(error), 120)}, and loading a pickle runs"
            " what it asks for",
            "Only arrays of numbers and plain containers are read. Do not load it with other programs unless you trust"
            " its source.",
        ) from None
    except ValueError as error:
        raise DatasetError(f"{path} is not a complete pickle: {shortened(str(error), 120)}", _EXPECTED) from error
    if not isinstance(found, dict):
        raise DatasetError(f"{path} holds a {type(found).__name__}", _EXPECTED)
    return _contents(path, found)


def _contents(path: Path, found: dict[Any, Any]) -> Contents:
    start, box = (_array(path, found, name) for name in ("positions", "box"))
    types = _array(path, found, "types")
    if start.ndim != 2 or start.shape[1] != 3 or box.shape != (3,) or types.shape != start.shape[:1]:
        got = f"{path}: got positions {start.shape}, box {box.shape} and types {types.shape}"
        raise DatasetError(got, "Expected (N, 3), (3,) and (N,).")
    frames = Frames(path, FORMAT)
    frames.add(Frame(start, box, whole_numbers(types, "type", str(path)), True))
    metadata = found.get("metadata")
    temperature = metadata.get("temperature") if isinstance(metadata, dict) else None
    known = float(temperature) if isinstance(temperature, int | float) and 0 < temperature < 1e9 else None
    origin = Origin("kob-andersen", known, SOURCE, "Apache-2.0")
    contents = frames.contents(origin)
    return replace(contents, draws=_draws(path, found, start, box))


def _draws(path: Path, found: dict[Any, Any], start: FloatArray, box: FloatArray) -> Draws | None:
    """Return the draws in the order of their times, None where the file has none."""
    targets = found.get("trajectory_target_positions")
    if targets is None:
        return None
    indices, times = found.get("time_indices"), found.get("time")
    sizes = {len(one) if isinstance(one, list) else -1 for one in targets} if isinstance(targets, list) else {-1}
    if len(sizes) != 1 or not isinstance(targets, list) or not 0 < len(targets) * max(sizes) <= _MOST_ARRAYS:
        raise DatasetError(f"{path}: got no list of as many draws at every time", _EXPECTED)
    ends = np.empty((max(sizes), len(targets), *start.shape))
    for time, arrays in enumerate(targets):
        for draw, array in enumerate(arrays):
            value = _numbers(array)
            if value is None or value.shape != start.shape:
                raise DatasetError(
                    f"{path}: draw {draw} at time {time} is not an array of shape {start.shape}", _EXPECTED
                )
            ends[draw, time] = value
    at = _observed(path, indices, times, len(targets))
    order = np.argsort(at)
    with np.errstate(over="ignore", invalid="ignore"):
        displacements = ends[:, order] - start
    for number in range(len(order)):
        check_ends(ends[:, order[number]], displacements[:, number], box, path)
    return Draws(displacements, at[order])


def _observed(path: Path, indices: Any, times: Any, number: int) -> FloatArray:
    """Return the times (S,) at which the draws are observed."""
    try:
        places = [int(index) for index in _plain(indices)]
        # A cast would make a time of anything, and -1 is the last one.
        exact = all(place == index and place >= 0 for place, index in zip(places, _plain(indices), strict=True))
        at = np.array([float(_plain(times)[place]) for place in places]) if exact else np.zeros(0)
    except (TypeError, ValueError, IndexError, OverflowError, KeyError):
        at = np.zeros(0)
    if at.shape != (number,) or not (np.isfinite(at) & (at > 0)).all() or len(np.unique(at)) < number:
        raise DatasetError(f"{path}: got no time for each of the {number} observations of the draws", _EXPECTED)
    return at


def _plain(values: Any) -> Any:
    return values.value if isinstance(values, PickledArray) else values


def _array(path: Path, found: dict[Any, Any], name: str) -> FloatArray:
    value = _numbers(found.get(name))
    if value is None:
        raise DatasetError(f"{path}: got no array '{name}'", _EXPECTED)
    return value


def _numbers(value: Any) -> FloatArray | None:
    if not isinstance(value, PickledArray) or value.value is None or value.value.dtype.kind not in "fiu":
        return None
    return value.value.astype(np.float64)
