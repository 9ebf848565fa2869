"""What the README tells to type: a prediction, and the liquid that it makes, its file and its commands."""

import csv
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import rattled_lattice
from tests.unit.test_imports import dump

pytestmark = pytest.mark.long

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def typed(line: str, folder: Path) -> None:
    words = shlex.split(line, comments=True)
    assert words[0] == "glassformer"
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_structure_is_predicted(tmp_path: Path) -> None:
    (line,) = re.findall(r"^glassformer propensity FILE .*", README, re.MULTILINE)
    dump(tmp_path / "FILE", [rattled_lattice(12, spacing=0.941, amplitude=0.05)])
    typed(line, tmp_path)
    assert "propensity:R:1" in (tmp_path / "moved.extxyz").read_text().splitlines()[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    section = README.partition("## Another liquid")[2].partition("\n## ")[0]
    file, commands = re.findall(r"^```[a-z]*\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    made = tmp_path_factory.mktemp("newcomer")
    (made / "liquid.toml").write_text(file)
    for line in commands.splitlines():
        typed(line, made)
    return made


def test_the_radial_distribution_is_that_of_a_liquid(folder: Path) -> None:
    (path,) = folder.glob("liquid-analysis/rdf/*.csv")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    r = np.array([float(row["r"]) for row in rows])
    for pair, sigma in (("aa", 1.0), ("ab", 0.9), ("bb", 0.8)):
        g = np.array([float(row[f"g_{pair}"]) for row in rows])
        assert (g[r < 0.75 * sigma] == 0).all()
        # The first peak lies near the minimum of the potential, 1.12 sigma.
        assert r[g.argmax()] == pytest.approx(1.1 * sigma, rel=0.1) or pair == "bb"
        assert g[(r > 3.0)].mean() == pytest.approx(1, abs=0.1)


def test_figures_are_there(folder: Path) -> None:
    for name in ("rdf", "msd"):
        assert (folder / "liquid-analysis" / name / f"{name}.png").stat().st_size > 10_000
