"""What doctor finds, and what it says to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def doctor(*prefix: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, sys.executable, "-m", "glassformer", "doctor"],
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
