"""Files to samples and samples to files, through the commands."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from glassformer.cli.app import app
from glassformer.core.errors import GlassformerError
from glassformer.core.mixture import shipped_mixture
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.mixtures import shipped
from glassformer.dataset.readers.glassbench import TIMES
from glassformer.dataset.readers.read import read_file
from glassformer.dataset.sample import Sample, write_sample
from glassformer.physics.box import minimum_image
from glassformer.physics.configuration import Configuration
from tests.conftest import random_mixture, synthetic_sample
from tests.unit.test_botan import arrays as botan_arrays
from tests.unit.test_readers import written


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)


def works(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.output


def fails(*arguments: object) -> GlassformerError:
    result = run(*arguments)
    assert isinstance(result.exception, GlassformerError), result.output + repr(result.exception)
    assert result.exception.exit_code == 2
    assert result.exception.remedy
    return result.exception


def dump(path: Path, structures: list[Configuration], steps: list[int] | None = None, columns: str = "x y z") -> Path:
    text = ""
    for number, structure in enumerate(structures):
        edges = "\n".join(f"0 {edge!r}" for edge in structure.box.tolist())
        step = (steps or range(len(structures)))[number]
        text += (
            f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{structure.particles}\n"
            f"ITEM: BOX BOUNDS pp pp pp\n{edges}\nITEM: ATOMS id type {columns}\n"
        )
        for row, (kind, at) in enumerate(zip(structure.species, structure.positions.tolist(), strict=True)):
            text += f"{row + 1} {kind + 1} {at[0]!r} {at[1]!r} {at[2]!r}\n"
    return written(path, text)


def botan_file(folder: Path, seed: int = 0) -> Path:
    content = botan_arrays()
    random = np.random.default_rng(seed)
    edge = (100 / 1.2) ** (1 / 3)
    start = random.uniform(-edge / 2, edge / 2, (100, 3))
    moved = random.normal(0, 0.3, (32, 100, 3))
    folder.mkdir(exist_ok=True)
    path = folder / f"isoconfig_N100T0.44_{seed}_tc07.npz"
    np.savez(path, **(content | {"initial_positions": start, "positions": start + moved}))
    return path


KOB_ANDERSEN = ("--mixture", "kob-andersen", "--temperature", 0.45)


def test_a_dump_becomes_bare_samples(tmp_path: Path) -> None:
    structures = [random_mixture(100, seed) for seed in (1, 2)]
    source = dump(tmp_path / "a.lammpstrj", structures, [0, 0])
    said = works("import", source, "--out", tmp_path / "data", *KOB_ANDERSEN)
    assert "Types by their order: 1 is A, 2 is B (otherwise --species 1=A,2=B)." in said
    assert "2 samples imported" in said
    samples = read_dataset(tmp_path / "data")
    assert [sample.identifier for sample in samples] == ["T0.45_rho1.20/c0000", "T0.45_rho1.20/c0001"]
    for sample, structure in zip(samples, structures, strict=True):
        assert sample.configuration.fingerprint == structure.fingerprint
        assert sample.draws == 0
        assert sample.facts.mixture == shipped_mixture("kob-andersen")
        assert sample.facts.source == "LAMMPS; a.lammpstrj"
    # More of them come after those that are there.
    more = dump(tmp_path / "b.lammpstrj", [random_mixture(100, 3)])
    works("import", more, "--out", tmp_path / "data", *KOB_ANDERSEN)
    assert [sample.facts.index for sample in read_dataset(tmp_path / "data")] == [0, 1, 2]
    assert "3 of 3 configurations are bare structures" in works("info", tmp_path / "data").replace("\n", " ")
    error = fails("import", more, "--out", tmp_path / "data", *KOB_ANDERSEN)
    assert "is a copy of" in error.problem


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ("", [2]),
        ("last", [2]),
        ("first", [0]),
        ("all", [0, 1, 2]),
        ("1", [1]),
        ("-2", [1]),
        ("0:3:2", [0, 2]),
        (":2", [0, 1]),
    ],
)
def test_frames_of_one_run_are_chosen(frames: str, expected: list[int], tmp_path: Path) -> None:
    structures = [random_mixture(100, seed) for seed in range(3)]
    source = dump(tmp_path / "a.lammpstrj", structures)
    said = works("import", source, "--out", tmp_path / "data", *KOB_ANDERSEN, *(["--frames", frames] if frames else []))
    assert ("The last of 3 frames of one run" in said) == (not frames)
    found = [sample.configuration.fingerprint for sample in read_dataset(tmp_path / "data")]
    assert found == [structures[number].fingerprint for number in expected]


def test_what_is_not_known_is_asked_for(tmp_path: Path) -> None:
    source = dump(tmp_path / "a.lammpstrj", [random_mixture(100)])
    out = ("--out", tmp_path / "data")
    for arguments, problem, remedy in [
        (("--temperature", 0.45), "does not state its mixture", "--mixture"),
        (("--mixture", "kob-andersen"), "does not state its temperature", "--temperature"),
        ((), "does not state its mixture or its temperature", "kob-andersen"),
        ((), "does not state its mixture or its temperature", "; and --temperature T, in LJ units."),
        ((*KOB_ANDERSEN, "--frames", "5"), "has 1 frame; got --frames 5", "START:STOP:STEP"),
        ((*KOB_ANDERSEN, "--frames", "x"), "got --frames x", "START:STOP:STEP"),
        ((*KOB_ANDERSEN, "--label", "../x"), "got the label '../x'", "--label"),
        (("--mixture", "kob-andersen", "--temperature", -1), "got --temperature -1", "LJ units"),
        (("--mixture", "nothing", "--temperature", 1), "nothing", ""),
        ((*KOB_ANDERSEN, "--times", "1,x"), "got --times 1,x", "--times"),
        (("--mixture", "kob-andersen-2d", "--temperature", 1), "got 80 A particles of 100", "Name the mixture"),
        ((*KOB_ANDERSEN, "--species", "1=B,2=A"), "got 20 A particles of 100", "Correct --species"),
    ]:
        error = fails("import", source, *out, *arguments)
        assert problem in error.problem
        assert remedy in error.remedy
        assert not (tmp_path / "data").exists()


def test_types_in_another_order_are_noticed_by_the_composition(tmp_path: Path) -> None:
    structure = random_mixture(100)
    exchanged = Configuration(structure.positions, 1 - structure.species, structure.box)
    source = dump(tmp_path / "a.lammpstrj", [exchanged])
    error = fails("import", source, "--out", tmp_path / "data", *KOB_ANDERSEN)
    assert "got 20 A particles of 100" in error.problem
    assert "--species 1=B,2=A" in error.remedy
    works("import", source, "--out", tmp_path / "data", *KOB_ANDERSEN, "--species", "1=B,2=A")
    assert read_dataset(tmp_path / "data")[0].configuration.fingerprint == structure.fingerprint


def test_botan_becomes_samples_with_draws(tmp_path: Path) -> None:
    sources = [botan_file(tmp_path / "botan", seed) for seed in (1, 2)]
    works("import", *sources, "--out", tmp_path / "data")
    samples = read_dataset(tmp_path / "data")
    assert [sample.facts.state_point for sample in samples] == ["T0.44_rho1.20"] * 2
    for sample, source in zip(samples, sources, strict=True):
        contents = read_file(source)
        assert contents.draws is not None
        moved = contents.draws.displacements[:, 0]
        ensemble = sample.dynamics
        assert (sample.draws, ensemble.times.tolist()) == (32, [4120.0])
        np.testing.assert_allclose(ensemble.displacement_mean[0], np.linalg.norm(moved, axis=-1).mean(0), rtol=1e-6)
        of_a = sample.configuration.species == 0
        np.testing.assert_allclose(ensemble.msd[:, 0, 0], (moved**2).sum(-1)[:, of_a].mean(1), rtol=1e-12)
        assert (ensemble.seeds < 0).all()
        assert sample.facts.licence == "Apache-2.0"
        assert "Shiba" in (sample.facts.source or "")
    unnamed = sources[0].rename(tmp_path / "botan" / "b.npz")
    error = fails("import", unnamed, "--out", tmp_path / "more", "--temperature", 0.44)
    assert "has 32 draws at 1 time; got no times" in error.problem
    works("import", unnamed, "--out", tmp_path / "more", "--temperature", 0.44, "--times", 7.5)
    assert read_dataset(tmp_path / "more")[0].dynamics.particle_times.tolist() == [7.5]
    works("import", unnamed, "--out", tmp_path / "bare", "--temperature", 0.44, "--without-draws")
    assert read_dataset(tmp_path / "bare")[0].draws == 0


def botan_times(folder: Path, times: list[str], **changes: Any) -> list[Path]:
    """Files of one configuration, as BOTAN's data have them: its draws at another time in each."""
    folder.mkdir()
    content = np.load(botan_file(folder / "first"))
    paths = []
    for number, time in enumerate(times):
        end = content["initial_positions"] + (number + 1) * (content["positions"] - content["initial_positions"])
        paths.append(folder / f"isoconfig_N100T0.44_0_{time}.npz")
        np.savez(paths[-1], **(dict(content) | {"positions": end} | (changes if number else {})))
    return paths


def test_botan_files_of_one_configuration_become_one_sample(tmp_path: Path) -> None:
    early, middle, late = botan_times(tmp_path / "botan", ["tc05", "tc06", "tc07"])
    other = botan_file(tmp_path / "botan", 9)
    said = works("import", late, early, middle, "--out", tmp_path / "data", "--times", "4120,0.5,70")
    assert f"joined with {early.name}, {middle.name}: one configuration at 3 times" in " ".join(said.split())
    (sample,) = read_dataset(tmp_path / "data")
    assert sample.dynamics.particle_times.tolist() == sample.dynamics.times.tolist() == [0.5, 70, 4120]
    assert sample.draws == 32
    for number, path in enumerate((early, middle, late)):
        moved = read_file(path).draws.displacements[:, 0]  # type: ignore[union-attr]
        np.testing.assert_allclose(sample.dynamics.displacements[:, number], moved, rtol=1e-6, atol=1e-7)
    works("import", other, "--out", tmp_path / "data")
    error = fails("import", late, "--out", tmp_path / "data")
    assert "its configuration is T0.44_rho1.20/c0000 of the dataset" in error.problem
    assert "imported together" in error.remedy
    error = fails("import", early, late, "--out", tmp_path / "more")
    assert "has 32 draws at 2 times; got no times" in error.problem


def test_botan_files_that_cannot_be_joined_are_refused(tmp_path: Path) -> None:
    first, copy = botan_times(tmp_path / "a", ["tc07", "tc07b"])
    twice = first.rename(tmp_path / "isoconfig_N100T0.44_0_tc07.npz")
    np.savez(first, **np.load(twice))
    assert "hold one time of one configuration" in fails("import", first, twice, "--out", tmp_path / "data").problem
    np.savez(copy, **np.load(twice))
    error = fails("import", copy, twice, "--out", tmp_path / "data")
    assert "hold the same positions of the draws" in error.problem
    start = np.load(twice)["initial_positions"]
    fewer = botan_times(tmp_path / "b", ["tc05", "tc07"], positions=np.stack([start + 0.1] * 3))
    error = fails("import", *fewer, "--out", tmp_path / "data")
    assert "have 3 to 32 draws; expected the same draws at several times" in error.problem


def glassbench_file(path: Path, flat: bool = False, **changes: Any) -> tuple[Path, dict[str, Any]]:
    random = np.random.default_rng(5)
    mixture = shipped("kob-andersen-2d" if flat else "kob-andersen")
    particles = 1290 if flat else 1000
    edge = 32.8962 if flat else (particles / 1.2) ** (1 / 3)
    axes = 2 if flat else 3
    start = random.uniform(-edge / 2, edge / 2, (particles, axes))
    content = {
        "types": mixture.assign(particles) + 1,
        "initial_positions": start,
        "initial_positions_inherent": start + 0.01,
        "initial_positions_cage": start - 0.01,
        "md_prop": random.uniform(0.01, 0.2, (10, particles)),
        "bb_prop": random.uniform(0, 1, (10, particles)),
    } | changes
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **content)
    return path, content


@pytest.mark.parametrize("flat", [False, True])
def test_glassbench(flat: bool, tmp_path: Path) -> None:
    name = "N1290T0.30_7.npz" if flat else "N4096T0.44_7.npz"
    path, content = glassbench_file(tmp_path / name, flat)
    found = read_file(path)
    assert found.format == "GlassBench npz"
    box = np.array([32.8962, 32.8962, 1.0]) if flat else np.full(3, (1000 / 1.2) ** (1 / 3))
    np.testing.assert_allclose(found.first.box, box)
    axes = 2 if flat else 3
    for positions, array in [
        (found.first.positions, "initial_positions"),
        (found.inherent_positions, "initial_positions_inherent"),
        (found.cage_positions, "initial_positions_cage"),
    ]:
        assert positions is not None
        assert ((positions >= 0) & (positions < box)).all()
        np.testing.assert_allclose(minimum_image(positions[:, :axes] - content[array], box[:axes]), 0, atol=1e-12)
    assert found.propensities is not None
    np.testing.assert_array_equal(found.propensities.mean, content["md_prop"])
    assert (found.propensities.times is None) == flat
    times = list(range(1, 11)) if flat else TIMES["0.44"]
    if flat:
        assert "has propensities at 10 times; got no times" in fails("import", path, "--out", tmp_path / "data").problem
    given = ("--times", ",".join(map(str, times))) if flat else ()
    works("import", path, "--out", tmp_path / "data", *given)
    (sample,) = read_dataset(tmp_path / "data")
    assert sample.dynamics.particle_times.tolist() == list(times)
    np.testing.assert_array_equal(sample.dynamics.displacement_mean, content["md_prop"].astype(np.float32))
    # In two dimensions nothing says how many draws there were.
    assert sample.draws == (0 if flat else 32)
    assert sample.dynamics.msd is None
    assert sample.configuration.inherent_positions is not None
    assert sample.facts.temperature == (0.30 if flat else 0.44)
    assert sample.facts.licence == "CC-BY-4.0"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"types": np.arange(1000) % 2}, r"got species \[0\]"),
        ({"types": np.full((1000, 1), 1)}, "got types"),
        ({"types": np.full(1000, "A")}, "got types"),
        ({"initial_positions": np.zeros((999, 3))}, "has shape"),
        ({"initial_positions": np.zeros((1000, 4))}, "has shape"),
        ({"initial_positions": np.full((1000, 3), np.nan)}, "not finite"),
        ({"initial_positions": np.full((1000, 3), "x")}, "is not a GlassBench file"),
        ({"initial_positions_cage": np.zeros((7, 3))}, "has shape"),
        ({"md_prop": np.zeros((10, 999))}, "'md_prop' has shape"),
        ({"md_prop": np.full((10, 1000), -1.0)}, "'md_prop' has shape"),
    ],
)
def test_glassbench_that_cannot_be_used_is_refused(changes: Any, message: str, tmp_path: Path) -> None:
    path, _ = glassbench_file(tmp_path / "N4096T0.44_7.npz", **changes)
    with pytest.raises(GlassformerError, match=message):
        read_file(path)


@pytest.mark.long
def test_an_archive_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    import io
    import zipfile

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**40, 3)})
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as file:
        for name in ("types", "initial_positions", "positions"):
            file.writestr(f"{name}.npy", header.getvalue() + bytes(100))
    with pytest.raises(GlassformerError, match="is not a BOTAN file"):
        read_file(path)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file,
        file.open("types.npy", "w", force_zip64=True) as part,
    ):
        for _ in range(1100):
            part.write(bytes(2**20))
    with pytest.raises(GlassformerError):
        read_file(path)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for index in range(2):
        sample = synthetic_sample(index)
        write_sample(tmp_path / "data" / sample.facts.state_point / f"c{index:04d}.h5", sample)
    return tmp_path / "data"


def samples_of(dataset: Path) -> list[Sample]:
    return read_dataset(dataset)


@pytest.mark.parametrize("to", ["extxyz", "lammps", "gsd", "npz"])
def test_what_is_exported_is_imported_again(to: str, dataset: Path, tmp_path: Path) -> None:
    if to == "gsd":
        pytest.importorskip("gsd")
    assert "2 files written" in works("export", dataset, "--to", to, "--out", tmp_path / "out")
    files = sorted((tmp_path / "out" / "T0.50_P1.55").iterdir())
    assert [path.stem for path in files] == ["c0000", "c0001"]
    liquid = ("--mixture", "kob-andersen-uniform", "--temperature", 0.5)
    works("import", *files, "--out", tmp_path / "again", *liquid)
    for before, after in zip(samples_of(dataset), samples_of(tmp_path / "again"), strict=True):
        if to == "gsd":
            # Single precision.
            apart = minimum_image(
                after.configuration.positions - before.configuration.positions, before.configuration.box
            )
            np.testing.assert_allclose(apart, 0, atol=1e-6)
            np.testing.assert_array_equal(after.configuration.species, before.configuration.species)
            continue
        assert after.configuration.fingerprint == before.configuration.fingerprint
        assert after.draws == (before.draws if to == "npz" else 0)
        if to == "npz":
            np.testing.assert_array_equal(after.dynamics.displacements, before.dynamics.displacements)


def test_two_dimensions_are_exported_and_imported(tmp_path: Path) -> None:
    path, _ = glassbench_file(tmp_path / "N1290T0.30_7.npz", flat=True)
    works("import", path, "--out", tmp_path / "data", "--times", "1,2,3,4,5,6,7,8,9,10")
    (before,) = samples_of(tmp_path / "data")
    formats = ["extxyz", "lammps", "npz"]
    for to in formats:
        works("export", tmp_path / "data", "--to", to, "--out", tmp_path / to)
        (file,) = (tmp_path / to).rglob("c0000.*")
        works("import", file, "--out", tmp_path / f"{to}-data", "--mixture", "kob-andersen-2d", "--temperature", 0.3)
        (after,) = samples_of(tmp_path / f"{to}-data")
        assert after.configuration.fingerprint == before.configuration.fingerprint
        if to == "npz":
            np.testing.assert_array_equal(after.dynamics.displacement_mean, before.dynamics.displacement_mean)


def test_ase_and_gsd_show_propensities_as_columns(dataset: Path, tmp_path: Path) -> None:
    ase_io, hoomd = pytest.importorskip("ase.io"), pytest.importorskip("gsd.hoomd")
    (sample, _) = samples_of(dataset)
    for to in ("extxyz", "gsd"):
        works("export", dataset, "--to", to, "--out", tmp_path / to)
    atoms = ase_io.read(tmp_path / "extxyz" / "T0.50_P1.55" / "c0000.extxyz")
    np.testing.assert_allclose(atoms.positions, sample.configuration.positions)
    np.testing.assert_allclose(np.diagonal(atoms.cell), sample.configuration.box)
    np.testing.assert_array_equal(atoms.arrays["type"], sample.configuration.species + 1)
    np.testing.assert_allclose(atoms.arrays["propensity_1"], sample.dynamics.displacement_mean[0], rtol=1e-8)
    facts = {"mixture": "kob-andersen-uniform", "temperature": 0.5, "units": "LJ"}
    assert {name: atoms.info[name] for name in facts} == facts
    with hoomd.open(str(tmp_path / "gsd" / "T0.50_P1.55" / "c0000.gsd")) as file:
        (frame,) = file
    np.testing.assert_allclose(frame.log["particles/propensity_1"], sample.dynamics.displacement_mean[0])
    np.testing.assert_array_equal(frame.log["temperature"], [0.5])
    assert frame.particles.types == ["A", "B"]


@pytest.mark.parametrize("to", ["extxyz", "npz"])
def test_what_an_exported_file_says_is_believed(to: str, dataset: Path, tmp_path: Path) -> None:
    works("export", dataset, "--to", to, "--out", tmp_path / "out")
    files = sorted((tmp_path / "out" / "T0.50_P1.55").iterdir())
    works("import", *files, "--out", tmp_path / "again")
    for before, after in zip(samples_of(dataset), samples_of(tmp_path / "again"), strict=True):
        assert after.facts.temperature == before.facts.temperature
        assert after.facts.mixture.identity == before.facts.mixture.identity


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        # Kelvin, perhaps.
        (" units=LJ", "", "does not state its mixture or its temperature"),
        ("temperature=0.5", "temperature=cold", "does not state its temperature"),
        ("mixture=kob-andersen-uniform", 'mixture="own 1a2b3c4d"', "does not state its mixture"),
    ],
)
def test_what_other_files_say_is_not_believed(old: str, new: str, problem: str, dataset: Path, tmp_path: Path) -> None:
    works("export", dataset, "--to", "extxyz", "--out", tmp_path / "out")
    path = next((tmp_path / "out").rglob("c0000.extxyz"))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    assert problem in fails("import", path, "--out", tmp_path / "again").problem


def test_formats_that_are_not_known_are_refused(dataset: Path, tmp_path: Path) -> None:
    error = fails("export", dataset, "--to", "pdb", "--out", tmp_path / "out")
    assert "got the format 'pdb'; expected one of extxyz, gsd, lammps, npz" in error.problem


def test_info_tells_what_a_file_is(tmp_path: Path) -> None:
    structures = [random_mixture(100, seed) for seed in range(3)]
    source = dump(tmp_path / "a.lammpstrj", structures, [0, 10, 30])
    found = json.loads(works("info", source, "--json"))
    assert found["format"] == "LAMMPS dump"
    assert (found["particles"], found["types"], found["dimension"]) == (100, {"1": 80, "2": 20}, 3)
    assert (found["frames"], found["steps"], found["unwrapped"]) == (3, [0, 30], False)
    np.testing.assert_allclose(found["box"], structures[0].box)
    assert found["density"] == pytest.approx(1.2)
    text = works("info", source)
    assert "80 of 1, 20 of 2" in text
    assert re.search(r"steps +0 to 30\b", text)
    source.write_bytes(source.read_bytes()[:-30])
    assert "ends inside frame 2, after 2 whole frames" in fails("info", source).problem
    assert json.loads(works("info", source, "--json", "--incomplete"))["frames"] == 2
    sample = synthetic_sample()
    write_sample(tmp_path / "c0000.h5", sample)
    assert "T0.50_P1.55" in works("info", tmp_path / "c0000.h5")
    assert "is an HDF5 file" in fails("import", tmp_path / "c0000.h5", "--out", tmp_path / "data").problem


def test_published_files_are_imported(reference_data: Path, tmp_path: Path) -> None:
    source = reference_data / "kablj_t045" / "end.xyz.gz"
    assert read_file(source).format == "RUMD xyz"
    works("import", source, "--out", tmp_path / "rumd", *KOB_ANDERSEN)
    (sample,) = samples_of(tmp_path / "rumd")
    assert sample.configuration.particles == 10_000
    assert sample.configuration.fingerprint == read_file(source).first.fingerprint
    works("import", *sorted((reference_data / "botan").glob("*.npz"))[:1], "--out", tmp_path / "botan")
    (sample,) = samples_of(tmp_path / "botan")
    assert (sample.draws, sample.dynamics.times.tolist()) == (32, [4120.0])
    assert sample.dynamics.self_scattering[:, 0, 0].mean() == pytest.approx(np.exp(-1), abs=0.1)
