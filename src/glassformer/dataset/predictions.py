"""Prediction files: what a network and its baselines predicted, beside what the draws did, where there are any."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import h5py
import numpy as np
from numpy.typing import NDArray

from glassformer.core.arrays import PREDICTIONS, ArraySpec, ByteArray, FloatArray, IntArray, check_arrays
from glassformer.core.errors import PredictionError
from glassformer.core.hdf5 import open_hdf5, read_arrays, read_texts, write_hdf5
from glassformer.core.layout import TrainingFolder
from glassformer.core.run import Quantity
from glassformer.dataset.facts import is_usable_label

# 'leaked': the network saw this structure with other draws (split.by = "draw").
Role = Literal["train", "validation", "test", "leaked"]
FORMAT = "glassformer predictions"
_SYMBOLS = {"squared-displacement": "MSD", "propensity": "propensity"}


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions for C configurations at K times; arrays as in `core.arrays.PREDICTIONS`.

    `role` says what the network knew of each configuration: only 'test' was never seen in training. `prediction` and
    the baselines are of ln of the mean of `quantity` over the particles of `species`, one of `species_names`, which are
    in the order of their numbers. What a network with a particle
    head says of each particle, one configuration after the other, is in the arrays whose names begin with 'particle'.
    `notices` say where the network was used outside what it was trained on; `fingerprints` are those of the
    configurations, none in files of older versions; `device` is what computed the predictions. What the draws did is in
    the arrays of `_ANSWERS`: NaN for a bare structure, None if there are only such. Where propensities were imported as
    means over draws, MSD is not known.
    """

    network: str
    parameter_hash: str
    code_version: str
    configurations: tuple[str, ...]
    state_points: tuple[str, ...]
    roles: tuple[Role, ...]
    times: FloatArray
    density: FloatArray
    prediction: FloatArray
    state_point_mean: FloatArray
    density_fit: FloatArray
    quantity: Quantity = "squared-displacement"
    species: str = "A"
    species_names: tuple[str, ...] = ("A", "B")
    device: str = ""
    notices: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    temperature: FloatArray | None = None
    msd_draws: FloatArray | None = None
    propensity_draws: FloatArray | None = None
    particles: IntArray | None = None
    particle_species: ByteArray | None = None
    particle_label: NDArray[np.float32] | None = None
    particle_prediction: NDArray[np.float32] | None = None
    particle_ceiling: FloatArray | None = None
    particle_uncertainty: NDArray[np.float32] | None = None

    @property
    def draws(self) -> FloatArray:
        """The quantity's mean over particles in every draw, (C, D, K); NaN is padding.

        Raises `PredictionError` if no configuration has draws.
        """
        truth = self._truth
        if truth is None:
            raise PredictionError(
                f"none of the {len(self.configurations)} configurations has draws: their dynamics are unknown",
                "The predictions can be used, but not compared. Predict samples with draws.",
            )
        return truth

    @property
    def _truth(self) -> FloatArray | None:
        return self.propensity_draws if self.quantity == "propensity" else self.msd_draws

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Of which configurations (C,) draws tell whether the prediction is right; padding is no draw."""
        if self._truth is None:
            return np.zeros(len(self.configurations), np.bool_)
        return _known(self._truth)[:, 0]

    @property
    def label(self) -> FloatArray:
        """The truth (C, K): ln of the mean over draws of MSD_A, or of what else `label_name` says.

        NaN for a bare structure. Raises `PredictionError` if there are only such.
        """
        label = np.full(self.prediction.shape, np.nan)
        label[self.answered] = np.log(np.nanmean(self.draws[self.answered], 1))
        return label

    @property
    def label_name(self) -> str:
        """What is predicted of a configuration: 'ln MSD_A'."""
        return f"ln {_SYMBOLS[self.quantity]}_{self.species}"

    def of_particles(self, configuration: int) -> slice:
        """Return where the particles of a configuration stand in the arrays of particles."""
        assert self.particles is not None
        ends = np.cumsum(self.particles)
        return slice(int(ends[configuration] - self.particles[configuration]), int(ends[configuration]))


_TEXTS = ("configurations", "state_points", "roles")
# Not in every file.
_OPTIONAL_TEXTS = ("notices", "fingerprints", "species_names")
_NAMES = ("network", "parameter_hash", "code_version")
# What files of older versions, which held nothing else, do not say.
_KINDS = {"quantity": "squared-displacement", "species": "A", "device": ""}
_TOGETHER = ("particles", "particle_species", "particle_prediction")
_ANSWERS_OF_PARTICLES = ("particle_label", "particle_ceiling")
_ANSWERS = ("msd_draws", "propensity_draws", *_ANSWERS_OF_PARTICLES)
_AGAIN = "Write it again: glassformer predict MODEL DATASET --out FILE.h5."


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write `predictions` to `path`, whole or not at all. Raises `StorageError` or `PredictionError`."""
    _check_texts(predictions, str(path), "Rename it: use letters, digits, '-', '_' and '.'.")
    _check(predictions, str(path))

    def fill(file: Any) -> None:
        file.attrs["format"] = FORMAT
        for name in (*_NAMES, *_KINDS):
            file.attrs[name] = getattr(predictions, name)
        for name in (*_TEXTS, *_OPTIONAL_TEXTS):
            if texts := list(getattr(predictions, name)):
                file.create_dataset(name, data=texts, dtype=h5py.string_dtype())
        for spec in PREDICTIONS:
            array = getattr(predictions, spec.name)
            if array is None:
                continue
            dataset = file.create_dataset(spec.name, data=array)
            dataset.attrs["unit"] = spec.unit
            dataset.attrs["meaning"] = spec.meaning

    write_hdf5(path, fill)


def refuse_to_replace(path: Path) -> None:
    """Raise `PredictionError` if there is a file `path` that is not a prediction file: a result must not replace it."""
    if not path.exists():
        return
    remedy = "Choose another name, or delete it first."
    if TrainingFolder(path.parent).run.exists():
        raise PredictionError(f"{path} belongs to the training in {path.parent}: it was not overwritten", remedy)
    try:
        with open_hdf5(path, PredictionError, "prediction file") as (file, _):
            known = str(file.attrs.get("format")) == FORMAT
    except PredictionError:
        known = False
    if not known:
        raise PredictionError(f"{path} exists and is not a prediction file: it was not overwritten", remedy)


def read_predictions(path: Path) -> Predictions:
    """Read and check the prediction file `path`. Raises `PredictionError`."""
    with open_hdf5(path, PredictionError, "prediction file") as (file, size):
        if str(file.attrs.get("format")) != FORMAT:
            raise PredictionError(f"{path} is not a prediction file", "Make one with `glassformer predict`.")
        names: dict[str, Any] = {name: str(file.attrs[name]) for name in _NAMES}
        names |= {name: str(file.attrs.get(name, usual)) for name, usual in _KINDS.items()}
        there = (*_TEXTS, *(name for name in _OPTIONAL_TEXTS if name in file))
        texts: dict[str, Any] = {name: read_texts(file, name, size) for name in there}
        arrays: dict[str, Any] = read_arrays(file, PREDICTIONS, size)
        check_arrays(PREDICTIONS, arrays, PredictionError, str(path))
    predictions = Predictions(**names, **texts, **arrays)
    _check_texts(predictions, str(path), _AGAIN)
    _check(predictions, str(path))
    return predictions


def join(parts: Sequence[Predictions], chosen: Sequence[Sequence[int]]) -> Predictions:
    """Return the `chosen` configurations of each of `parts`, all by one run, one part after the other."""

    def texts(name: str) -> tuple[Any, ...]:
        return tuple(getattr(part, name)[row] for part, rows in zip(parts, chosen, strict=True) for row in rows)

    answered = any(part.answered[list(rows)].any() for part, rows in zip(parts, chosen, strict=True))

    def rows(spec: ArraySpec) -> Any:
        arrays = [getattr(part, spec.name) for part in parts]
        known = [array for array in arrays if array is not None]
        if not known or (spec.name in _ANSWERS and not answered):
            return None
        arrays = [_unknown(part, spec, known[0]) if a is None else a for a, part in zip(arrays, parts, strict=True)]
        if spec.by_particle:
            return np.concatenate(
                [a[part.of_particles(row)] for a, part, rows in zip(arrays, parts, chosen, strict=True) for row in rows]
            )
        if "D" in spec.shape:
            arrays = pad(arrays)
        return np.concatenate([a[np.array(rows, np.int64)] for a, rows in zip(arrays, chosen, strict=True)])

    first = parts[0]
    joined: dict[str, Any] = {name: getattr(first, name) for name in (*_NAMES, *_KINDS, "species_names")}
    joined |= {name: texts(name) for name in _TEXTS}
    joined["notices"] = tuple(dict.fromkeys(notice for part in parts for notice in part.notices))
    if all(part.fingerprints for part in parts):
        joined["fingerprints"] = texts("fingerprints")
    joined |= {spec.name: first.times if spec.name == "times" else rows(spec) for spec in PREDICTIONS}
    return Predictions(**joined)


def _unknown(part: Predictions, spec: ArraySpec, like: NDArray[Any]) -> NDArray[Any]:
    """Return the array of `spec` for a part without draws: NaN, as many for each configuration as there are `like`."""
    sizes = np.ones(len(part.configurations), np.int64) if part.particles is None else part.particles
    number = int(sizes.sum()) if spec.by_particle else len(sizes)
    return np.full((number, *like.shape[1:]), np.nan, like.dtype)


def pad(arrays: Sequence[FloatArray]) -> list[FloatArray]:
    """Return arrays of shape (..., D, K), whose D may differ, all with the largest: NaN stands for missing draws."""
    most = max(array.shape[-2] for array in arrays)
    return [
        np.pad(array, [(0, 0)] * (array.ndim - 2) + [(0, most - array.shape[-2]), (0, 0)], constant_values=np.nan)
        for array in arrays
    ]


def _check(predictions: Predictions, where: str) -> None:
    arrays = {spec.name: getattr(predictions, spec.name) for spec in PREDICTIONS}
    sizes = check_arrays(PREDICTIONS, arrays, PredictionError, where)
    for name in _TEXTS:
        if len(getattr(predictions, name)) != sizes["C"]:
            raise PredictionError(f"{where}: '{name}' has {len(getattr(predictions, name))} entries, not {sizes['C']}")
    if len(predictions.fingerprints) not in (0, sizes["C"]):
        raise PredictionError(f"{where}: 'fingerprints' has {len(predictions.fingerprints)} entries, not {sizes['C']}")
    strange = set(predictions.roles) - set(get_args(Role))
    if strange:
        raise PredictionError(f"{where}: got roles {sorted(strange)}; expected {', '.join(get_args(Role))}")
    for name, known in (("quantity", get_args(Quantity)), ("species", predictions.species_names)):
        if getattr(predictions, name) not in known:
            raise PredictionError(f"{where}: got {name} '{getattr(predictions, name)}'; expected {' or '.join(known)}")
    _check_values(predictions, where)
    _check_answers(predictions, where)
    _check_particles(predictions, where)


def _check_texts(predictions: Predictions, where: str, remedy: str) -> None:
    """Raise `PredictionError` for names with control characters, and labels that are no folder names."""
    printed = (*predictions.configurations, *predictions.species_names, predictions.network, predictions.device)
    strange = [text for text in printed if not text.isprintable()]
    strange += [text for notice in predictions.notices for text in notice.splitlines() if not text.isprintable()]
    strange += [text for text in predictions.state_points if not is_usable_label(text)]
    if strange:
        raise PredictionError(
            f"{where}: got the name {strange[0]!r}; expected one that can be printed, and without slashes for a state"
            " point",
            remedy,
        )


def _check_values(predictions: Predictions, where: str) -> None:
    """Raise `PredictionError` for what no liquid can have."""
    positive = ("times", "density", "temperature", "msd_draws", "propensity_draws")
    for name in positive:
        array = getattr(predictions, name)
        # NaN is what is not known.
        if array is not None and (array <= 0).any():
            raise PredictionError(f"{where}: '{name}' has {int((array <= 0).sum())} values of 0 or less", _AGAIN)
    ceiling = predictions.particle_ceiling
    if ceiling is not None and ((ceiling < 0) | (ceiling > 1 + 1e-6)).any():
        raise PredictionError(f"{where}: 'particle_ceiling' has values outside 0 to 1", _AGAIN)


def _check_answers(predictions: Predictions, where: str) -> None:
    truth = "propensity_draws" if predictions.quantity == "propensity" else "msd_draws"
    of_propensity = predictions.propensity_draws is not None
    lacking = truth == "propensity_draws" and predictions.msd_draws is not None and not of_propensity
    if lacking or (truth == "msd_draws" and of_propensity):
        raise PredictionError(f"{where}: 'propensity_draws' belongs to the quantity propensity, and to no other")
    if getattr(predictions, truth) is None:
        _refuse_alone([name for name in _ANSWERS if getattr(predictions, name) is not None], truth, where)
        return
    known = _known(predictions.draws)
    if (known != known[:, :1]).any():
        raise PredictionError(f"{where}: '{truth}' has draws at some of the times only", "Create the file again.")
    if predictions.msd_draws is not None and (_known(predictions.msd_draws) & ~known).any():
        raise PredictionError(
            f"{where}: 'msd_draws' is of configurations that 'propensity_draws' is not of", "Create the file again."
        )
    if not known.any():
        raise PredictionError(f"{where}: '{truth}' has no draw at all", "Leave it out: padding is no draw.")


def _known(draws: FloatArray) -> NDArray[np.bool_]:
    """Return of which configurations, at which times, there is any draw, (C, K)."""
    return np.asarray(np.isfinite(draws).any(1))


def _refuse_alone(there: list[str], missing: str, where: str) -> None:
    """Raise `PredictionError` if any arrays are `there` without the one that is missing."""
    if there:
        raise PredictionError(
            f"{where}: the array '{missing}' is missing beside '{there[0]}'", "Create the file again."
        )


def _check_particles(predictions: Predictions, where: str) -> None:
    wanted = (*_TOGETHER, *_ANSWERS_OF_PARTICLES) if predictions.answered.any() else _TOGETHER
    there = [name for name in (*wanted, "particle_uncertainty") if getattr(predictions, name) is not None]
    if not there:
        return
    for name in wanted:
        if name not in there:
            _refuse_alone(there, name, where)
    assert predictions.particles is not None
    assert predictions.particle_species is not None
    assert predictions.particle_prediction is not None
    rows = len(predictions.particle_species)
    if (predictions.particles < 1).any() or predictions.particles.sum() != rows:
        raise PredictionError(
            f"{where}: 'particles' adds up to {predictions.particles.sum()}; the arrays of particles have {rows} rows"
        )
    kinds = len(predictions.species_names)
    strange = int(predictions.particle_species.max())
    if strange >= kinds:
        known = ", ".join(f"{kind} ({name})" for kind, name in enumerate(predictions.species_names))
        raise PredictionError(f"{where}: got species {strange}; expected {known}")
    ceiling = predictions.particle_ceiling
    if ceiling is not None and ceiling.shape[1] != kinds:
        raise PredictionError(f"{where}: 'particle_ceiling' is of {ceiling.shape[1]} species; expected {kinds}")
    _check_labels(predictions, where)
    _check_uncertainty(predictions, where)
    for species in range(kinds):
        unknown = np.isnan(predictions.particle_prediction[predictions.particle_species == species])
        if unknown.any() and not unknown.all():
            raise PredictionError(
                f"{where}: 'particle_prediction' has {unknown.sum()} values that are not numbers",
                "Create the file again.",
            )


def _check_uncertainty(predictions: Predictions, where: str) -> None:
    """Raise `PredictionError` unless every uncertainty that is stated is positive."""
    if predictions.particle_uncertainty is None:
        return
    wrong = int((predictions.particle_uncertainty <= 0).sum())
    if wrong:
        raise PredictionError(
            f"{where}: 'particle_uncertainty' has {wrong} values that are not positive; expected standard deviations",
            "Use NaN where no uncertainty is stated, and create the file again.",
        )


def _check_labels(predictions: Predictions, where: str) -> None:
    """Raise `PredictionError` unless the labels of particles are known where, and only where, there are draws."""
    if predictions.particle_label is None:
        return
    answered = np.repeat(predictions.answered, np.asarray(predictions.particles))
    unknown = np.isnan(predictions.particle_label)
    if unknown[answered].any():
        raise PredictionError(
            f"{where}: 'particle_label' has {unknown[answered].sum()} values that are not finite",
            "Create the file again.",
        )
    if not unknown[~answered].all():
        raise PredictionError(
            f"{where}: 'particle_label' has values for configurations without draws", "Create the file again."
        )
