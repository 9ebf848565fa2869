"""The structures of a dataset by their fingerprints, for what was computed from them and does not hold them."""

from pathlib import Path

from glassformer.dataset.folder import sample_paths
from glassformer.dataset.sample import read_sample
from glassformer.physics.configuration import Configuration


def structures_by_fingerprint(dataset: Path) -> dict[str, Configuration]:
    """Return the configurations of `dataset` by `Configuration.fingerprint`.

    Samples are read one by one, and their draws are not kept. Raises `DatasetError`.
    """
    structures = (read_sample(path).configuration for path in sample_paths(dataset))
    return {structure.fingerprint: structure for structure in structures}
