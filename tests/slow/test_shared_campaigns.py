"""Two coordinators on one campaign, killed at random, and a disk that is read-only for a while: the same bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.slow.test_kills import campaign_with, contents, start

KILLS = 30
SHORT = {
    "configurations = 2": "configurations = 6",
    "last = 30000": "last = 8000",
    "duration = 110.0": "duration = 30.0",
    "hold_time = 150.0": "hold_time = 40.0",
    "hold_time = 125.0": "hold_time = 40.0",
}
DISK = """
set -u
mount -t tmpfs -o size=200m none "$DISK"
cd "$DISK"
"$@" &
run=$!
for turn in 1 2 3; do
  sleep 6
  # Refused while a file is open for writing.
  for attempt in $(seq 100); do mount -o remount,ro "$DISK" 2>/dev/null && break; sleep 0.1; done
  grep " $DISK " /proc/self/mounts >> "$TO/mounts"
  sleep 8
  mount -o remount,rw "$DISK"
done
wait $run
code=$?
cp -r "$DISK"/data "$TO"
exit $code
"""


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("campaign") / "campaign.toml"
    path.write_text(campaign_with(SHORT))
    return path


@pytest.fixture(scope="module")
def expected(campaign: Path) -> dict[str, bytes]:
    assert start(campaign, campaign.parent / "undisturbed").wait() == 0
    return contents(campaign.parent / "undisturbed")


def test_two_coordinators_and_kills(campaign: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    random, data, killed, met = np.random.default_rng(3), tmp_path / "0", 0, 0
    runs: list[subprocess.Popen[str]] = []
    while killed < KILLS:
        runs = [run for run in runs if run.poll() is None]
        while len(runs) < 2:
            runs.append(start(campaign, data))
        time.sleep(random.uniform(1, 6))
        victim = runs[int(random.integers(2))]
        met += victim.poll() is None
        victim.send_signal((signal.SIGKILL, signal.SIGTERM)[killed % 2])
        killed += 1
        victim.wait()
        if len(contents(data) if any(data.glob("*/c*.h5")) else {}) == len(expected):
            for run in runs:
                assert run.wait(timeout=300) in (0, -signal.SIGKILL, 1)
            assert contents(data) == expected
            data, runs = tmp_path / str(killed), []
    for run in runs:
        run.wait()
    assert start(campaign, data).wait() == 0
    assert contents(data) == expected
    assert met > KILLS / 2
    assert not [path for path in data.rglob(".*") if path.name != ".index"]


def test_a_disk_that_is_read_only_for_a_while(campaign: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs mounts of its own (unshare -m), which are not allowed here")
    disk, end = tmp_path / "disk", tmp_path / "end"
    for folder in (disk, end):
        folder.mkdir()
    command = [sys.executable, "-m", "glassformer", "simulate", campaign, "--out", "data", "--workers", "2"]
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", DISK, "disk", *map(str, command)], capture_output=True, text=True, check=False,
        env=os.environ | {"DISK": str(disk), "TO": str(end)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " ro," in (end / "mounts").read_text()
    assert contents(end / "data") == expected
