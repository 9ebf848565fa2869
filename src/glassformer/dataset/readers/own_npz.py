"""What `glassformer export --to npz` writes: one structure with the names of its species, and its draws.

Arrays: `glassformer_format` (), `positions` (N, 3), `species` (N,), `box` (3,), `species_names`; where they are known
`inherent_positions` (N, 3), `particle_times` (S,), `displacements` (D, S, N, 3) and `displacement_mean` (S, N), and
`mixture`, `temperature` and `units`.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.dataset.readers.contents import Contents, Draws, Origin, Propensities
from glassformer.dataset.readers.frames import Frame, Frames
from glassformer.dataset.readers.npz import read_npz, real
from glassformer.dataset.readers.unwrapped import refuse_wrapped
from glassformer.physics.box import wrap

FORMAT = "glassformer npz"
MARK = "glassformer_format"
ARRAYS = (MARK, "positions", "species", "box", "species_names")
OPTIONAL = ("inherent_positions", "particle_times", "displacements", "displacement_mean")
FACTS = ("mixture", "temperature", "units")
_EXPECTED = "Expected an .npz that glassformer export wrote."


def read_own_npz(path: Path) -> Contents:
    """Return the structure and draws of `path`. Raises `DatasetError` or `ConfigurationError`, naming it."""
    try:
        arrays = read_npz(path, ARRAYS, (*OPTIONAL, *FACTS))
        names = arrays["species_names"]
        kinds = arrays["species"]
        if names.ndim != 1 or names.dtype.kind != "U" or kinds.ndim != 1 or kinds.dtype.kind not in "iu":
            raise ValueError("expected whole numbers for the species, and texts for their names")
        numbers = {name: real(arrays[name], name) for name in (*ARRAYS[1:2], "box", *OPTIONAL) if name in arrays}
    except ValueError as error:
        raise DatasetError(f"{path} is not a glassformer file: {error}", _EXPECTED) from error
    particles = len(kinds)
    _check_shapes(path, numbers, particles)
    if len(names) < 1 or not particles or kinds.min() < 0 or kinds.max() >= len(names):
        raise DatasetError(f"{path}: got {particles} species of {len(names)} names", _EXPECTED)
    frames = Frames(path, FORMAT)
    frames.add(Frame(numbers["positions"], numbers["box"], names[kinds], unwrapped=False))
    contents = frames.contents(Origin.stated({name: str(arrays[name]) for name in FACTS if name in arrays}))
    times = numbers.get("particle_times")
    if "displacements" in numbers:
        box, start = contents.trajectory.boxes[0], contents.trajectory.positions[0]
        for one in np.moveaxis(numbers["displacements"], 1, 0):
            refuse_wrapped(start + one, one, box, str(path))
    inherent, moved, mean = (numbers.get(name) for name in ("inherent_positions", "displacements", "displacement_mean"))
    return replace(
        contents,
        inherent_positions=None if inherent is None else wrap(inherent, contents.trajectory.boxes[0]),
        draws=None if moved is None else Draws(moved, times),
        propensities=None if mean is None else Propensities(mean, times),
    )


def _check_shapes(path: Path, numbers: dict[str, FloatArray], particles: int) -> None:
    times = numbers["particle_times"].shape[:1] if "particle_times" in numbers else (-1,)
    expected: dict[str, tuple[int, ...]] = {
        "positions": (particles, 3), "box": (3,), "inherent_positions": (particles, 3), "particle_times": times,
        "displacements": (*times, particles, 3), "displacement_mean": (*times, particles),
    }  # fmt: skip
    for name, array in numbers.items():
        shape = array.shape[1:] if name == "displacements" else array.shape
        if shape != expected[name] or not np.isfinite(array).all() or (name == "displacements" and not len(array)):
            raise DatasetError(f"{path}: '{name}' has shape {array.shape}, or values that are not finite", _EXPECTED)
