"""One HDF5 file a configuration: the structure, what its draws did, and how both were made.

    /configuration       positions, species, box; inherent_positions, where they were sought
    /isoconfigurational  times, seeds, msd, self_scattering, particle_times, displacement_mean, ...
    /equilibration       how the configuration came about, where that is known
    attributes           `Facts`

Shapes, types and units are those of `glassformer.core.arrays`.
"""

import json
import math
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    ValidationError,
    model_validator,
)

from glassformer.core.arrays import (
    CONFIGURATION,
    EQUILIBRATION,
    ISOCONFIGURATIONAL,
    SCHEMA_VERSION,
    ArraySpec,
    FloatArray,
    IntArray,
    check_arrays,
    with_rows,
)
from glassformer.core.errors import DatasetError
from glassformer.core.hdf5 import group, open_hdf5, read_arrays, write_hdf5
from glassformer.core.mixture import CUTOFF_CONVENTIONS, MixtureSettings, shipped_mixture
from glassformer.dataset.mixtures import mixture_of
from glassformer.dataset.possible import ROUNDING, check_dynamics
from glassformer.physics.box import minimum_image
from glassformer.physics.configuration import Configuration, check_configuration
from glassformer.physics.mixture import Mixture

# Relative difference between the density of the box and the one that a sample is said to have.
DENSITY_TOLERANCE = 1e-3
# Root mean square distance from an inherent structure, in units of the box: one of another configuration is half a box
# away. From random positions, the farthest start, it is 0.77 sigma_AA.
FARTHEST_MINIMUM = 0.35
FORMAT = "glassformer sample"
# Change of the total energy per particle along a draw, in epsilon_AA, at which its dynamics are still those of the
# liquid: 1 % of the thermal energy at T = 0.5. A time step of 0.005 makes 1e-4, one of 0.02 makes 4e-2.
MOST_DRIFT = 5e-3
# Bytes of a state point's label; files are called by it, with a suffix.
MOST_LABEL = 200


def _usable_label(label: str) -> str:
    """Refuse what is no name of a folder: results are written into folders called by their state point."""
    # Control characters would steer the terminal that they are printed on.
    usable = label.isprintable() and label == label.strip() != "" and len(label.encode()) <= MOST_LABEL
    if not usable or label.startswith(".") or "/" in label or "\\" in label:
        raise ValueError(f"got the label {label!r}; expected a name that a folder can have")
    return label


def _no_negative_time(value: float) -> float:
    if value < 0 or math.isinf(value):
        raise ValueError(f"got {value:g}; expected a finite number of 0 or more, or NaN if it is not known")
    return value


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
# NaN where it is not known.
Duration = Annotated[float, AfterValidator(_no_negative_time)]
Label = Annotated[str, AfterValidator(_usable_label)]


class Facts(BaseModel):
    """How a sample was made. Times are in LJ units; NaN where tau_alpha was not reached by the draws.

    What was not looked at is None. `equilibrated`: holding went on for the relaxation times asked for, and its last two
    windows agreed. `q6` and `crystalline_fraction`: `glassformer.physics.crystallinity`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    state_point: Label
    temperature: Positive
    pressure: FiniteFloat | None = None
    density: Positive | None = None
    mixture: MixtureSettings
    time_step: Positive
    seed: NonNegativeInt
    index: NonNegativeInt
    engine: str
    protocol: str
    parameter_hash: str
    code_version: str
    equilibration_time: Duration
    tau_alpha: Duration
    equilibration_in_tau_alpha: Duration
    energy_drift: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    equilibrated: bool | None = None
    hold_tau_alpha: Duration | None = None
    q6: Share | None = None
    crystalline_fraction: Share | None = None
    box: str = "as-it-fell"
    start: str = "random"

    @model_validator(mode="before")
    @classmethod
    def _older_mixture(cls, values: Any) -> Any:
        """Read the mixture of files of version 2 and before, which name its cutoff and two wave numbers."""
        if not isinstance(values, dict) or "cutoff" not in values or "mixture" in values:
            return values
        found = dict(values)
        mixture = shipped_mixture(CUTOFF_CONVENTIONS[found.pop("cutoff")])
        wave_numbers = [found.pop(f"wave_number_{letter}", None) for letter in "ab"]
        return found | {"mixture": mixture.model_dump() | {"wave_numbers": wave_numbers}}

    @property
    def cutoff(self) -> str:
        """What tells the liquid from every other: see `MixtureSettings.identity`."""
        return self.mixture.identity

    @property
    def conserves_energy(self) -> bool:
        """Whether no draw gained or lost more energy per particle than `MOST_DRIFT`."""
        return abs(self.energy_drift) <= MOST_DRIFT


@with_rows(ISOCONFIGURATIONAL)
@dataclass(frozen=True, eq=False)
class Ensemble:
    """What the D draws of a configuration did: the rows of `core.arrays.ISOCONFIGURATIONAL`."""

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

    @cached_property
    def mixture(self) -> Mixture:
        """The liquid."""
        return mixture_of(self.facts.mixture)

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
    if sizes["Q"] != sample.mixture.kinds:
        raise DatasetError(
            f"{where}: got means over {sizes['Q']} species; expected {sample.mixture.kinds}",
            "The file contradicts itself and cannot be used.",
        )
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
    check_dynamics(sample, where)
    _check_facts(sample, where)


def _check_label(sample: Sample, path: Path) -> None:
    """Raise `DatasetError` if the label, where it has the form that `simulate` gives it, names another temperature."""
    facts = sample.facts
    named = re.fullmatch(r"T(\d+\.\d+)_(P|rho)(-?\d+\.\d+)", facts.state_point)
    if not named:
        return
    contradiction = ""
    # A label has ten digits of a number.
    if not math.isclose(float(named.group(1)), facts.temperature, rel_tol=1e-9):
        contradiction = f"temperature {facts.temperature:g}"
    elif (
        named.group(2) == "P"
        and facts.pressure is not None
        and not math.isclose(float(named.group(3)), facts.pressure, rel_tol=1e-9)
    ):
        contradiction = f"pressure {facts.pressure:g}"
    elif (
        named.group(2) == "rho"
        and facts.density is not None
        and not math.isclose(float(named.group(3)), facts.density, rel_tol=1e-9)
    ):
        contradiction = f"density {facts.density:g}"
    if contradiction:
        raise DatasetError(
            f"{path}: got {contradiction} under the label {facts.state_point}",
            "The file contradicts itself and cannot be used.",
        )


def _check_liquid(sample: Sample, where: str) -> None:
    """Check that the structure is that of the mixture and at the density that the facts name."""
    configuration, facts = sample.configuration, sample.facts
    sample.mixture.check(configuration.species, where, DatasetError)
    if configuration.dimension != sample.mixture.dimension:
        raise DatasetError(
            f"{where}: got a structure in {configuration.dimension} dimensions of a mixture in"
            f" {sample.mixture.dimension}",
            "The file contradicts itself and cannot be used.",
        )
    together = configuration.particles - len(np.unique(configuration.positions, axis=0))
    if together:
        raise DatasetError(
            f"{where}: {together} particles lie exactly where another one is", "The file cannot be used."
        )
    _check_inherent(configuration, where)
    if facts.density is not None and abs(configuration.density / facts.density - 1) > DENSITY_TOLERANCE:
        raise DatasetError(
            f"{where}: got {configuration.density:.5g} particles per volume in a sample of density {facts.density:g}",
            "The file contradicts itself and cannot be used.",
        )


def _check_inherent(configuration: Configuration, where: str) -> None:
    """Raise `DatasetError` for an inherent structure that is none of this configuration."""
    inherent, box = configuration.inherent_positions, configuration.box
    if inherent is None:
        return
    remedy = "Leave it out, and find it again with `glassformer quench`."
    together = configuration.particles - len(np.unique(inherent, axis=0))
    if together:
        raise DatasetError(f"{where}: inherent structure: {together} particles lie where another one is", remedy)
    shift = minimum_image(inherent - configuration.positions, box)
    distance = float(np.sqrt(((shift / box) ** 2).sum(1).mean()))
    if distance > FARTHEST_MINIMUM:
        raise DatasetError(
            f"{where}: the inherent structure is that of another configuration: {distance:.2f} box lengths away",
            remedy,
        )


def _check_facts(sample: Sample, where: str) -> None:
    """Raise `DatasetError` for a relaxation time that the draws cannot have shown."""
    tau_alpha, last = sample.facts.tau_alpha, float(sample.ensemble.times[-1])
    if tau_alpha > last * (1 + ROUNDING) or tau_alpha == 0:
        raise DatasetError(
            f"{where}: got tau_alpha = {tau_alpha:g} from draws that last until t = {last:g}",
            "The file contradicts itself and cannot be used.",
        )


def write_sample(path: Path, sample: Sample) -> None:
    """Check `sample` and write it to `path`, whole or not at all. Raises `InputError`."""
    check_sample(sample, str(path))

    def fill(file: Any) -> None:
        file.attrs["format"] = FORMAT
        _write_group(file, "configuration", CONFIGURATION, sample.configuration)
        _write_group(file, "isoconfigurational", ISOCONFIGURATIONAL, sample.ensemble)
        if sample.equilibration is not None:
            _write_group(file, "equilibration", EQUILIBRATION, sample.equilibration)
        for name, value in sample.facts.model_dump(exclude_none=True, exclude={"schema_version", "mixture"}).items():
            file.attrs[name] = value
        file.attrs["mixture"] = sample.facts.mixture.model_dump_json()

    write_hdf5(path, fill)


def read_sample(path: Path) -> Sample:
    """Read and check the sample file `path`. Raises `DatasetError` or `ConfigurationError`, naming the file."""
    with open_hdf5(path, DatasetError, "HDF5 file") as (file, size):
        facts = _read_facts(path, dict(file.attrs))
        configuration = Configuration(**_read_group(file, "configuration", CONFIGURATION, path, size))
        ensemble = Ensemble(**_read_group(file, "isoconfigurational", ISOCONFIGURATIONAL, path, size))
        record = None
        if "equilibration" in file:
            record = EquilibrationRecord(**_read_group(file, "equilibration", EQUILIBRATION, path, size))
    sample = Sample(configuration, ensemble, facts, record)
    check_sample(sample, str(path))
    _check_label(sample, path)
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


def _read_group(file: Any, name: str, specs: tuple[ArraySpec, ...], path: Path, size: int) -> dict[str, Any]:
    if name not in file:
        raise DatasetError(f"{path}: the group '{name}' is missing", "This is no glassformer sample file.")
    arrays = read_arrays(group(file, name), specs, size)
    check_arrays(specs, arrays, DatasetError, str(path))
    return arrays


def _read_facts(path: Path, attributes: dict[str, Any]) -> Facts:
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in attributes.items()}
    if str(plain.pop("format", None)) != FORMAT:
        raise DatasetError(
            f"{path} is no sample file",
            "A dataset holds nothing else: name the dataset's own folder, such as demo/data.",
        )
    if "mixture" not in plain and str(plain.get("cutoff")) not in CUTOFF_CONVENTIONS:
        raise DatasetError(
            f"{path}: got the cutoff convention {plain.get('cutoff')!r}; expected one of"
            f" {', '.join(CUTOFF_CONVENTIONS)}",
            "Without the potential the liquid is not known.",
        )
    try:
        if "mixture" in plain:
            plain["mixture"] = json.loads(plain["mixture"])
        return Facts.model_validate(plain)
    except (json.JSONDecodeError, RecursionError, TypeError):
        raise DatasetError(f"{path}: attribute mixture: expected a table in JSON", "The file cannot be used.") from None
    except ValidationError as error:
        first = error.errors()[0]
        # What our own validators raise comes with a prefix.
        problem = first["msg"].removeprefix("Value error, ")
        raise DatasetError(
            f"{path}: attribute {first['loc'][0]}: {problem}", "It was changed by another program, and cannot be used."
        ) from None
