"""The benchmark GlassBench: `N4096T0.44_<number>.npz` of the Kob-Andersen mixture, `N1290T0.23_<number>.npz` in 2D.

G. Jung et al., Roadmap on machine learning glassy dynamics, Nature Reviews Physics 7, 91 (2025), arXiv:2311.14752;
https://doi.org/10.5281/zenodo.10118191. A file holds `types` (N,) 1 = A, 2 = B, ..., `initial_positions` (N, 3), or
(N, 2) in two dimensions, in [-L/2, L/2), perhaps those of the inherent structure and of the cage, and for S times
`md_prop` (S, N), the propensity of displacement, and `bb_prop` (S, N), that of bond breaking. The box is not in it: a
cube of number density 1.2; in two dimensions a square of edge 32.8962. Nor is the number of draws: in three dimensions
the ensembles are those of BOTAN (H. Shiba et al., J. Chem. Phys. 158, 084503 (2023)), 32 draws each.
"""

import re
from pathlib import Path

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import DatasetError
from glassformer.dataset.mixtures import shipped
from glassformer.dataset.readers.botan import DENSITY, wrapped
from glassformer.dataset.readers.contents import Contents, Origin, Propensities, Trajectory
from glassformer.dataset.readers.frames import is_flat
from glassformer.dataset.readers.npz import read_npz, real
from glassformer.dataset.readers.types import species_of
from glassformer.physics.configuration import THICKNESS, Configuration, check_configuration

FORMAT = "GlassBench npz"
ARRAYS = ("types", "initial_positions")
OPTIONAL = ("initial_positions_inherent", "initial_positions_cage", "md_prop", "bb_prop")
SOURCE = "G. Jung et al., GlassBench, https://doi.org/10.5281/zenodo.10118191"
EDGE_2D = 32.8962
DRAWS_3D = 32
_NAME = re.compile(r"N\d+T(\d\.\d+)_\d+\.npz")
# Times of md_prop, where they are known: those of the published scores.
TIMES = {"0.44": (0.13, 1.3, 13.0, 130.0, 412.0, 1300.0, 4120.0, 13_000.0, 41_200.0, 130_000.0)}


def read_glassbench(path: Path) -> Contents:
    """Return the structure, with those derived from it, and its propensities.

    Raises `DatasetError` or `ConfigurationError`, naming `path`.
    """
    try:
        arrays = read_npz(path, ARRAYS, OPTIONAL)
        types = arrays.pop("types")
        found = {name: real(array, name) for name, array in arrays.items()}
    except ValueError as error:
        raise DatasetError(
            f"{path} is not a GlassBench file: {error}", "Expected an .npz with types and initial_positions."
        ) from error
    if types.ndim != 1 or types.dtype.kind not in "iuf" or not len(types):
        raise DatasetError(
            f"{path}: got types {types.shape} of type {types.dtype}; expected (N,)", "The file may be damaged."
        )
    start = _three_columns(found["initial_positions"], "initial_positions", len(types), path)
    flat = is_flat(start)
    mixture = "kob-andersen-2d" if flat else "kob-andersen"
    box = np.array([EDGE_2D, EDGE_2D, THICKNESS]) if flat else np.full(3, (len(types) / DENSITY) ** (1 / 3))
    species = species_of(types - 1, path, len(shipped(mixture).species), first=1)
    others = {
        name: wrapped(_three_columns(found[name], name, len(types), path), box)
        for name in OPTIONAL[:2]
        if name in found and np.isfinite(found[name]).all()
    }
    configuration = Configuration(wrapped(start, box), species, box, others.get("initial_positions_inherent"))
    check_configuration(configuration, str(path))
    shipped(mixture).check(species, str(path))
    named = _NAME.fullmatch(path.name)
    temperature = named[1] if named else ""
    return Contents(
        path, FORMAT, tuple(str(kind + 1) for kind in range(len(shipped(mixture).species))), species,
        Trajectory(configuration.positions[None], box[None], unwrapped=False),
        propensities=_propensities(found.get("md_prop"), len(types), flat, temperature, path),
        inherent_positions=configuration.inherent_positions,
        cage_positions=others.get("initial_positions_cage"),
        origin=Origin(mixture, float(temperature) if temperature else None, SOURCE, "CC-BY-4.0"),
    )  # fmt: skip


def _three_columns(positions: FloatArray, name: str, particles: int, path: Path) -> FloatArray:
    """Return `positions` (N, 3), with z = 0 where there are two columns."""
    if positions.ndim != 2 or len(positions) != particles or positions.shape[1] not in (2, 3):
        expected = f"({particles}, 3) or ({particles}, 2)"
        raise DatasetError(
            f"{path}: '{name}' has shape {positions.shape}; expected {expected}", "The file may be damaged."
        )
    return np.pad(positions, [(0, 0), (0, 3 - positions.shape[1])])


def _propensities(
    values: FloatArray | None, particles: int, flat: bool, temperature: str, path: Path
) -> Propensities | None:
    if values is None:
        return None
    if values.ndim != 2 or values.shape[1] != particles or (values < 0).any() or not np.isfinite(values).all():
        raise DatasetError(
            f"{path}: 'md_prop' has shape {values.shape}, or values that are not distances",
            f"Expected (S, {particles}) numbers of 0 or more.",
        )
    if flat:
        return Propensities(values)
    times = TIMES.get(temperature, ())
    return Propensities(values, np.array(times) if len(times) == len(values) else None, DRAWS_3D)
