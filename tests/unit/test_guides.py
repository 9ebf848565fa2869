"""The guides' commands, typed as they stand, with files made here."""

import contextlib
import io
import json
import re
import shlex
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from glassformer.dataset.folder import read_dataset
from glassformer.dataset.mixtures import shipped
from glassformer.dataset.predictions import Predictions, read_predictions, write_predictions
from glassformer.dataset.sample import Sample, write_sample
from glassformer.physics.configuration import Configuration
from glassformer.simulate.equilibration import random_configuration
from glassformer.simulate.lammps import Lammps
from tests.conftest import synthetic_sample
from tests.unit.test_imports import fails, works

pytestmark = pytest.mark.long

GUIDES = Path(__file__).parents[2] / "docs" / "guide"


def blocks(guide: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (GUIDES / guide).read_text(), re.DOTALL)


def typed(guide: str) -> dict[str, str]:
    """Run every command of the page in the current folder; return what each printed."""
    lines = [line for block in blocks(guide, "bash") for line in block.splitlines()]
    return {line: works(*shlex.split(line)[1:]) for line in lines}


@cache
def energy_minimum() -> Configuration:
    """One that serves all files: configurations about it differ, and LAMMPS finds it at once."""
    mixture = shipped("kob-andersen")
    with Lammps(random_configuration(mixture, 300, 1.2, seed=1), mixture, 0.004) as engine:
        engine.minimise()
        return engine.configuration()


def glassbench_like(folder: Path, number: int) -> Path:
    """A file in GlassBench's layout, of fewer particles; particles far from their inherent positions move more."""
    minimum = energy_minimum()
    random = np.random.default_rng(number)
    moved = random.normal(0, 0.06, minimum.positions.shape)
    far = np.linalg.norm(moved, axis=1)
    propensity = np.outer(0.1 * 1.2 ** np.arange(10), 1 + far / far.mean()) * random.uniform(0.9, 1.1, len(far))
    path = folder / f"N4096T0.44_{number}.npz"
    half = minimum.box / 2
    np.savez(
        path,
        types=minimum.species + 1,
        initial_positions=(minimum.positions + moved) % minimum.box - half,
        initial_positions_inherent=minimum.positions - half,
        md_prop=propensity,
    )
    return path


def test_glassbench_files_become_scored_baselines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in (1, 2, 3, 4):
        glassbench_like(tmp_path, number)
    run = blocks("glassbench.md", "toml")[0].replace("epochs = 60", "epochs = 1")
    # A narrow network learns as little in one epoch as a wide one.
    run = run.replace("64", "4").replace("128", "4")
    (tmp_path / "propensity.toml").write_text(run)
    printed = typed("glassbench.md")
    assert "propensities" in printed["glassformer info N4096T0.44_1.npz"]
    assert "only mean propensities, without MSD and F_s" in printed["glassformer info glassbench"]
    rows = json.loads(printed["glassformer baselines glassbench --json"])
    assert {(row["time"], row["species"]) for row in rows} == {
        (time, name) for time in (0.13, 1.3, 13, 130, 412, 1300, 4120, 13000, 41200, 130000) for name in "AB"
    }
    score = {row["baseline"]: row for row in rows if (row["time"], row["species"]) == (4120, "A")}
    assert score["species mean"]["pcc_mean"] == 0
    # What the labels were made of.
    assert score["inherent displacement"]["pcc_mean"] > 0.85
    assert score["ridge on descriptors"]["pcc_mean"] > 0.6
    assert abs(score["inherent energy"]["pcc_mean"]) < 0.5
    assert all(row["ceiling"] is None and row["n_configurations"] == 4 for row in rows)
    predictions = read_predictions(tmp_path / "trained" / "predictions.h5")
    assert predictions.msd_draws is None
    samples = {sample.identifier: sample for sample in read_dataset(tmp_path / "glassbench")}
    first = samples[predictions.configurations[0]]
    assert (first.draws, first.dynamics.msd) == (32, None)
    np.testing.assert_array_equal(
        predictions.particle_label[predictions.of_particles(0), 0], first.dynamics.displacement_mean[6]
    )


def test_what_needs_more_than_propensities_says_so(tmp_path: Path) -> None:
    files = [glassbench_like(tmp_path, number) for number in (1, 2, 3, 4)]
    works("import", *files, "--out", tmp_path / "data")
    works("import", *files[:2], "--out", tmp_path / "few")
    expected = "only mean propensities were imported"
    for observable in ("msd", "scattering", "chi4", "non-gaussian"):
        error = fails("analyse", tmp_path / "data", "--observables", observable, "--out", tmp_path / "out")
        assert expected in error.problem
    works("analyse", tmp_path / "data", "--observables", "rdf", "--out", tmp_path / "out")
    (tmp_path / "msd.toml").write_text("[split]\nfolds = 2\n[targets]\ntimes = ['last']\n")
    error = fails("train", tmp_path / "msd.toml", tmp_path / "data", "--out", tmp_path / "trained")
    assert "does not hold 'msd', the mean squared displacement" in error.problem
    assert expected in error.problem
    assert "targets.quantity" in error.remedy
    error = fails("baselines", tmp_path / "few")
    assert "has 2 configurations with propensities; expected 3 or more" in error.problem


def particle_predictions(samples: list[Sample]) -> Predictions:
    """What a network with a particle head might say of the propensity at t = 1."""
    structures = [sample.configuration for sample in samples]
    number, rows = len(samples), sum(structure.particles for structure in structures)
    unknown = np.full((number, 1), np.nan)
    return Predictions(
        "particlenet", "0", "0", tuple(sample.identifier for sample in samples),
        tuple(sample.facts.state_point for sample in samples), ("test",) * number, np.array([1.0]),
        np.array([structure.density for structure in structures]), np.zeros((number, 1)), unknown, unknown,
        quantity="propensity", fingerprints=tuple(structure.fingerprint for structure in structures),
        particles=np.array([structure.particles for structure in structures]),
        particle_species=np.concatenate([structure.species for structure in structures]),
        particle_prediction=np.ones((rows, 1), np.float32),
    )  # fmt: skip


def test_a_sample_becomes_columns_for_ovito_and_ase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ase.io")
    monkeypatch.chdir(tmp_path)
    samples = [synthetic_sample(index) for index in range(2)]
    for sample in samples:
        write_sample(Path("data") / f"{sample.identifier}.h5", sample)
    write_predictions(Path("predictions.h5"), particle_predictions(samples))
    typed("extended-xyz.md")
    for folder, columns in (("files", ["propensity_1"]), ("predicted", ["propensity_1", "predicted_propensity_1"])):
        header = Path(folder, "T0.50_P1.55", "c0000.extxyz").read_text().splitlines()[1]
        named = re.search("Properties=(.*?) ", header)
        assert named is not None
        assert named[1] == "id:I:1:type:I:1:pos:R:3" + "".join(f":{name}:R:1" for name in columns)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(blocks("extended-xyz.md", "python")[0], {})
    assert "propensity_1" in said.getvalue()
    assert "A,B" in said.getvalue() or "['A', 'B']" in said.getvalue()
