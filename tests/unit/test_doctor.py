"""What doctor finds, and what it says to do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from glassformer.cli import doctor_optional
from glassformer.core.version import __version__


def doctor(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "glassformer", "doctor", *words],
        env={name: value for name, value in os.environ.items() if name != "GLASSFORMER_DATA"} | variables,
        text=True, capture_output=True, check=False,
    )  # fmt: skip


SOURCES = (
    "https://github.com/h3-Open-BDEC/pyg_botan",
    "gamdpy",
    "https://github.com/nihil39/Thesis_test",
    "https://github.com/google-deepmind/deepmind-research",
)


@pytest.mark.long
@pytest.mark.parametrize("folder", ["", "/absent"])
def test_it_says_where_the_reference_data_come_from(folder: str) -> None:
    done = doctor(GLASSFORMER_DATA=folder)
    assert done.returncode == 0
    assert all(source in done.stdout for source in SOURCES)
    assert ("/absent is not a folder" in done.stdout) == bool(folder)


def test_reference_data_that_are_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "[data]").mkdir()
    done = doctor(GLASSFORMER_DATA=str(tmp_path / "[data]"))
    assert f"ok  reference data: {tmp_path}/[data]\n" in done.stdout
    assert SOURCES[0] not in done.stdout


def test_json_holds_every_finding_and_its_remedy(tmp_path: Path) -> None:
    done = doctor("--json", PATH=str(tmp_path))
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert found["glassformer"]["found"].startswith(f"{__version__} in ")
    assert {"GPU", "SLURM", "Parsl", "GSD files", "notebooks", "browser", "reference data"} <= set(found)
    assert not found["SLURM"]["works"]
    assert "sbatch is not found" in found["SLURM"]["found"]
    assert all(one["remedy"] for one in found.values() if not one["works"])


def test_a_package_that_is_missing_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_optional, "_version", lambda package: "" if package == "pandas" else "1.0")
    (found,) = [one for one in doctor_optional.optional_packages() if not one.works]
    assert found.found == "ase 1.0, pandas is not installed (for .to_ase() and .to_pandas())"
    assert "glassformer[notebook]" in found.remedy
    assert not found.needed


def test_what_a_gpu_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.version.cuda", None)
    monkeypatch.setattr(doctor_optional, "_version", lambda package: "")
    found = doctor_optional.gpu()
    assert "torch with CUDA" in found.found
    assert "numba-cuda (simulations in lockstep)" in found.found
    assert "glassformer[cuda]" in found.remedy


@pytest.mark.parametrize(("script", "works"), [("echo slurm 24.05", True), ("echo broken >&2; exit 1", False)])
def test_slurm_is_asked(script: str, works: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sbatch").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    found = doctor_optional.slurm()
    assert (found.works, found.found) == (
        works, "slurm 24.05, inside job 7" if works else "sbatch --version failed: broken"
    )  # fmt: skip
