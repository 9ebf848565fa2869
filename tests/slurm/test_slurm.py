"""A campaign on a real SLURM: as a job array and through Parsl, with a killed worker and a job whose time is up."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from glassformer.dataset.folder import sample_paths
from tests.slow.test_kills import campaign_with
from tests.slurm.cluster import Cluster, refuse_without_slurm, until

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1800)]
# Longer than a job's walltime of a minute on one core.
SIZES = {
    "configurations = 2": "configurations = 10",
    "last = 30000": "last = 6000",
    "duration = 110.0": "duration = 10.0",
    "hold_time = 150.0": "hold_time = 30.0",
    "hold_time = 125.0": "hold_time = 30.0",
    "hold_in_tau_alpha = 2.0": "hold_in_tau_alpha = 0.0",
    "most_windows = 3": "most_windows = 2",
}
PARSL = """
import sys
from pathlib import Path
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import SlurmProvider
config = Config(strategy_period=2, executors=[HighThroughputExecutor(
    address="127.0.0.1", cores_per_worker=1, max_workers_per_node=1, heartbeat_period=3, heartbeat_threshold=12,
    provider=SlurmProvider(
        cores_per_node=1, exclusive=False, init_blocks=1, min_blocks=0, max_blocks=1, walltime="00:01:00",
    ),
)])
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    refuse_without_slurm()
    folder = tmp_path_factory.mktemp("slurm")
    # SLURM's own user walks down to its files.
    for parent in (folder, *folder.parents[:3]):
        parent.chmod(0o755)
    found = Cluster(folder)
    try:
        found.start()
        yield found
    finally:
        found.stop()


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("campaign") / "campaign.toml"
    path.write_text(campaign_with(SIZES))
    return path


@pytest.fixture(scope="module")
def expected(cluster: Cluster, campaign: Path) -> dict[str, bytes]:
    """The bytes of a local run."""
    data = campaign.parent / "local"
    assert subprocess.run(glassformer("simulate", campaign, "--out", data, "--workers", 2), check=False).returncode == 0
    return contents(data)


def glassformer(*words: object) -> list[str]:
    return [sys.executable, "-m", "glassformer", *map(str, words)]


def contents(data: Path) -> dict[str, bytes]:
    return {str(path.relative_to(data)): path.read_bytes() for path in sample_paths(data)}


def kill_one_that_works(data: Path) -> None:
    """Kill the process that holds a sample's lock."""
    until(lambda: list(data.glob("*/.c*.unfinished/*.npz")), 120, "work")
    (lock, *_) = data.glob("*/.c*.lock")
    os.kill(json.loads(lock.read_text())["process"], signal.SIGKILL)


def finished(cluster: Cluster, text: str) -> bool:
    (job,) = re.findall(r"Submitted batch job (\d+)", text)
    until(lambda: job not in cluster.command("squeue", "-h", "-o", "%F"), 300, "the job")
    return True


def test_a_job_array(cluster: Cluster, campaign: Path, expected: dict[str, bytes]) -> None:
    data, script = campaign.parent / "array", cluster.folder / "array.sh"
    made = subprocess.run(
        glassformer("sbatch", campaign, "--out", data, "--parts", 2, "--time", "00:01:00"), capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    # Of one minute, the warning leaves none.
    assert "#SBATCH --signal=B:TERM@60" in made.stdout
    script.write_text(made.stdout.replace("TERM@60", "TERM@5"))
    submitted = cluster.command("sbatch", script)
    kill_one_that_works(data)
    assert finished(cluster, submitted)
    logs = "".join(path.read_text() for path in cluster.folder.glob("glassformer-*.log"))
    assert "a worker process died (SIGKILL" in logs
    # The other job's time may have been up; the same file again, until all is done.
    for _ in range(5):
        status = json.loads(subprocess.check_output(glassformer("status", data, "--json")))
        assert not status["running"]
        if all(point["done"] == 10 for point in status["state_points"]):
            break
        assert finished(cluster, cluster.command("sbatch", script))
    assert contents(data) == expected
    assert not [path for path in data.rglob(".*") if path.name != ".index"]


@pytest.mark.parametrize("how", ["stopped by SIGTERM", "stopped before the end of the walltime"])
def test_a_job_whose_time_is_up_stops_cleanly(
    how: str, cluster: Cluster, campaign: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    data, script = tmp_path / "late", cluster.folder / "late.sh"
    text = subprocess.check_output(
        glassformer("sbatch", campaign, "--out", data, "--parts", 1, "--time", "00:01:00"), text=True
    )
    if "SIGTERM" in how:
        text = text.replace("TERM@60", "TERM@40")
    else:
        # Without the signal, the run itself knows when the job ends. A fast machine would be done within the minute.
        assert "--walltime 0-00:01:00" in text
        text = text.replace("#SBATCH --signal", "# ").replace("--walltime 0-00:01:00", "--walltime 25s")
    script.write_text(text.replace("glassformer-%A_%a.log", f"{tmp_path.name}.log"))
    # SLURM may send its signal up to a minute early: to a process that has not started to listen. Then once more.
    log = ""
    for _ in range(3):
        if how not in log:
            began = time.monotonic()
            assert finished(cluster, cluster.command("sbatch", script))
            assert time.monotonic() - began < 120
            log = (cluster.folder / f"{tmp_path.name}.log").read_text()
    assert how in log
    assert "Traceback" not in log
    # Nothing waits for it.
    assert not list(data.rglob("*.lock"))
    assert len(list(data.glob("*/c*.h5"))) < len(expected)
    assert subprocess.run(glassformer("simulate", campaign, "--out", data, "--workers", 2), check=False).returncode == 0
    assert contents(data) == expected


def test_parsl(cluster: Cluster, campaign: Path, expected: dict[str, bytes]) -> None:
    data, config = campaign.parent / "parsl", cluster.folder / "blocks.py"
    config.write_text(PARSL)
    process = subprocess.Popen(
        glassformer("simulate", campaign, "--out", data, "--only", "T0.56", "--parsl", config), env=cluster.environment,
        cwd=cluster.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        kill_one_that_works(data)
        text, _ = process.communicate(timeout=900)
    finally:
        process.terminate()
    assert process.returncode == 0, text
    assert "it continues elsewhere" in text
    assert contents(data) == {name: whole for name, whole in expected.items() if "T0.56" in name}
    until(lambda: not cluster.command("squeue", "-h").strip(), 60, "the end of the jobs")
