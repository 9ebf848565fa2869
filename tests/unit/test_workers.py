"""Worker processes wherever the parent came from: scripts without a main guard, standard input, mpiexec, srun."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import TINY_CAMPAIGN

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
SIMULATE = f"""
from pathlib import Path
from glassformer.core.campaign import Campaign
from glassformer.core.progress import Silent
from glassformer.core.settings import check_settings
from glassformer.simulate.campaign import run_campaign
settings = check_settings({TINY_CAMPAIGN!r} | {{"configurations": 1}}, Campaign, "tiny")
print(run_campaign(settings, Path("data"), Silent(), workers=2), "made")
"""
TRAIN = """
from pathlib import Path
from glassformer.core.progress import Silent
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.train.training import train_run
from tests.conftest import TINY_RUN, synthetic_sample
samples = [synthetic_sample(index, particles=40) for index in range(6)]
run = check_settings(TINY_RUN | {"targets": {"times": [1.0]}}, Run, "tiny")
train_run(run, samples, Path("training"), Silent(), threads=2, processes=2)
print("trained")
"""
# As a launcher sets them; workers do not have the descriptor.
LAUNCHED = {
    "mpich": {"PMI_FD": "63", "PMI_RANK": "0", "PMI_SIZE": "1", "PMI_SPAWNED": "0", "MPI_LOCALNRANKS": "1"},
    "slurm": {"PMI_FD": "63", "PMI_RANK": "0", "PMI_SIZE": "2", "PMI_JOBID": "1.0", "SLURM_PMI_FD": "63"},
    "port": {"PMI_PORT": "node:4711", "PMI_ID": "0", "PMI_RANK": "0", "PMI_SIZE": "2"},
}


def run(
    folder: Path, *command: str | Path, source: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(ROOT)]).strip(os.pathsep)
    return subprocess.run(
        [*map(str, command)], input=source, cwd=folder, env=os.environ | {"PYTHONPATH": path} | variables, text=True,
        capture_output=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("script", "said"), [(SIMULATE, "2 made\n"), (TRAIN, "trained\n")], ids=["simulate", "train"])
def test_a_script_needs_no_main_guard(script: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(script)
    done = run(tmp_path, sys.executable, "script.py")
    assert (done.returncode, done.stdout) == (0, said), done.stderr


@pytest.mark.parametrize(("script", "said"), [(SIMULATE, "2 made\n"), (TRAIN, "trained\n")], ids=["simulate", "train"])
def test_a_script_may_come_from_standard_input(script: str, said: str, tmp_path: Path) -> None:
    done = run(tmp_path, sys.executable, "-", source=script)
    assert (done.returncode, done.stdout) == (0, said), done.stderr


def mpiexec() -> str:
    found = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if found is None:
        pytest.skip("needs mpiexec, which comes with the package mpich")
    return found


def simulate(folder: Path) -> list[str]:
    """Return the command of a script that has its main guard, as all needed one once."""
    (folder / "guarded.py").write_text(SIMULATE.replace("print(", "if __name__ == '__main__': print("))
    return [sys.executable, "guarded.py"]


def test_one_process_of_mpiexec_does_all(tmp_path: Path) -> None:
    done = run(tmp_path, mpiexec(), "-n", "1", *simulate(tmp_path))
    assert (done.returncode, done.stdout) == (0, "2 made\n"), done.stderr
    checked = run(tmp_path, mpiexec(), "-n", "1", sys.executable, "-m", "glassformer", "doctor")
    assert "ok  LAMMPS" in checked.stdout


def test_two_processes_of_mpiexec_share_the_work(tmp_path: Path) -> None:
    done = run(tmp_path, mpiexec(), "-n", "2", *simulate(tmp_path))
    assert sum(int(line.split()[0]) for line in done.stdout.splitlines() if line.endswith(" made")) == 2


@pytest.mark.parametrize("launcher", LAUNCHED)
def test_what_a_launcher_left_in_the_environment_is_ignored(launcher: str, tmp_path: Path) -> None:
    done = run(tmp_path, *simulate(tmp_path), **LAUNCHED[launcher])
    assert (done.returncode, done.stdout) == (0, "2 made\n"), done.stderr


def test_commands_that_run_lammps_themselves_ignore_the_launcher(tmp_path: Path) -> None:
    checked = run(tmp_path, sys.executable, "-m", "glassformer", "doctor", **LAUNCHED["slurm"])
    assert "ok  LAMMPS" in checked.stdout
    keys = ("particles=200", "schedule.last=100", "schedule.count=9", "particle_times=[0.5]", "engine=lammps")
    planned = run(
        tmp_path, sys.executable, "-m", "glassformer", "plan", "demo", "--only=T0.50",
        *(f"--set={key}" for key in keys), **LAUNCHED["slurm"],
    )  # fmt: skip
    assert planned.returncode == 0, planned.stderr
