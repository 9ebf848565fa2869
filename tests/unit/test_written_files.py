"""Files that LAMMPS, ASE and gsd themselves write."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassformer.core.errors import DatasetError
from glassformer.core.mixture import shipped_mixture
from glassformer.dataset.exports import FORMATS
from glassformer.dataset.facts import Facts
from glassformer.dataset.imports import Choices, read_samples_of
from glassformer.dataset.readers.read import read_file
from glassformer.dataset.sample import Sample
from glassformer.dataset.writers.columns import Structure, structure_of
from glassformer.dataset.writers.text import extended_xyz
from glassformer.physics.configuration import Configuration
from glassformer.simulate.lammps import Lammps
from tests.conftest import rattled_lattice
from tests.liquids import kob_andersen
from tests.unit.test_readers import EDGES, IMAGES, PARTS, UNWRAPPED, WRAPPED


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, Configuration]:
    """Files that LAMMPS itself wrote, the unwrapped positions that it had then, and the wrapped structure."""
    folder = tmp_path_factory.mktemp("lammps")
    start = rattled_lattice(6)
    with Lammps(start, kob_andersen("uniform"), 0.005, np.full((216, 3), [3.0, -2.0, 1.0])) as engine:
        engine.begin_nve(400)
        engine.advance(400)
        digits = "modify format float %.17g"
        engine._commands(
            f"write_dump all custom {folder}/images.lammpstrj id type x y z ix iy iz {digits}",
            f"write_dump all custom {folder}/scaled.lammpstrj.gz type xs ys zs id ix iy iz {digits}",
            f"write_dump all custom {folder}/unwrapped.lammpstrj id type xu yu zu {digits}",
            f"write_dump all custom {folder}/parts.lammpstrj xsu ysu zsu type id {digits} units yes time yes",
            f"write_dump all atom {folder}/atom.lammpstrj modify sort id",
            f"write_data {folder}/liquid.data",
        )
        return folder, engine.positions(), engine.configuration()


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("images.lammpstrj", 1e-12),
        ("scaled.lammpstrj.gz", 1e-12),
        ("unwrapped.lammpstrj", 1e-12),
        ("parts.lammpstrj", 1e-12),
        ("liquid.data", 1e-12),
        ("atom.lammpstrj", 1e-5),
    ],
)
def test_what_lammps_writes_is_what_it_has(
    name: str, exact: float, simulated: tuple[Path, np.ndarray, Configuration]
) -> None:
    folder, unwrapped, structure = simulated
    assert (np.abs(unwrapped - structure.positions).max(1) > 1).sum() > 50
    found = read_file(folder / name)
    np.testing.assert_allclose(found.trajectory.boxes[0], structure.box, rtol=1e-12)
    if name != "atom.lammpstrj":
        assert found.trajectory.unwrapped
        np.testing.assert_allclose(found.trajectory.positions[0], unwrapped, atol=exact)
    apart = found.first.positions - structure.positions
    np.testing.assert_allclose(apart - structure.box * np.rint(apart / structure.box), 0, atol=exact)
    np.testing.assert_array_equal(found.species, structure.species)


def test_frames_of_several_structures(tmp_path: Path) -> None:
    pytest.importorskip("gsd.hoomd")
    first = rattled_lattice(6)
    second = replace(first, positions=(first.positions + 1) % first.box)
    bare = Sample(first, None, Facts(state_point="mine", temperature=0.5, mixture=shipped_mixture("kob-andersen")))
    structures = [Structure(one, ("A", "B"), {"propensity": np.arange(216.0)}) for one in (first, second)]
    for suffix, make in FORMATS.values():
        if suffix != ".npz":
            path = tmp_path / f"two{suffix}"
            path.write_bytes(make(structures, bare))
            found = list(read_file(path).structures)
            assert len(found) == 2
            for one, wanted in zip(found, (first, second), strict=True):
                np.testing.assert_allclose(one.positions, wanted.positions, atol=1e-5 if suffix == ".gsd" else 0)
                np.testing.assert_array_equal(one.species, wanted.species)


def test_frames_of_a_run_keep_their_steps(tmp_path: Path) -> None:
    pytest.importorskip("gsd.hoomd")
    lattice = rattled_lattice(6)
    run = [Structure(lattice, ("A", "B"), {}, step=step) for step in (200, 700)]
    bare = Sample(lattice, None, Facts(state_point="mine", temperature=0.5, mixture=shipped_mixture("kob-andersen")))
    choices = Choices(mixture=shipped_mixture("kob-andersen"), temperature=0.5, frames="all")
    for suffix, make in FORMATS.values():
        if suffix != ".npz":
            path = tmp_path / f"run{suffix}"
            path.write_bytes(make(run, bare))
            again = read_samples_of([path], choices, lambda text: None)
            assert [structure_of(one).step for one in again] == [200, 700]


def test_positions_are_written_in_few_digits_and_read_again_the_same() -> None:
    start = rattled_lattice(6)
    positions = start.positions.copy()
    positions[:2] = [[0.1, 1e-7, 3.0], [1 / 3, 2.0**-40, 0.7]]
    text = extended_xyz(Structure(replace(start, positions=positions), ("A", "B"), {})).decode()
    assert text.splitlines()[2].split()[2:] == ["0.1", "1e-07", "3.0"]
    np.testing.assert_array_equal(np.loadtxt(text.splitlines()[2:])[:, 2:], positions)


def test_ase_writes_what_is_read(tmp_path: Path) -> None:
    ase, ase_io = pytest.importorskip("ase"), pytest.importorskip("ase.io")
    atoms = ase.Atoms("H2HeH", positions=PARTS * EDGES, cell=EDGES, pbc=True)
    ase_io.write(tmp_path / "a.xyz", [atoms, atoms], format="extxyz")
    ase_io.write(tmp_path / "a.data", atoms, format="lammps-data")
    for name, frames in (("a.xyz", 2), ("a.data", 1)):
        found = read_file(tmp_path / name)
        assert found.trajectory.frames == frames
        np.testing.assert_allclose(found.first.positions, WRAPPED, atol=1e-7)
        assert found.species.tolist() == [0, 0, 1, 0]


def gsd_file(path: Path, change: Callable[[Any], None] = lambda frame: None) -> Path:
    package = pytest.importorskip("gsd.hoomd")
    frame = package.Frame()
    frame.configuration.box, frame.configuration.step = [*EDGES, 0, 0, 0], 7
    frame.particles.N, frame.particles.types, frame.particles.typeid = 4, ["A", "B"], [0, 0, 1, 0]
    frame.particles.position, frame.particles.image = (PARTS - 0.5) * EDGES, IMAGES
    change(frame)
    with package.open(str(path), "w") as file:
        file.append(frame)
    return path


def test_gsd(tmp_path: Path) -> None:
    found = read_file(gsd_file(tmp_path / "a.gsd"))
    assert (found.format, found.types, found.species.tolist()) == ("GSD", ("A", "B"), [0, 0, 1, 0])
    np.testing.assert_allclose(found.trajectory.positions[0], UNWRAPPED, atol=1e-5)
    assert found.trajectory.steps is not None
    assert found.trajectory.steps.tolist() == [7]

    def flat(frame: Any) -> None:
        frame.configuration.dimensions = 2
        frame.configuration.box = [*EDGES[:2], 0, 0, 0, 0]
        frame.particles.position = (PARTS - 0.5) * [*EDGES[:2], 0]

    found = read_file(gsd_file(tmp_path / "b.gsd", flat))
    assert found.first.dimension == 2
    np.testing.assert_allclose(found.first.positions, WRAPPED * [1, 1, 0], atol=1e-5)

    def tilted(frame: Any) -> None:
        frame.configuration.box = [*EDGES, 0.5, 0, 0]

    with pytest.raises(DatasetError, match="triclinic box with tilt factors"):
        read_file(gsd_file(tmp_path / "c.gsd", tilted))
    # A second frame without images: those of the first are not its own.
    package = pytest.importorskip("gsd.hoomd")
    with package.open(str(tmp_path / "a.gsd"), "r+") as file:
        later = file[0]
        later.configuration.step, later.particles.image = 9, None
        file.append(later)
    found = read_file(tmp_path / "a.gsd")
    assert (found.trajectory.frames, found.trajectory.unwrapped) == (2, False)
    np.testing.assert_allclose(found.trajectory.positions[1], WRAPPED, atol=1e-5)
    whole = (tmp_path / "a.gsd").read_bytes()
    for end in (300, len(whole) // 2, len(whole) - 1):
        (tmp_path / "d.gsd").write_bytes(whole[:end])
        with pytest.raises(DatasetError, match=r"is damaged, or not a GSD file|contains no frame"):
            read_file(tmp_path / "d.gsd")


@pytest.mark.parametrize(
    ("chunk", "values", "message"),
    [
        ("particles/typeid", np.where(np.arange(10) < 8, 0.4, 1.6), "got the typeid 0.4; expected a whole number"),
        ("particles/image", np.full((10, 3), 0.5), "got the image 0.5; expected a whole number"),
        ("configuration/step", np.array([np.inf]), "got the step inf; expected a whole number"),
        ("configuration/step", np.array([2**63], np.uint64), "expected a whole number"),
    ],
)
def test_numbers_of_gsd_files_that_are_not_whole_are_refused(
    chunk: str, values: np.ndarray, message: str, tmp_path: Path
) -> None:
    files, path = pytest.importorskip("gsd.fl"), tmp_path / "a.gsd"
    chunks = {
        "configuration/box": np.array([5, 5, 5, 0, 0, 0], np.float32),
        "particles/position": np.random.default_rng(0).uniform(-2, 2, (10, 3)).astype(np.float32),
        "particles/types": np.array([[65, 0], [66, 0]], np.uint8),
        chunk: values if values.dtype == np.uint64 else values.astype(np.float32),
    }
    with files.open(str(path), "w", "tests", "hoomd", [1, 4]) as file:
        for name, array in chunks.items():
            file.write_chunk(name, array)
        file.end_frame()
    with pytest.raises(DatasetError, match=message):
        read_file(path)


def test_gsd_without_its_package_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.gsd").write_bytes(b"\xdf\x65" * 4 + bytes(300))
    monkeypatch.setitem(__import__("sys").modules, "gsd.hoomd", None)
    with pytest.raises(DatasetError, match="need the package gsd") as caught:
        read_file(tmp_path / "a.gsd")
    assert "pip install" in caught.value.remedy
