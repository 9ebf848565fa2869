"""RUMD's files: what is read, and what is refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from glassformer.core.errors import ConfigurationError, DatasetError
from glassformer.dataset.readers.rumd import read_rumd
from glassformer.dataset.starts import read_starts

HEADER = (
    "ioformat=2 numTypes=2 integrator=IntegratorNVT,0.004,0.45 sim_box=RectangularSimulationBox,6,6.5,7"
    " mass=1.0,1.0 columns=type,x,y,z,imx,imy,imz,vx,vy,vz"
)


def table() -> np.ndarray:
    random = np.random.default_rng(0)
    positions = random.uniform(-0.5, 0.5, (50, 3)) * [6, 6.5, 7]
    # Velocities of order one, images that must not matter.
    return np.column_stack(
        [np.arange(50) >= 40, positions, random.integers(-3, 4, (50, 3)), random.normal(size=(50, 3))]
    )


def write(path: Path, rows: np.ndarray, header: str = HEADER, number: int = 50) -> Path:
    lines = [" ".join([f"{row[0]:.0f}", *(f"{value:.9f}" for value in row[1:])]) for row in rows]
    path.write_bytes(gzip.compress("\n".join([str(number), header, *lines]).encode()))
    return path


def test_the_box_is_moved_to_the_origin(tmp_path: Path) -> None:
    found = read_rumd(write(tmp_path / "a.xyz.gz", table()))
    np.testing.assert_array_equal(found.first.box, [6, 6.5, 7])
    np.testing.assert_allclose(found.first.positions - found.first.box / 2, table()[:, 1:4], atol=1e-8)
    assert np.bincount(found.species).tolist() == [40, 10]
    np.testing.assert_allclose(found.columns["vy"], table()[:, 8], atol=1e-8)


def test_a_folder_of_them_starts_a_campaign(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write(tmp_path / f"{name}.xyz.gz", table() * (1 if name == "a" else np.r_[1, [0.5] * 3, [1] * 6]))
    first, second = (start.configuration for start in read_starts(tmp_path))
    assert first.fingerprint == read_rumd(tmp_path / "a.xyz.gz").first.fingerprint
    assert second.fingerprint != first.fingerprint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"header": HEADER.replace("columns", "colums")}, "the header names no columns"),
        ({"header": HEADER.replace("Rectangular", "LeesEdwards")}, "a LeesEdwardsSimulationBox"),
        ({"header": HEADER.replace(",6,6.5,7", ",6,6.5")}, "of 2 edges"),
        ({"header": HEADER.replace("type,", "kind,")}, "'type'"),
        ({"header": HEADER.replace(",6,6.5,7", ",6,-6.5,7")}, "box edges [6.0, -6.5, 7.0]"),
        ({"header": HEADER.replace(",6,6.5,7", ",0,6.5,7")}, "box edges [0.0, 6.5, 7.0]"),
        ({"number": 51}, "of 51 particles"),
        # What follows would be another frame.
        ({"number": 49}, "in the place of the number of particles"),
        ({"rows": table()[:, :-1]}, "is not a RUMD configuration"),
    ],
)
def test_other_files_are_refused(change: dict, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.xyz.gz", **({"rows": table()} | change))
    with pytest.raises(DatasetError, match="is not a RUMD configuration") as caught:
        read_rumd(path)
    assert message in caught.value.problem


def test_damage_and_strange_species_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xyz.gz", table())
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DatasetError, match="is not a RUMD configuration"):
        read_rumd(path)
    path.write_bytes(b"plain text")
    with pytest.raises(DatasetError, match="is not a RUMD configuration"):
        read_rumd(path)
    strange = table()
    strange[0, 0] = 2
    with pytest.raises(ConfigurationError, match=r"got species \[2\]"):
        read_rumd(write(path, strange))


@pytest.mark.parametrize("kind", [256.0, 0.4, np.nan, -1.0])
def test_types_that_are_no_species_are_refused(kind: float, tmp_path: Path) -> None:
    rows = table()
    path = write(tmp_path / "a.xyz.gz", rows)
    text = gzip.decompress(path.read_bytes()).decode().splitlines()
    text[2] = f"{kind} " + text[2].partition(" ")[2]
    path.write_bytes(gzip.compress("\n".join(text).encode()))
    with pytest.raises(ConfigurationError, match=r"a.xyz.gz: got species \[.*\] for 1 of 50 particles"):
        read_rumd(path)


def test_positions_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    rows = table()
    rows[7, 2] = np.inf
    with pytest.raises(ConfigurationError, match=r"a.xyz.gz: .*the positions of 1 particle are not finite"):
        read_rumd(write(tmp_path / "a.xyz.gz", rows))
