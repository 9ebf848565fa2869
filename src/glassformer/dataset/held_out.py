"""Files of held-out propensities: what cross-validation predicted of every particle, beside what the draws did."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import ArraySpec, ByteArray, FloatArray, IntArray, check_arrays
from glassformer.core.errors import PredictionError
from glassformer.core.hdf5 import open_hdf5, read_arrays, read_texts, write_hdf5

FORMAT = "glassformer held-out propensities"
KIND = "file of held-out propensities"
_AGAIN = "Delete it and run the same command again."

# C configurations, P particles of all of them one after the other, K times, M baselines, Q species.
ARRAYS = (
    ArraySpec("times", ("K",), "f8", "tau_LJ", "times"),
    ArraySpec("particles", ("C",), "i8", "", "number of particles of each configuration"),
    ArraySpec("box", ("C", 3), "f8", "sigma_AA", "edges of each box"),
    ArraySpec("positions", ("P", 3), "f4", "sigma_AA", "positions from which the draws start"),
    ArraySpec("species", ("P",), "u1", "", "from 0, in the mixture's order"),
    ArraySpec("label", ("P", "K"), "f4", "sigma_AA", "simulated propensity, the mean over draws"),
    ArraySpec("prediction", ("P", "K"), "f4", "sigma_AA", "propensity predicted by a fit without this configuration"),
    ArraySpec("baselines", ("P", "K", "M"), "f4", "sigma_AA", "the same, predicted by one descriptor each"),
    ArraySpec("ceilings", ("C", "Q", "K"), "f8", "", "correlation of a perfect prediction", nan_allowed=True),
)
_TEXTS = ("configurations", "fingerprints", "baseline_names", "species_names")
_NAMES = ("state_point", "identity", "code_version")


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Held-out propensities of C configurations at one state point; arrays as in `ARRAYS`.

    `identity`: hash of the recipe and of the data; `draws`: over how many the simulated propensities are means;
    `left_out`: configurations that were left out together.
    """

    state_point: str
    identity: str
    code_version: str
    temperature: float
    draws: int
    left_out: int
    configurations: tuple[str, ...]
    fingerprints: tuple[str, ...]
    baseline_names: tuple[str, ...]
    species_names: tuple[str, ...]
    times: FloatArray
    particles: IntArray
    box: FloatArray
    positions: NDArray[np.float32]
    species: ByteArray
    label: NDArray[np.float32]
    prediction: NDArray[np.float32]
    baselines: NDArray[np.float32]
    ceilings: FloatArray

    def of_particles(self, configuration: int) -> slice:
        """Return where the particles of configuration number `configuration` are in the arrays of particles."""
        ends = np.cumsum(self.particles)
        return slice(int(ends[configuration] - self.particles[configuration]), int(ends[configuration]))


def write_held_out(path: Path, held_out: HeldOut) -> None:
    """Write `held_out` to `path`, whole or not at all. Raises `StorageError` or `PredictionError`."""
    _check(held_out, str(path))

    def fill(file: Any) -> None:
        file.attrs["format"] = FORMAT
        for name in (*_NAMES, "temperature", "draws", "left_out"):
            file.attrs[name] = getattr(held_out, name)
        for name in _TEXTS:
            file.create_dataset(name, data=list(getattr(held_out, name)), dtype=h5py.string_dtype())
        for spec in ARRAYS:
            array = getattr(held_out, spec.name)
            packing = {"compression": "gzip", "shuffle": True} if array.size > 1000 else {}
            dataset = file.create_dataset(spec.name, data=array, **packing)
            dataset.attrs["unit"] = spec.unit
            dataset.attrs["meaning"] = spec.meaning

    write_hdf5(path, fill)


def read_held_out(path: Path) -> HeldOut:
    """Read and check the file `path`. Raises `PredictionError`."""
    with open_hdf5(path, PredictionError, KIND) as (file, size):
        if str(file.attrs.get("format")) != FORMAT:
            raise PredictionError(f"{path} is not a {KIND}", _AGAIN)
        values: dict[str, Any] = {name: str(file.attrs[name]) for name in _NAMES}
        values |= {"temperature": float(file.attrs["temperature"])}
        values |= {name: int(file.attrs[name]) for name in ("draws", "left_out")}
        values |= {name: read_texts(file, name, size) for name in _TEXTS}
        arrays: dict[str, Any] = read_arrays(file, ARRAYS, size)
        check_arrays(ARRAYS, arrays, PredictionError, str(path))
    held_out = HeldOut(**values, **arrays)
    _check(held_out, str(path))
    return held_out


def _check(held_out: HeldOut, where: str) -> None:
    """Raise `PredictionError` unless all of it is of the same configurations, particles, baselines and species."""
    sizes = check_arrays(ARRAYS, {spec.name: getattr(held_out, spec.name) for spec in ARRAYS}, PredictionError, where)
    expected = {"configurations": "C", "fingerprints": "C", "baseline_names": "M", "species_names": "Q"}
    for name, symbol in expected.items():
        if len(getattr(held_out, name)) != sizes[symbol]:
            raise PredictionError(
                f"{where}: '{name}' has {len(getattr(held_out, name))} entries; expected {sizes[symbol]}", _AGAIN
            )
    if (held_out.particles < 1).any() or held_out.particles.sum() != sizes["P"]:
        raise PredictionError(
            f"{where}: 'particles' adds up to {held_out.particles.sum()}; the arrays of particles have {sizes['P']}"
            " rows",
            _AGAIN,
        )
    if held_out.species.max() >= sizes["Q"]:
        raise PredictionError(
            f"{where}: got species number {held_out.species.max()}; expected less than {sizes['Q']}", _AGAIN
        )
