"""Any folder that the system allows: the same data in it, its name shown as it is, and nothing left elsewhere."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from glassformer.cli.console import StageProgress
from glassformer.core.campaign import Campaign
from glassformer.core.errors import EngineError
from glassformer.core.progress import Silent
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import sample_paths
from glassformer.simulate.campaign import run_campaign
from glassformer.simulate.lammps import Lammps
from tests.conftest import TINY_CAMPAIGN, rattled_lattice
from tests.liquids import kob_andersen

pytestmark = pytest.mark.long

NAMES = {
    "accent": "josé",
    "greek": "ΔT",
    "percent": "rho=1.2_80%",
    "star": "run*",
    "quotes": 'it\'s "it"',
    "shell": "$HOME & ; # {x}",
    "line": "two\nlines",
    "markup": "-[bold]x[/bold] :smile:",
    "bytes": os.fsdecode(b"jos\xe9"),
    "long": "/".join(["long" * 50] * 12),
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_campaign_makes_the_same_data_in_any_folder(kind: str, tiny_dataset: Path, tmp_path: Path) -> None:
    points = TINY_CAMPAIGN["state_points"][:1]  # type: ignore[index]
    few = check_settings(TINY_CAMPAIGN | {"configurations": 1, "state_points": points}, Campaign, "few")
    data = tmp_path / NAMES[kind] / "data"
    shared = set(Path("/dev/shm").iterdir())
    run_campaign(few, data, Silent(), workers=1)
    (made,) = sample_paths(data)
    assert made.read_bytes() == sample_paths(tiny_dataset)[0].read_bytes()
    assert sorted(path.name for path in data.rglob("*")) == ["T0.50_P1.55", "c0000.h5", "campaign.json"]
    assert not [path for path in set(Path("/dev/shm").iterdir()) - shared if "glassformer" in path.name]


def command(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "glassformer", *arguments], cwd=folder, env=os.environ | variables,
        capture_output=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["markup", "bytes"])
def test_names_are_shown_as_they_are(kind: str, tiny_dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / NAMES[kind]
    shutil.copytree(tiny_dataset, folder / "data")
    done = command(tmp_path, "analyse", f"./{NAMES[kind]}/data", "--observables", "msd")
    assert done.returncode == 0, done.stderr
    shown = NAMES[kind].encode("utf-8", "backslashreplace")
    assert done.stdout.rstrip().endswith(shown + b"/data-analysis")
    # Nor does an error stumble over them.
    missing = command(tmp_path, "info", f"./{NAMES[kind]}/absent")
    assert missing.returncode == 2
    assert shown + b"/absent" in missing.stderr


def test_progress_shows_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    StageProgress().say("[bold]x[/bold] :smile:")
    assert capsys.readouterr().out == "[bold]x[/bold] :smile:\n"


def test_advice_on_the_time_step_is_given_for_unstable_dynamics_only() -> None:
    structure = rattled_lattice(6)
    with pytest.raises(EngineError, match="LAMMPS stopped at 'pair_style") as caught:
        Lammps(structure, kob_andersen("uniform"), 0.005, style="no/such/style")
    assert "time_step" not in caught.value.remedy
    assert "doctor" in caught.value.remedy


def test_restarts_need_no_folder_for_temporary_files(tmp_path: Path) -> None:
    """TMPDIR may be anything; LAMMPS's restart file has no place in it."""
    script = (
        "from glassformer.simulate.lammps import Lammps\nfrom tests.liquids import kob_andersen\n"
        "from tests.conftest import rattled_lattice\n"
        'with Lammps(rattled_lattice(6), kob_andersen("uniform"), 0.005) as engine:\n'
        "    engine.begin_nve(10)\n    engine.renew()\n    engine.begin_nve(10)\n    engine.advance(10)\n"
    )
    root = Path(__file__).parents[2]
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(root)]).strip(os.pathsep)
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {"TMPDIR": str(tmp_path / "Δ*%"), "PYTHONPATH": path},
        check=False,
    )  # fmt: skip
    assert done.returncode == 0


def test_without_files_in_memory_a_temporary_one_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    structure, restarts, forces = rattled_lattice(6), [], []
    for change in (lambda: None, lambda: monkeypatch.delattr(os, "memfd_create")):
        change()
        with Lammps(structure, kob_andersen("uniform"), 0.005) as engine:
            engine.begin_nve(10)
            engine.advance(10)
            restarts.append(engine.renew())
        with Lammps.from_restart(restarts[-1], structure.species, kob_andersen("uniform"), 0.005) as engine:
            engine.begin_nve(10)
            forces.append(engine.forces())
    assert (restarts[0] == restarts[1]).all()
    assert (forces[0] == forces[1]).all()
