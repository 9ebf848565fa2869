"""The examples, run as a user runs them, each in a process of its own."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import rattled_lattice
from tests.unit.test_guides import glassbench_like
from tests.unit.test_imports import dump, works

pytestmark = pytest.mark.long

EXAMPLES = Path(__file__).parents[2] / "examples"
SHORT = ("my_trajectory.py", "my_prediction.py", "my_network.py", "thesis_in_small.py", "propensity_map.py")


def run(name: str, folder: Path, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *map(str, arguments)], cwd=folder, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_guide_lists_them() -> None:
    guide = (EXAMPLES.parent / "docs" / "guide" / "python.md").read_text()
    assert set(re.findall(r"^\| `(\w+\.py) ", guide, re.MULTILINE)) == set(SHORT)


@pytest.mark.parametrize("name", SHORT)
def test_they_are_read_in_a_minute(name: str) -> None:
    text = (EXAMPLES / name).read_text()
    assert len(text.splitlines()) < 60
    assert f"python examples/{name}" in text


def test_my_trajectory(tmp_path: Path) -> None:
    start = rattled_lattice(6)
    # No two particles walk alike, so that the centre stays; every step has the variance 0.01 along each axis.
    steps = np.random.default_rng(2).normal(0, 0.1, (60, start.particles, 3))
    places = start.positions + np.cumsum(steps - steps.mean(1, keepdims=True), 0)
    dump(
        tmp_path / "run.lammpstrj",
        [replace(start, positions=one % start.box) for one in places],
        [*range(0, 6000, 100)],
    )
    printed = run("my_trajectory.py", tmp_path, "run.lammpstrj", "--time-step", 0.005)
    assert "60 frames" in printed
    found = re.search(r"A: MSD ([\d.]+) at t = ([\d.]+)", printed)
    assert found is not None
    assert float(found[1]) == pytest.approx(0.03 * float(found[2]) / 0.5, rel=0.3)
    (tau,) = re.findall(r"A: tau_alpha ([\d.]+)", printed)
    assert float(tau) == pytest.approx(2 * 0.5 / (7.25**2 * 0.01), rel=0.2)
    assert (tmp_path / "figures.png").stat().st_size > 10_000


def test_my_prediction(tmp_path: Path) -> None:
    io = pytest.importorskip("ase.io")
    dump(tmp_path / "liquid.lammpstrj", [rattled_lattice(12, spacing=0.941, amplitude=0.05)])
    printed = run("my_prediction.py", tmp_path, "liquid.lammpstrj", "--temperature", 0.44)
    found = re.search(r"energy per particle: (-?[\d.]+), in the inherent structure (-?[\d.]+)", printed)
    assert found is not None
    assert float(found[2]) < float(found[1])
    # A lattice is no liquid, and the model says so.
    assert "unlike those in training" in printed
    atoms = io.read(tmp_path / "predicted.extxyz")
    assert len(atoms) == 1728
    assert (atoms.arrays["propensity"] > 0).mean() > 0.99
    assert np.median(atoms.arrays["distance_from_training"]) > 1


def test_my_network(tmp_path: Path) -> None:
    printed = run("my_network.py", tmp_path, "out")
    correlations = {
        name: float(value) for name, value in re.findall(r"^(\w), t = 1: Pearson (\S+)", printed, re.MULTILINE)
    }
    assert set(correlations) == {"A", "B"}
    assert -0.2 < correlations["A"] < 1
    assert "particlenet: propensity of 1 structure, t = 1" in printed
    assert (tmp_path / "out" / "predicted.png").stat().st_size > 10_000
    assert len(list((tmp_path / "out" / "training").glob("fold-*/model.safetensors"))) == 2


def test_thesis_in_small(tmp_path: Path) -> None:
    printed = run("thesis_in_small.py", tmp_path, "out")
    moved = [float(value) for value in re.findall(r"^T0.5\S+: MSD_A\(4.89\) = (\S+)", printed, re.MULTILINE)]
    # The hotter, less dense liquid moves farther.
    assert len(moved) == 2
    assert moved[1] > moved[0]
    rows = re.findall(r"^(\S+), t = (\S+): R\^2 (\S+),", printed, re.MULTILINE)
    assert len(rows) == 6
    assert {label for label, _, _ in rows} >= {"all"}


def test_propensity_map(tmp_path: Path) -> None:
    # Displacements from the inherent structure decide the propensity.
    files = [glassbench_like(tmp_path, number) for number in (1, 2, 3, 4)]
    works("import", *files, "--out", tmp_path / "data")
    (tmp_path / "small.toml").write_text(
        "reads = 'inherent'\ntargets = [{temperature = 0.44, times = [4120.0]}]\n"
        "descriptors = {reach = 2.8, degrees = [2, 4, 6], generations = 3}\n"
    )
    printed = run("propensity_map.py", tmp_path, "data", "small.toml")
    assert float(re.findall(r"mean over configurations: (\S+) ±", printed)[0]) > 0.6
    assert float(re.findall(r"c\S+: Pearson (\S+)", printed)[0]) > 0.6
    assert (tmp_path / "propensity-map.png").stat().st_size > 50_000
