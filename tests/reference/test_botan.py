"""BOTAN's configurations: read, and followed by either engine."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glassformer.dataset.readers.botan import read_botan
from glassformer.physics.configuration import Configuration
from glassformer.physics.pair import interactions
from glassformer.simulate.lockstep.engine import Lockstep
from tests.liquids import kob_andersen, unit_masses


@pytest.fixture(scope="module")
def botan(reference_data: Path) -> tuple[Configuration, np.ndarray]:
    contents = read_botan(sorted((reference_data / "botan").glob("*.npz"))[0])
    assert contents.draws is not None
    return contents.first, contents.draws.displacements[:, 0]


def test_what_is_in_a_file(botan: tuple[Configuration, np.ndarray]) -> None:
    configuration, displacements = botan
    assert np.bincount(configuration.species).tolist() == [3277, 819]
    np.testing.assert_allclose(configuration.box, 15.05658, atol=5e-6)
    assert displacements.shape == (32, 4096, 3)
    # After a relaxation time: F_s(7.25) of A near 1/e.
    moved = displacements[:, configuration.species == 0]
    assert np.cos(7.25 * moved).mean() == pytest.approx(np.exp(-1), abs=0.1)


def test_it_is_a_liquid_of_the_scaled_cutoff(botan: tuple[Configuration, np.ndarray]) -> None:
    # Equilibrium at T = 0.44 and rho = 1.2: a little below RUMD's -7.012 at T = 0.45.
    assert interactions(botan[0], kob_andersen("scaled")).energy.mean() == pytest.approx(-7.02, abs=0.03)


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 1e-5), (np.float64, 1e-10)])
def test_lockstep_gives_the_forces_of_the_reference(
    dtype: type, bound: float, botan: tuple[Configuration, np.ndarray]
) -> None:
    configuration, _ = botan
    expected = interactions(configuration, kob_andersen("scaled")).force
    drawn = unit_masses(0, configuration.particles, 0.44)[None]
    found = Lockstep(configuration, kob_andersen("scaled"), 0.005, drawn, dtype).forces()[0]
    assert np.sqrt(((found - expected) ** 2).sum() / (expected**2).sum()) < bound


@pytest.mark.long
def test_the_benchmark_as_typed(reference_data: Path) -> None:
    command = [sys.executable, "-m", "glassformer", "bench", "isoconfigurational", "--steps", "100", "--rounds", "2"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["particles"] == 4096
    assert result["draws"] == 16
    assert result["threads"] == 1
    assert set(result["speed"]) == {"lockstep", "lj/cut", "lj/cut/opt"}
    for peer, key in (("lj/cut", "ratio_lj_cut"), ("lj/cut/opt", "ratio_lj_cut_opt")):
        ratios = np.array(result["speed"]["lockstep"]["rates"]) / np.array(result["speed"][peer]["rates"])
        assert result[key] == pytest.approx(np.median(ratios))
        assert result[f"{key}_range"] == pytest.approx([ratios.min(), ratios.max()])
        assert result[f"{key}_with_compilation"] < result[key]
    assert all(speed["energy_drift"] < 1e-3 for speed in result["speed"].values())
    table = subprocess.run(command, capture_output=True, text=True, check=False, env=None)
    assert table.returncode == 0, table.stderr
    assert all(len(line) <= 80 for line in table.stdout.splitlines())
    assert "M atom-steps/s" in table.stdout
