"""A training on a real SLURM: two tasks of srun train one network, are cancelled, and continue to the same weights."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, refuse_without_slurm, until
from tests.unit.test_distributed import command, folder, weights

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1800)]
__all__ = ["folder"]
SCRIPT = """\
#!/bin/bash
#SBATCH --ntasks=2 --cpus-per-task=1 --time=00:10:00 --output=train-%j.log
srun --kill-on-bad-exit=1 COMMAND
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    refuse_without_slurm()
    found = Cluster(tmp_path_factory.mktemp("slurm"))
    for parent in (found.folder, *found.folder.parents[:3]):
        parent.chmod(0o755)
    try:
        found.start()
        yield found
    finally:
        found.stop()


def job_of(text: str) -> str:
    (job,) = re.findall(r"Submitted batch job (\d+)", text)
    return str(job)


def test_a_cancelled_training_continues(cluster: Cluster, folder: Path) -> None:
    words = command(folder, 60, "slurm", "--distributed")
    script = cluster.folder / "train.sh"
    script.write_text(SCRIPT.replace("COMMAND", " ".join(words)))
    first = job_of(cluster.command("sbatch", script))
    until((folder / "slurm" / "fold-0" / "last.ckpt").exists, 180, "the first epoch")
    cluster.command("scancel", first)
    until(lambda: first not in cluster.command("squeue", "-h", "-o", "%A"), 60, "the end of the first job")
    assert not weights(folder, "slurm")
    second = job_of(cluster.command("sbatch", script))
    until(lambda: second not in cluster.command("squeue", "-h", "-o", "%A"), 300, "the second job")
    log = (cluster.folder / f"train-{second}.log").read_text()
    assert "continues after epoch" in log, log
    assert log.count("predictions of all folds") == 1, log
    local = [*command(folder, 60, "local")[:-2], "--threads", "2", "--processes", "2"]
    assert local[0] == sys.executable
    subprocess.run(local, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert weights(folder, "slurm") == weights(folder, "local")
    assert not [path.name for path in (folder / "slurm").iterdir() if path.name.startswith(".")]
