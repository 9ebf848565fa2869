"""Prediction files: what a network and its baselines said, beside what the draws did."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import h5py
import numpy as np

from glassformer.core.arrays import PREDICTIONS, SCHEMA_VERSION, FloatArray, check_arrays
from glassformer.core.errors import PredictionError
from glassformer.core.files import read_whole, write_atomically
from glassformer.dataset.sample import HDF5_ERRORS

Role = Literal["train", "validation", "test"]
FORMAT = "glassformer predictions"


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions for C configurations at K times; arrays as in `core.arrays.PREDICTIONS`.

    `role` says what the network knew of each configuration: only 'test' was never seen in training.
    """

    network: str
    parameter_hash: str
    code_version: str
    configurations: tuple[str, ...]
    state_points: tuple[str, ...]
    roles: tuple[Role, ...]
    times: FloatArray
    density: FloatArray
    msd_draws: FloatArray
    prediction: FloatArray
    state_point_mean: FloatArray
    density_fit: FloatArray

    @property
    def label(self) -> FloatArray:
        """The truth (C, K): ln of the mean over draws of MSD_A."""
        label: FloatArray = np.log(np.nanmean(self.msd_draws, 1))
        return label


_TEXTS = ("configurations", "state_points", "roles")
_NAMES = ("network", "parameter_hash", "code_version")


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write `predictions` to `path`, whole or not at all. Raises `StorageError` or `PredictionError`."""
    _check(predictions, str(path))
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["schema_version"] = SCHEMA_VERSION
        for name in _NAMES:
            file.attrs[name] = getattr(predictions, name)
        for name in _TEXTS:
            file.create_dataset(name, data=list(getattr(predictions, name)), dtype=h5py.string_dtype())
        for spec in PREDICTIONS:
            dataset = file.create_dataset(spec.name, data=getattr(predictions, spec.name))
            dataset.attrs["unit"] = spec.unit
            dataset.attrs["meaning"] = spec.meaning
    write_atomically(path, buffer.getvalue())


def read_predictions(path: Path) -> Predictions:
    """Read and check the prediction file `path`. Raises `PredictionError`."""
    whole = read_whole(path, PredictionError, "Check the path.")
    try:
        with h5py.File(io.BytesIO(whole), "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise PredictionError(f"{path} is no prediction file", "Make one with `glassformer predict`.")
            names: dict[str, Any] = {name: str(file.attrs[name]) for name in _NAMES}
            texts: dict[str, Any] = {name: tuple(file[name].asstr()[()]) for name in _TEXTS}
            arrays: dict[str, Any] = {spec.name: file[spec.name][()] for spec in PREDICTIONS}
    except HDF5_ERRORS as error:
        raise PredictionError(f"{path} is not a whole prediction file: {error}", "Make it again.") from error
    predictions = Predictions(**names, **texts, **arrays)
    _check(predictions, str(path))
    return predictions


def _check(predictions: Predictions, where: str) -> None:
    arrays = {spec.name: getattr(predictions, spec.name) for spec in PREDICTIONS}
    sizes = check_arrays(PREDICTIONS, arrays, PredictionError, where)
    for name in _TEXTS:
        if len(getattr(predictions, name)) != sizes["C"]:
            raise PredictionError(f"{where}: '{name}' has {len(getattr(predictions, name))} entries, not {sizes['C']}")
    strange = set(predictions.roles) - set(get_args(Role))
    if strange:
        raise PredictionError(f"{where}: got roles {sorted(strange)}; expected {', '.join(get_args(Role))}")
