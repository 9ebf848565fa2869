"""One HDF5 file per configuration: the structure, what its draws did, and how both were made.

    /configuration       positions, species, box; optional: inherent_positions
    /cage                optional: mean positions in the cage, and how they were found
    /isoconfigurational  optional: times, seeds, msd, self_scattering, particle_times, displacement_mean, ...
    /equilibration       optional: how the configuration came about
    attributes           `Facts`

A sample without draws is a bare structure. Shapes, types and units are those of `glassformer.core.arrays`; what a
sample may hold is checked by `glassformer.dataset.sample_checks`.
"""

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import (
    ValidationError,
)

from glassformer.core.arrays import (
    CAGE,
    CONFIGURATION,
    EQUILIBRATION,
    ISOCONFIGURATIONAL,
    ArraySpec,
    FloatArray,
    IntArray,
    check_arrays,
    with_rows,
)
from glassformer.core.errors import DatasetError
from glassformer.core.hdf5 import HDF5_ERRORS, group, open_hdf5, read_arrays, write_hdf5
from glassformer.core.layout import configuration_id
from glassformer.core.mixture import CUTOFF_CONVENTIONS
from glassformer.dataset.facts import END_OF_DRAW, Facts
from glassformer.dataset.mixtures import mixture_of
from glassformer.dataset.sample_checks import ONLY_DRAWS_GIVE, check_label, check_sample
from glassformer.physics.cage import Cage
from glassformer.physics.configuration import Configuration
from glassformer.physics.mixture import Mixture

FORMAT = "glassformer sample"
_FACTS_OF_CAGES = ("kind", "temperature", "draws", "begin", "end", "radius")

_MEANINGS = {spec.name: f"'{spec.name}', the {spec.meaning.partition(';')[0]}" for spec in ISOCONFIGURATIONAL}
_REMEDIES = {"displacements": "Simulate with --set keep_displacements=true."}
_NOT_RECORDED = "It was imported, or simulated by a version that did not record this: simulate it with this version."
_NOT_OF_MEANS = (
    'Use what needs only propensities: glassformer baselines, or a particle head with targets.quantity = "propensity".'
)


@with_rows(ISOCONFIGURATIONAL)
@dataclass(frozen=True, eq=False)
class Ensemble:
    """What the D draws of a configuration did: the rows of `core.arrays.ISOCONFIGURATIONAL`.

    Of propensities that were imported as means over draws, only `times`, `particle_times` and `displacement_mean` are
    known, perhaps `displacement_sq_mean`, and `seeds` where the number of draws is known.
    """

    times: FloatArray
    particle_times: FloatArray
    displacement_mean: NDArray[np.float32]
    seeds: IntArray | None = None
    msd: FloatArray | None = None
    self_scattering: FloatArray | None = None
    displacement_sq_mean: NDArray[np.float32] | None = None
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
    """A configuration with its isoconfigurational ensemble, unless it is a bare structure, and facts.

    `name` tells it from the others of its state point in a dataset; without one, that is its configuration id.
    `file`: what it is called in the place of both where it was read from a file of another code, and is in no dataset;
    `step`: the time step that such a file states.
    """

    configuration: Configuration
    ensemble: Ensemble | None
    facts: Facts
    equilibration: EquilibrationRecord | None = None
    name: str | None = None
    cage: Cage | None = None
    file: str | None = None
    step: int | None = None

    @property
    def dynamics(self) -> Ensemble:
        """What the draws did. Raises `DatasetError` for a bare structure."""
        if self.ensemble is None:
            raise DatasetError(
                f"{self.identifier} is a bare structure: it has no draws, so its dynamics are unknown",
                "Simulate draws of it (equilibration.start_from), or leave it out.",
            )
        return self.ensemble

    @property
    def draws(self) -> int:
        """Number of draws; 0 for a bare structure, and where imported means do not say it."""
        return 0 if self.ensemble is None or self.ensemble.seeds is None else len(self.ensemble.seeds)

    @property
    def origin(self) -> str | None:
        """The fingerprint of the configuration whose draw ends here (`glassformer.dataset.ends`); None for others."""
        start = self.facts.start or ""
        return start.removeprefix(END_OF_DRAW) if start.startswith(END_OF_DRAW) else None

    @property
    def is_end(self) -> bool:
        """Whether the configuration is the end of a draw, which resembles the one where the draw began."""
        return self.origin is not None or self.facts.end_of is not None

    def observed(self, row: str) -> NDArray[Any]:
        """Return an array of the draws by its name in the schema, such as 'msd'.

        Raises `DatasetError` for a bare structure, and where the array is not known.
        """
        array: NDArray[Any] | None = getattr(self.dynamics, row)
        if array is None:
            imported = self.dynamics.msd is None
            raise DatasetError(
                f"{self.identifier} does not hold {_MEANINGS[row]}"
                + (": only mean propensities were imported" if imported else ""),
                _NOT_OF_MEANS if imported else _REMEDIES.get(row, _NOT_RECORDED),
            )
        return array

    @cached_property
    def mixture(self) -> Mixture:
        """The liquid."""
        return mixture_of(self.facts.mixture)

    @property
    def identifier(self) -> str:
        """Its name inside its dataset, '<state point>/<name>', such as 'T0.50_P1.55/c0003'; or its `file`."""
        if self.file is not None:
            return self.file
        index = self.facts.index
        known = self.configuration.fingerprint[:8] if index is None else configuration_id(index)
        return f"{self.facts.state_point}/{self.name or known}"

    def without_draws(self) -> "Sample":
        """Return the structure alone, with what is known of its equilibration."""
        return replace(self, ensemble=None, facts=self.facts.model_copy(update=dict.fromkeys(ONLY_DRAWS_GIVE)))


def write_sample(path: Path, sample: Sample) -> None:
    """Check `sample` and write it to `path`, whole or not at all. Raises `InputError`."""
    check_sample(sample, str(path))

    def fill(file: Any) -> None:
        file.attrs["format"] = FORMAT
        _write_group(file, "configuration", CONFIGURATION, sample.configuration)
        if sample.cage is not None:
            _write_group(file, "cage", CAGE, sample.cage)
            for name in _FACTS_OF_CAGES:
                if (value := getattr(sample.cage, name)) is not None:
                    file["cage"].attrs[name] = value
        if sample.ensemble is not None:
            _write_group(file, "isoconfigurational", ISOCONFIGURATIONAL, sample.ensemble)
        if sample.equilibration is not None:
            _write_group(file, "equilibration", EQUILIBRATION, sample.equilibration)
        for name, value in sample.facts.model_dump(exclude_none=True, exclude={"schema_version", "mixture"}).items():
            file.attrs[name] = value
        file.attrs["mixture"] = sample.facts.mixture.model_dump_json()

    write_hdf5(path, fill)


def read_sample(path: Path) -> Sample:
    """Read and check the sample file `path`. Raises `DatasetError` or `ConfigurationError`, naming the file.

    `NoFileError`, if it is a folder or a link to nothing, and other `StorageError`.
    """
    with open_hdf5(path, DatasetError, "HDF5 file", repair_remedy(path.parent.parent)) as (file, size):
        facts = _read_facts(path, dict(file.attrs))
        if "configuration" not in file:
            raise DatasetError(
                f"{path}: the group 'configuration' is missing", "This is not a glassformer sample file."
            )
        configuration = Configuration(**_read_group(file, "configuration", CONFIGURATION, path, size))
        ensemble, record = None, None
        cage = _read_cage(file, path, size) if "cage" in file else None
        if "isoconfigurational" in file:
            ensemble = Ensemble(**_read_group(file, "isoconfigurational", ISOCONFIGURATIONAL, path, size))
        if "equilibration" in file:
            record = EquilibrationRecord(**_read_group(file, "equilibration", EQUILIBRATION, path, size))
    sample = Sample(configuration, ensemble, facts, record, cage=cage)
    check_sample(sample, str(path))
    check_label(sample, path)
    return sample


def is_sample(path: Path) -> bool:
    """Tell whether the file `path` says that it is a sample; what else it holds is not looked at."""
    try:
        # A pipe might never end.
        if not path.is_file():
            return False
        with h5py.File(path, "r") as file:
            return str(file.attrs.get("format")) == FORMAT
    except HDF5_ERRORS:
        return False


def repair_remedy(dataset: Path) -> str:
    """Return what to do about a damaged sample of `dataset`."""
    return (
        "It is truncated or damaged. Set it aside, and simulate it again if the dataset contains its campaign:"
        f" glassformer repair {dataset} --recompute. Or copy it again."
    )


def _read_cage(file: Any, path: Path, size: int) -> Cage:
    arrays = _read_group(file, "cage", CAGE, path, size)
    facts = {name: _plain(value) for name, value in file["cage"].attrs.items()}
    try:
        return Cage(**arrays, **facts)
    except TypeError:
        raise DatasetError(
            f"{path}: the group 'cage' has the attributes {', '.join(sorted(facts)) or 'none'}; expected"
            f" {', '.join(_FACTS_OF_CAGES)}",
            "Leave the group out, and sample the cages again with `glassformer cage`.",
        ) from None


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
    arrays = read_arrays(group(file, name), specs, size)
    check_arrays(specs, arrays, DatasetError, str(path))
    return arrays


def _plain(value: Any) -> Any:
    """Return a Python number or text for an attribute's value."""
    return value.item() if isinstance(value, np.generic) else value


def _read_facts(path: Path, attributes: dict[str, Any]) -> Facts:
    plain = {name: _plain(value) for name, value in attributes.items()}
    if str(plain.pop("format", None)) != FORMAT:
        raise DatasetError(
            f"{path} is not a sample file",
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
