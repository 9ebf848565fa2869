"""Shell completion: the names that a user would have to look up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from glassformer.cli.app import app


def completed(*words: str, shell: str = "bash") -> list[str]:
    """Return what is offered for the last word of the command line."""
    line = " ".join(["glassformer", *words])
    asked = {
        "_GLASSFORMER_COMPLETE": f"complete_{shell}", "COMP_WORDS": line, "COMP_CWORD": str(len(words)),
        "_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }  # fmt: skip
    return CliRunner().invoke(app, [], env=asked, prog_name="glassformer").output.splitlines()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["train", "demo-"], ["demo-structure", "demo-propensity"]),
        (["train", "demo", "data", "--network", "particlenet-glass-"], ["particlenet-glass-particle"]),
        (["simulate", "cool"], ["cooling-demo", "cooling"]),
        (["plan", "iso"], ["isochore"]),
        (["sbatch", "iso"], ["isochore"]),
        (["simulate", "demo", "--parsl", ""], ["gpu", "nodes", "slurm", "workstation"]),
        (["propensity", "--model", "ka-t"], ["ka-t0.44-t13", "ka-t0.44-t4120-fast", "ka-t0.44-t4120"]),
        (["propensity", "--mixture", "wa"], ["wahnstrom"]),
        (["propensity", "run.lammpstrj", "--frames", ""], ["first", "last", "all"]),
        (["analyse", "run.lammpstrj", "--mixture", "so"], ["soft-spheres"]),
        (["import", "run.lammpstrj", "--mixture", "so"], ["soft-spheres"]),
        (["export", "data", "--to", ""], ["extxyz", "gsd", "lammps", "npz"]),
        (["experiment", "th"], ["thesis"]),
        (["experiment", "thesis", "--scale", ""], ["demo", "small", "full"]),
        (["networks", "sub"], ["subgraphs"]),
        (["networks", "particlenet", "sub"], ["subgraphs"]),
        (["mixtures", "wa"], ["wahnstrom"]),
    ],
)  # fmt: skip
def test_names_of_what_ships_are_offered(words: list[str], wanted: list[str]) -> None:
    assert completed(*words) == wanted


def test_files_that_a_command_takes_are_offered_beside_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("demo-mine.toml", "ka-mine.h5", "demo-notes.txt"):
        (tmp_path / name).touch()
    assert completed("train", "demo-") == ["demo-structure", "demo-propensity", "demo-mine.toml"]
    assert completed("propensity", "--model", "ka-m") == ["ka-mine.h5"]
    # The shell completes paths where nothing is offered.
    assert completed("train", "runs/") == [""]


def test_state_points_are_those_of_the_campaign_or_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # A folder called as a campaign, with more than samples.
    for name in ("T0.44_rho1.20/c0000.h5", "training/test.h5", "T0.30/.c0000.h5", "report/index.html"):
        (tmp_path / "demo" / name).parent.mkdir(parents=True)
        (tmp_path / "demo" / name).touch()
    assert completed("simulate", "demo", "--only", "") == ["T0.50_P1.55", "T0.56_P0.17"]
    assert completed("plan", "thesis", "--only", "T0.44") == ["T0.44_P2.93"]
    assert completed("train", "propensity", str(tmp_path / "demo"), "--only", "") == ["T0.44_rho1.20"]
    assert completed("train", "propensity", "absent", "--only", "") == [""]
    assert completed("simulate", "absent", "--only", "") == [""]


def test_shells_that_can_show_meanings_get_them_in_one_line() -> None:
    told = completed("simulate", "cool", shell="fish")
    assert told[1] == "cooling\tA glass made by cooling at constant pressure, N = 1000"
    assert len(completed("simulate", "", shell="zsh")) == len(completed("simulate", ""))


@pytest.mark.long
def test_names_are_offered_without_loading_torch_or_scipy() -> None:
    code = "import sys\nfrom glassformer.cli.app import main\n"
    code += "try:\n    main()\nfinally:\n    print({'torch', 'scipy', 'h5py', 'matplotlib'} & set(sys.modules))"
    for words, place, wanted in (("train demo-s", 2, "demo-structure"), ("propensity --model ka-i", 3, "ka-isochore")):
        line = f"glassformer {words}"
        asked = {"_GLASSFORMER_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(place)}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ | asked
        )
        assert done.stdout.split() == [wanted, "set()"], done.stderr
