"""Two network namespaces, joined by a cable of their own, are two nodes for TCP: a training goes across them."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.test_distributed import SLURM, command, folder, weights

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
__all__ = ["folder"]
# Other runs of the tests may be at work beside this one.
NAMES = tuple(f"glassformer-{os.getpid()}-{number}" for number in range(2))


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def two_nodes() -> Iterator[tuple[str, ...]]:
    """Namespaces whose only way to each other is 10.77.0.0/24, which no name resolves to."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("needs ip (iproute2) and root, to make network namespaces")
    try:
        ip("netns", "add", NAMES[0])
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces cannot be made here: {error.stderr.decode().strip()}")
    try:
        ip("netns", "add", NAMES[1])
        ip("link", "add", "gf0", "netns", NAMES[0], "type", "veth", "peer", "name", "gf1", "netns", NAMES[1])
        for number, name in enumerate(NAMES):
            ip("-n", name, "address", "add", f"10.77.0.{number + 1}/24", "dev", f"gf{number}")
            for device in ("lo", f"gf{number}"):
                ip("-n", name, "link", "set", device, "up")
        yield NAMES
    finally:
        for name in NAMES:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def test_a_training_goes_across_nodes(folder: Path, two_nodes: tuple[str, ...]) -> None:
    words = command(folder, 3, "nodes", "--distributed")
    of_srun = SLURM | {"SLURM_LOCALID": "0", "SLURM_STEP_TASKS_PER_NODE": "1(x2)"}
    processes = [
        subprocess.Popen(
            ["ip", "netns", "exec", name, *words],
            env=os.environ | of_srun | {"SLURM_PROCID": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank, name in enumerate(two_nodes)
    ]  # fmt: skip
    try:
        texts = [one.communicate(timeout=240)[0] for one in processes]
    finally:
        for one in processes:
            one.kill()
    assert [one.returncode for one in processes] == [0, 0], texts
    local = command(folder, 3, "local")[:-2]
    subprocess.run([*local, "--threads", "2", "--processes", "2"], check=True, capture_output=True)
    assert weights(folder, "nodes") == weights(folder, "local")
