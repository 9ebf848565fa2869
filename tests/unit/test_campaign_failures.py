"""Campaigns in which something fails: the rest is made, all that failed is named, and a refusal leaves nothing."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassformer.core.campaign import Campaign
from glassformer.core.errors import ConfigurationError, EngineError, GlassformerError, SettingsError
from glassformer.core.progress import Silent
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import sample_paths
from glassformer.dataset.sample import read_sample
from glassformer.physics.configuration import Configuration
from glassformer.physics.pair import check_box
from glassformer.simulate.campaign import run_campaign, tasks
from glassformer.simulate.sample_task import simulate_sample
from glassformer.simulate.small_boxes import refuse_small_boxes
from tests.conftest import TINY_CAMPAIGN
from tests.liquids import kob_andersen, mixture
from tests.unit.test_campaign import children, start
from tests.unit.test_rumd_format import HEADER, write

# At N = 150, c0001 ends its NPT run in a box of 4.999, shorter than two cutoffs; the two others do not.
SMALL_BOX = {
    "seed": 5,
    "particles": 150,
    "cutoff": "uniform",
    "configurations": 3,
    "draws": 2,
    "engine": "lammps",
    "schedule": {"first": 1, "count": 10, "last": 100},
    "equilibration": {
        "start_density": 1.1,
        "hold_in_tau_alpha": 0.01,
        "most_windows": 4,
        "stages": [
            {"temperature": 0.5495, "pressure": 2.9, "duration": 10.0},
            {"temperature": "target", "duration": 10.0, "ramp": True},
        ],
    },
    "state_points": [{"temperature": 0.44, "pressure": 2.93, "hold_time": 10.0}],
}


def campaign(values: dict[str, Any], **changes: Any) -> Campaign:
    return check_settings(values | changes, Campaign, "test")


class Said(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def names(dataset: Path) -> list[str]:
    return [f"{path.parent.name}/{path.stem}" for path in sample_paths(dataset)]


@pytest.mark.long
def test_a_box_that_becomes_too_short_costs_no_other_configuration(tmp_path: Path) -> None:
    data, said = tmp_path / "data", Said()
    with pytest.raises(ConfigurationError, match=r"1 of 3 configurations failed; the others are done:\n.*/c0001: got"):
        run_campaign(campaign(SMALL_BOX), data, said, workers=1)
    assert names(data) == ["T0.44_P2.93/c0000", "T0.44_P2.93/c0002"]
    assert [line.split(":")[0] for line in said.lines] == ["T0.44_P2.93/c0001 failed"]
    # Again: what is missing is made, and all that fail are named, the first of them again. So does the fourth.
    sample_paths(data)[1].unlink()
    with pytest.raises(ConfigurationError, match="2 of 3 configurations failed; the others are done") as caught:
        run_campaign(campaign(SMALL_BOX, configurations=4), data, Silent(), workers=2)
    assert [line.split(": got box edges [4.9")[0] for line in caught.value.problem.splitlines()[1:]] == [
        "T0.44_P2.93/c0001", "T0.44_P2.93/c0003",
    ]  # fmt: skip
    assert names(data) == ["T0.44_P2.93/c0000", "T0.44_P2.93/c0002"]


def test_all_that_fail_are_named(tmp_path: Path) -> None:
    hot = {"temperature": 1e8, "pressure": 0.5, "duration": 0.5}
    # A state point of its own whose equilibration is stable.
    unstable = campaign(TINY_CAMPAIGN, configurations=2, equilibration={"stages": [hot]})
    with pytest.raises(EngineError) as caught:
        run_campaign(unstable, tmp_path / "data", Silent(), workers=2)
    first, *lines = caught.value.problem.splitlines()
    assert first == "4 of 4 configurations failed:"
    assert [line.split(":")[0] for line in lines] == [
        f"{label}/c000{index}" for label in ("T0.50_P1.55", "T0.56_P0.17") for index in range(2)
    ]
    assert "time_step" in caught.value.remedy


@pytest.mark.long
def test_a_start_that_does_not_fit_costs_no_other_configuration(tiny_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "starts").mkdir()
    for index, path in enumerate(sample_paths(tiny_dataset)[:4]):
        # The second box is too short; files of other codes do not say which state point they belong to.
        c, scale = read_sample(path).configuration, 0.8 if index == 1 else 1.0
        edges = ",".join(f"{edge * scale:.12f}" for edge in c.box)
        rows = np.column_stack([c.species, (c.positions - c.box / 2) * scale, np.zeros((c.particles, 6))])
        header = HEADER.replace(",6,6.5,7", f",{edges}")
        write(tmp_path / "starts" / f"{index}.xyz.gz", rows, header, c.particles)
    equilibration = TINY_CAMPAIGN["equilibration"] | {"start_from": str(tmp_path / "starts")}  # type: ignore[operator]
    points = TINY_CAMPAIGN["state_points"][:1]  # type: ignore[index]
    held = campaign(TINY_CAMPAIGN, equilibration=equilibration, state_points=points)
    with pytest.raises(ConfigurationError, match=r"1 of 4 .*\nT0\.50_P1\.55/c0001: got box edges"):
        run_campaign(held, tmp_path / "data", Silent(), workers=2)
    assert names(tmp_path / "data") == [f"T0.50_P1.55/c000{index}" for index in (0, 2, 3)]


def plan(settings: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "glassformer", "plan", settings, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.long
def test_plan_warns_of_boxes_that_may_become_too_short() -> None:
    changes = [f"--set={key}" for key in ("particles=150", "schedule.last=1000", "draws=1", "configurations=1")]
    found = plan("thesis", *changes, "--set=schedule.count=20", "--only=T0.44", "--only=T0.56")
    assert found.returncode == 0, found.stderr
    (warning,) = [line for line in found.stdout.splitlines() if "two cutoffs" in line]
    assert warning.startswith("T0.44_P2.93: the box is 4.996 in equilibrium")
    assert "Use at least 160 particles" in warning


def test_boxes_of_two_cutoffs_are_long_enough_whatever_rounding_does() -> None:
    # (150 / 1.2)^(1/3) is a little less than 5, and was refused with the advice to use 150 particles.
    edge = (150 / 1.2) ** (1 / 3)
    assert edge < 5
    points = [{"temperature": 0.5, "density": 1.2, "hold_time": 0.5}]
    refuse_small_boxes(campaign(TINY_CAMPAIGN, particles=150, state_points=points))
    with pytest.raises(SettingsError, match="145 particles at density") as caught:
        refuse_small_boxes(campaign(TINY_CAMPAIGN, particles=145, state_points=points))
    assert caught.value.remedy == "Use at least 150 particles."
    liquid = kob_andersen("uniform")
    placed = np.random.default_rng(0).uniform(0, edge, (150, 3))
    check_box(Configuration(placed, mixture(150), np.full(3, edge)), liquid)
    with pytest.raises(ConfigurationError, match="at least two cutoffs"):
        check_box(Configuration(placed, mixture(150), np.full(3, edge - 1e-9)), liquid)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"particle_times": [1.0025]}, "is not a multiple of time_step"),
    ({"equilibration": {"start_from": "absent"}}, "there is no folder absent"),
    (
        {
            "state_points": [{"temperature": 0.3, "pressure": 1.0}],
            "equilibration": {"relaxation_estimate": {"strength": 0.62, "temperature": 0.387}},
        },
        "the relaxation time diverges",
    ),
    ({"state_points": [{"temperature": 0.3, "pressure": 1.0}]}, "has no equilibration.relaxation_estimate"),
    ({"particles": 100, "state_points": [{"temperature": 1.0, "density": 1.2, "hold_time": 1.0}]}, "two cutoffs"),
    ({"particles": 100, "equilibration": {"start_density": 1.2}}, "two cutoffs"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_refused_campaign_leaves_nothing(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(GlassformerError, match=message) as caught:
        run_campaign(campaign(TINY_CAMPAIGN, **changes), tmp_path / "new" / "data", Silent(), workers=1)
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_campaign_that_is_refused_in_an_old_dataset_leaves_it_as_it_was(tiny_dataset: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_dataset, data, ignore=shutil.ignore_patterns(".*", "campaign.json"))
    with pytest.raises(GlassformerError, match="was made with other parameters"):
        run_campaign(campaign(TINY_CAMPAIGN, seed=12), data, Silent(), workers=1)
    assert sorted(path.name for path in data.iterdir()) == ["T0.50_P1.55", "T0.56_P0.17"]


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    """Return the workers of a run once they have begun: the resource tracker is no worker."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = [pid for pid in children(process.pid) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        # LAMMPS is loaded: the task has begun.
        if len(found) == 2 and all("liblammps" in Path(f"/proc/{pid}/maps").read_text() for pid in found):
            return found
        time.sleep(0.05)
    raise TimeoutError


LONG = '{"configurations": 2, "equilibration": TINY_CAMPAIGN["equilibration"] | {"stages": [%s]}}' % (  # noqa: UP031
    '{"temperature": 0.6, "pressure": 0.5, "duration": 40.0}'
)


@pytest.mark.long
def test_a_worker_that_crashes_costs_its_configuration_only(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    process = start(tmp_path, LONG)
    os.kill(workers_of(process)[0], signal.SIGSEGV)
    assert process.wait() == 1
    text = capfd.readouterr().err
    assert "1 of 4 configurations failed; the others are done" in text
    assert "a worker process died (SIGSEGV: a crash in compiled code)" in text
    assert len(names(tmp_path / "data")) == 3
    assert start(tmp_path, LONG).wait() == 0
    assert len(names(tmp_path / "data")) == 4


def test_a_sample_that_was_finished_before_a_crash_is_not_made_again(tiny_dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_dataset, tmp_path / "data")
    for task in tasks(campaign(TINY_CAMPAIGN), tmp_path / "data"):
        before = task.path.read_bytes()
        simulate_sample(task)
        assert task.path.read_bytes() == before


def test_a_worker_that_is_killed_is_told_with_its_signal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    process = start(tmp_path, LONG)
    os.kill(workers_of(process)[1], signal.SIGKILL)
    assert process.wait() == 1
    text = capfd.readouterr().err
    assert "a worker process died (SIGKILL: most likely because memory ran out)" in text
    assert "unstable" not in text
    assert "time_step" not in text


# A disk that has no space for samples.
FULL = """
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int fsync(int file) {
    char link[64], name[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, name, sizeof name - 1);
    name[length < 0 ? 0 : length] = 0;
    if (strstr(name, ".h5.")) { errno = ENOSPC; return -1; }
    return 0;
}
"""


def test_a_full_disk_ends_the_run(tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc, to build a full disk")
    (tmp_path / "full.c").write_text(FULL)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "full.so", tmp_path / "full.c"], check=True)
    settings = campaign(TINY_CAMPAIGN).model_dump_json()
    script = (
        "from pathlib import Path; from glassformer.core.campaign import Campaign\n"
        "from glassformer.cli.console import StageProgress\nfrom glassformer.simulate.campaign import run_campaign\n"
        'if __name__ == "__main__":\n'
        f"    settings = Campaign.model_validate_json({settings!r})\n"
        f"    run_campaign(settings, Path({str(tmp_path / 'data')!r}), StageProgress(), 1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {"LD_PRELOAD": str(tmp_path / "full.so")}, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    # The first ends it: the others are not tried.
    assert "FullDiskError: T0.50_P1.55/c0000: cannot write" in done.stderr
    assert "No space left on device" in done.stderr
    assert "c0001" not in done.stdout + done.stderr
