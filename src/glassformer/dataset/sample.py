"""One HDF5 file a configuration: the structure, what its draws did, and how both were made.

    /configuration       positions, species, box; inherent_positions, where they were sought
    /isoconfigurational  times, seeds, msd, self_scattering, particle_times, displacement_mean, ...
    /equilibration       how the configuration came about, where that is known
    attributes           `Facts`

Shapes, types and units are those of `glassformer.core.arrays`.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from glassformer.core.arrays import (
    CONFIGURATION,
    EQUILIBRATION,
    ISOCONFIGURATIONAL,
    SCHEMA_VERSION,
    ArraySpec,
    FloatArray,
    IntArray,
    check_arrays,
)
from glassformer.core.campaign import COMPOSITION
from glassformer.core.errors import DatasetError
from glassformer.core.files import read_whole, write_atomically
from glassformer.physics.configuration import SPECIES_A, Configuration, check_configuration

# Relative difference between the density of the box and the one that a sample is said to have.
DENSITY_TOLERANCE = 1e-3
FORMAT = "glassformer sample"

# What h5py raises on damaged contents, depending on where the damage lies.
HDF5_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError, OverflowError)


class Facts(BaseModel):
    """How a sample was made. Times are in LJ units; NaN where tau_alpha was not reached by the draws.

    What was not looked at is None. `equilibrated`: holding went on for the relaxation times asked for, and its last two
    windows agreed. `q6` and `crystalline_fraction`: `glassformer.physics.crystallinity`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    state_point: str
    temperature: float
    pressure: float | None = None
    density: float | None = None
    cutoff: Literal["uniform", "scaled"]
    time_step: float
    seed: int
    index: int
    engine: str
    protocol: str
    parameter_hash: str
    code_version: str
    equilibration_time: float
    tau_alpha: float
    equilibration_in_tau_alpha: float
    energy_drift: float
    wave_number_a: float
    wave_number_b: float
    equilibrated: bool | None = None
    hold_tau_alpha: float | None = None
    q6: float | None = None
    crystalline_fraction: float | None = None
    box: str = "as-it-fell"
    start: str = "random"


@dataclass(frozen=True, eq=False)
class Ensemble:
    """What the D draws of a configuration did; shapes in `core.arrays.ISOCONFIGURATIONAL`."""

    times: FloatArray
    seeds: IntArray
    msd: FloatArray
    self_scattering: FloatArray
    particle_times: FloatArray
    displacement_mean: NDArray[np.float32]
    displacement_sq_mean: NDArray[np.float32]
    quartic: FloatArray | None = None
    overlap: FloatArray | None = None
    displacements: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class EquilibrationRecord:
    """The way to the configuration and the windows of holding; shapes in `core.arrays.EQUILIBRATION`."""

    time: FloatArray
    temperature: FloatArray
    pressure: FloatArray
    density: FloatArray
    potential_energy: FloatArray
    windows: FloatArray


@dataclass(frozen=True, eq=False)
class Sample:
    """A configuration with its isoconfigurational ensemble and facts.

    `name` tells it from the others of its state point in a dataset; without one, that is its configuration id.
    """

    configuration: Configuration
    ensemble: Ensemble
    facts: Facts
    equilibration: EquilibrationRecord | None = None
    name: str | None = None

    @property
    def identifier(self) -> str:
        """Name of the sample inside its dataset: '<state point>/<name>', such as 'T0.50_P1.55/c0003'."""
        return f"{self.facts.state_point}/{self.name or configuration_id(self.facts.index)}"


def configuration_id(index: int) -> str:
    """Return the file stem of configuration number `index`: 'c0003'."""
    return f"c{index:04d}"


def check_sample(sample: Sample, where: str) -> None:
    """Check every array of `sample`. Raises `ConfigurationError` or `DatasetError`, naming `where`."""
    check_configuration(sample.configuration, where)
    _check_liquid(sample, where)
    sizes = check_arrays(ISOCONFIGURATIONAL, vars(sample.ensemble), DatasetError, where)
    if sizes["N"] != sample.configuration.particles and sizes["S"]:
        raise DatasetError(
            f"{where}: propensities of {sizes['N']} particles; expected {sample.configuration.particles}"
        )
    if sizes["D"] == 0 or sizes["T"] == 0:
        raise DatasetError(f"{where}: got {sizes['D']} draws at {sizes['T']} times; expected at least one of each")
    if sample.equilibration is not None:
        check_arrays(EQUILIBRATION, vars(sample.equilibration), DatasetError, where)
    if (np.diff(sample.ensemble.times) <= 0).any():
        raise DatasetError(f"{where}: got times that do not increase", "The file cannot be used.")
    if (sample.ensemble.msd <= 0).any():
        raise DatasetError(f"{where}: got a mean squared displacement of 0 or less", "The file cannot be used.")


def _check_liquid(sample: Sample, where: str) -> None:
    """Check that the structure is that of the mixture and at the density that the facts name."""
    configuration, facts = sample.configuration, sample.facts
    number_a = int((configuration.species == SPECIES_A).sum())
    # The nearest whole number is as close as a mixture of N particles can come.
    if abs(number_a - COMPOSITION * configuration.particles) >= 1:
        share = number_a / configuration.particles
        raise DatasetError(
            f"{where}: got {number_a} A particles of {configuration.particles}, {share:.1%}; expected"
            f" {COMPOSITION:.0%}: the Kob-Andersen 80:20 mixture",
            "Other mixtures are not supported.",
        )
    if facts.density is not None and abs(configuration.density / facts.density - 1) > DENSITY_TOLERANCE:
        raise DatasetError(
            f"{where}: got {configuration.density:.5g} particles per volume in a sample of density {facts.density:g}",
            "The file contradicts itself and cannot be used.",
        )


def write_sample(path: Path, sample: Sample) -> None:
    """Check `sample` and write it to `path`, whole or not at all. Raises `InputError`."""
    check_sample(sample, str(path))
    # HDF5 writes into memory, so that a full disk meets plain file writing, where it can be told and mended.
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["format"] = FORMAT
        _write_group(file, "configuration", CONFIGURATION, sample.configuration)
        _write_group(file, "isoconfigurational", ISOCONFIGURATIONAL, sample.ensemble)
        if sample.equilibration is not None:
            _write_group(file, "equilibration", EQUILIBRATION, sample.equilibration)
        for name, value in sample.facts.model_dump(exclude_none=True).items():
            file.attrs[name] = value
    write_atomically(path, buffer.getvalue())


def read_sample(path: Path) -> Sample:
    """Read and check the sample file `path`. Raises `DatasetError` or `ConfigurationError`, naming the file."""
    whole = read_whole(path, DatasetError, "Check the path.")
    try:
        with h5py.File(io.BytesIO(whole), "r") as file:
            facts = _read_facts(path, dict(file.attrs))
            configuration = Configuration(**_read_group(file, "configuration", CONFIGURATION, path))
            ensemble = Ensemble(**_read_group(file, "isoconfigurational", ISOCONFIGURATIONAL, path))
            record = None
            if "equilibration" in file:
                record = EquilibrationRecord(**_read_group(file, "equilibration", EQUILIBRATION, path))
    except HDF5_ERRORS as error:
        raise DatasetError(
            f"{path} is not a whole HDF5 file: {error}",
            "It is truncated or damaged: delete it and simulate again, or copy it anew.",
        ) from error
    sample = Sample(configuration, ensemble, facts, record)
    check_sample(sample, str(path))
    return sample


def _write_group(file: Any, name: str, specs: tuple[ArraySpec, ...], source: object) -> None:
    group = file.create_group(name)
    for spec in specs:
        array = getattr(source, spec.name)
        if array is None:
            continue
        dataset = group.create_dataset(spec.name, data=array)
        dataset.attrs["unit"] = spec.unit
        dataset.attrs["meaning"] = spec.meaning


def _read_group(file: Any, name: str, specs: tuple[ArraySpec, ...], path: Path) -> dict[str, Any]:
    if name not in file:
        raise DatasetError(f"{path}: the group '{name}' is missing", "This is no glassformer sample file.")
    group = file[name]
    arrays = {spec.name: group[spec.name][()] for spec in specs if spec.name in group}
    check_arrays(specs, arrays, DatasetError, str(path))
    return arrays


def _read_facts(path: Path, attributes: dict[str, Any]) -> Facts:
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in attributes.items()}
    if plain.pop("format", None) != FORMAT:
        raise DatasetError(
            f"{path} is no sample file",
            "A dataset holds nothing else: name the dataset's own folder, such as demo/data.",
        )
    version = plain.get("schema_version")
    if version != SCHEMA_VERSION:
        raise DatasetError(
            f"{path}: got schema version {version}; expected {SCHEMA_VERSION}",
            "The file was not written by this version of glassformer.",
        )
    try:
        return Facts.model_validate(plain)
    except ValidationError as error:
        first = error.errors()[0]
        raise DatasetError(f"{path}: attribute {first['loc'][0]}: {first['msg']}") from None
