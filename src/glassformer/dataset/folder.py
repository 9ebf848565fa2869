"""A dataset is a folder: <dataset>/<state point>/<configuration id>.h5. The folder is the truth; there is no index."""

from collections.abc import Sequence
from pathlib import Path

from glassformer.core.errors import DatasetError
from glassformer.core.provenance import fingerprint, parameter_hash
from glassformer.dataset.sample import Sample, configuration_id, read_sample


def sample_path(dataset: Path, state_point: str, index: int) -> Path:
    """Return the file of configuration number `index` at `state_point`."""
    return dataset / state_point / f"{configuration_id(index)}.h5"


def sample_paths(dataset: Path) -> list[Path]:
    """Return the sample files of `dataset`, by state point and configuration. Raises `DatasetError` if it is empty."""
    if not dataset.is_dir():
        raise DatasetError(f"there is no dataset folder {dataset}", "Make one with `glassformer simulate`.")
    paths = sorted(path for path in dataset.glob("*/*.h5") if not path.name.startswith("."))
    if not paths:
        raise DatasetError(f"the dataset {dataset} is empty", "Fill it with `glassformer simulate`.")
    return paths


def read_dataset(dataset: Path) -> list[Sample]:
    """Read and check every sample of `dataset`. Raises `DatasetError`, naming the file at fault."""
    samples = []
    seen: dict[str, Path] = {}
    for path in sample_paths(dataset):
        sample = read_sample(path)
        twin = seen.setdefault(sample.configuration.fingerprint, path)
        if twin != path:
            raise DatasetError(
                f"{path} is a copy of {twin}",
                "A configuration on both sides of a split would flatter every score: delete one of the two.",
            )
        samples.append(sample)
    return samples


def data_hash(samples: Sequence[Sample]) -> str:
    """Return the hash of structures and displacements of `samples`: of what a network is tested on."""
    content = []
    for sample in samples:
        inherent = sample.configuration.inherent_positions
        sought = [] if inherent is None else [fingerprint(inherent)]
        content.append([sample.configuration.fingerprint, fingerprint(sample.ensemble.msd), *sought])
    return parameter_hash({"samples": content})


def refuse_unequilibrated(samples: Sequence[Sample]) -> None:
    """Raise `DatasetError` if any of `samples` was found not to be in equilibrium."""
    ageing = [sample.identifier for sample in samples if sample.facts.equilibrated is False]
    if ageing:
        raise DatasetError(
            f"{len(ageing)} of {len(samples)} configurations are not in equilibrium, first {ageing[0]}:"
            " they were not held for the relaxation times asked for, or were still changing",
            "Hold them longer, in a new folder (hold_time, equilibration.most_windows; these may be its"
            " equilibration.start_from), or train with --allow-unequilibrated.",
        )
