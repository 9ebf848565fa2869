"""The network benchmarks: contenders that agree, memory and time that are told, processes that do not stay behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import benchmarks
import glassformer
from benchmarks import cost_by_size
from benchmarks.cost_by_size import measure_costs
from benchmarks.network_task import Shape, training_gflop, write_task
from benchmarks.networks import compare
from benchmarks.peers import keras_environment, process
from benchmarks.peers.keras_environment import find_keras_python
from benchmarks.peers.process import KERAS, OWN, TORCH, Process
from glassformer.cli import bench
from glassformer.cli.app import app
from glassformer.core.errors import EngineError, SettingsError
from glassformer.core.progress import Silent

pytestmark = pytest.mark.long

# One thread: on a busy machine two wait for each other.
TINY = Shape(particles=150, threads=1)
ARGUMENTS = ["--particles", "150", "--rounds", "1", "--threads", "1", "--json"]
SHARED = {
    "benchmark", "particles", "neighbors", "batch", "rounds", "threads", "precision", "host", "versions", "first_graph",
    "seconds", "seconds_of_rounds", "peak_bytes", "peak_increase_bytes", "output_difference", "keras_missing",
    *(f"{key}_{peer}{suffix}" for peer in ("keras", "keras_fused", "torch")
      for key, suffix in (("speedup", ""), ("speedup", "_range"), ("memory_ratio", ""))),
}  # fmt: skip
TRAINING = {"losses", "loss_difference", "sgemm_gflops", "network_gflop", "share_of_sgemm_limit"}


@pytest.fixture
def no_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(keras_environment.VARIABLE, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


@pytest.fixture
def task(tmp_path: Path) -> dict[str, Any]:
    return write_task(TINY, tmp_path)


def test_the_installed_package_says_where_benchmarks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not (Path(glassformer.__file__).parent / "benchmark").exists()
    monkeypatch.setattr(bench, "__file__", str(tmp_path / "lib" / "glassformer" / "cli" / "bench.py"))
    result = CliRunner().invoke(app, ["bench", "gpu"])
    assert isinstance(result.exception, SettingsError)
    assert "they run from a checkout" in result.exception.problem
    assert "pip install -e ." in result.exception.remedy
    assert CliRunner().invoke(app, ["bench", "gpu", "--help"]).exit_code == 0


@pytest.mark.usefixtures("no_keras")
def test_a_training_step_beside_plain_torch_and_keras_missing() -> None:
    result = CliRunner().invoke(app, ["bench", "train-step", *ARGUMENTS])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert set(found) == SHARED | TRAINING
    assert "pip install 'tensorflow-cpu'" in found["keras_missing"]
    assert "pip install 'tensorflow-cpu'" in result.stderr
    for key in ("speedup_keras", "speedup_keras_range", "memory_ratio_keras"):
        assert found[key] is None
    for key in ("seconds", "peak_bytes", "peak_increase_bytes", "output_difference", "losses", "loss_difference"):
        assert found[key][KERAS] is None
    assert found["output_difference"][TORCH] < 1e-4
    assert found["loss_difference"][TORCH] < 0.02
    losses = found["losses"]
    assert losses[OWN][0] == pytest.approx(losses[TORCH][0], rel=1e-4)
    assert losses[OWN][2] < losses[OWN][0]
    assert 1e7 < found["peak_increase_bytes"][TORCH] < found["peak_bytes"][TORCH] < 3e9
    assert found["speedup_torch_range"] == [found["speedup_torch"]] * 2


@pytest.mark.usefixtures("no_keras")
def test_a_prediction_beside_plain_torch_and_keras_missing() -> None:
    result = CliRunner().invoke(app, ["bench", "predict", *ARGUMENTS])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert set(found) == SHARED
    assert found["output_difference"][TORCH] < 1e-4
    assert found["seconds"][KERAS] is None


@pytest.mark.parametrize("call", ["train_step", "predict"])
def test_keras_computes_the_same_network(call: Any) -> None:
    python = os.environ.get(keras_environment.VARIABLE)
    if not python:
        pytest.skip(f"needs Keras: set {keras_environment.VARIABLE} to a Python that has TensorFlow")
    found = compare(call, TINY, 1, python, Silent()).as_json()
    assert found["output_difference"][KERAS] < 1e-3
    assert found["speedup_keras"] > 0
    assert found["memory_ratio_keras"] > 0
    assert {"tensorflow", "keras", "torch"} <= set(found["versions"])
    if call == "train_step":
        assert found["loss_difference"][KERAS] < 0.02


def test_bfloat16_is_near_float32() -> None:
    shape = Shape(particles=150, threads=1, precision="bf16")
    result = compare("predict", shape, 1, None, Silent()).as_json()
    assert result["precision"] == "bf16"
    assert 1e-5 < result["output_difference"][TORCH] < 0.1


def test_searches_for_neighbours() -> None:
    result = CliRunner().invoke(app, ["bench", "neighbors", "--particles", "400", *ARGUMENTS[2:]])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [one["channels"] for one in found["by_channels"]] == [3, 64, 128]
    for one in found["by_channels"]:
        assert {"speedup_cdist", "speedup_cdist_range", "speedup_kdtree", "speedup_kdtree_range"} <= set(one)
        # Where rounding decides between two that are equally far, sets may differ.
        assert one["searches"][OWN]["excess"] < 1e-4
        assert one["searches"][OWN]["differing_particles"] <= 2


def test_costs_by_size() -> None:
    sizes = ["--particles", "100", "--particles", "200"]
    result = CliRunner().invoke(app, ["bench", "cost", *sizes, *ARGUMENTS[2:]])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [size["particles"] for size in found["sizes"]] == [100, 200]
    first, second = found["sizes"]
    assert first["train_step"]["exponent"] is None
    for name in ("train_step", "predict"):
        assert second[name]["exponent"] is not None
        assert 0 < second[name]["neighbor_share"] < 1
        assert second[name]["peak_bytes"] > second[name]["increase_bytes"] > 0
    assert second["train_step"]["peak_bytes"] >= second["predict"]["peak_bytes"]


def test_a_size_that_fails_is_told_and_the_next_one_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(self: Process, method: str) -> None:
        raise EngineError(f"killed in {method}")

    monkeypatch.setattr(cost_by_size.Process, "call", die)
    costs = measure_costs([100, 200], Shape(0, threads=1), 1, Silent())
    assert [size.failed for size in costs.sizes] == ["killed in predict"] * 2
    assert json.dumps(costs.as_json())


def test_operations_of_a_step_by_hand() -> None:
    # One block more or less shows: 3 x 2 x (sums of products), with M = 10 particles and E = 30 edges.
    on_particles = 10 * (2 * 4 * 64 + 4 * 64 + 2 * 64 * 128 + 64 * 128 + 2 * 128 * 256 + 128 * 256)
    on_edges = 30 * 2 * (64**2 + 128**2 + 256**2)
    head = 2 * (256 * 256 + 256 * 2)
    expected = 6e-9 * (on_particles + on_edges + head)
    assert training_gflop(Shape(particles=5, neighbors=3, batch=2)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise ValueError('no such thing')", "ended with status 1 in predict: ValueError: no such thing"),
        ("import os; os.kill(os.getpid(), 9)", "was killed by signal 9 in predict"),
        ("import sys; print('noise'); sys.exit(3)", "ended with status 3 in predict: noise"),
    ],
)
def test_a_process_that_dies(
    code: str, message: str, task: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(process.MODULES, OWN, "broken")
    (tmp_path / "broken.py").write_text(
        f"class Contender:\n    def __init__(self, *_): pass\n    def predict(self):\n        {code}\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with Process(OWN, task) as contender, pytest.raises(EngineError, match="the process of glassformer") as error:
        contender.call("predict")
    assert error.value.problem == f"the process of glassformer {message}"
    assert ("memory" in error.value.remedy) == ("signal" in message)


def test_a_process_that_cannot_even_begin(task: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(process.MODULES, OWN, "not_there")
    with Process(OWN, task) as contender:
        # What it is told goes nowhere: before or after its end.
        for _ in range(2):
            with pytest.raises(EngineError, match="ModuleNotFoundError: No module named 'not_there'"):
                contender.call("predict")


def test_a_named_python_must_have_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="cannot run"):
        find_keras_python(str(tmp_path / "python"))
    monkeypatch.setenv(keras_environment.VARIABLE, "/bin/false")
    with pytest.raises(SettingsError, match="/bin/false has no TensorFlow"):
        find_keras_python(None)


def test_ctrl_c_leaves_no_process() -> None:
    arguments = ["bench", "predict", "--particles", "150", "--rounds", "100000", "--threads", "1"]
    environment = {name: value for name, value in os.environ.items() if name != keras_environment.VARIABLE}
    with subprocess.Popen(
        [sys.executable, "-m", "glassformer", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment,
    ) as command:  # fmt: skip
        children = _wait_for_children(command, 2)
        command.send_signal(signal.SIGINT)
        try:
            _, errors = command.communicate(timeout=60)
        finally:
            command.kill()
    assert command.returncode == 1
    assert "Traceback" not in errors
    assert not any(map(_alive, children))


def test_a_parent_that_is_killed_leaves_no_process_in_the_middle_of_a_call(
    task: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sleeper.py").write_text(
        "import time\nclass Contender:\n    def __init__(self, *_): pass\n    def predict(self): time.sleep(1000)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    code = (
        "from benchmarks.peers import process\n"
        f"process.MODULES['torch'] = 'sleeper'\nprocess.Process('torch', {task!r}).call('predict')\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=Path(benchmarks.__file__).parents[1]) as parent:
        children = _wait_for_children(parent, 1)
        time.sleep(1)
        parent.kill()
    deadline = time.monotonic() + 30
    while any(map(_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(_alive, children))


def _wait_for_children(parent: subprocess.Popen[Any], number: int) -> list[int]:
    deadline = time.monotonic() + 100
    children: list[int] = []
    while len(children) < number and time.monotonic() < deadline:
        time.sleep(0.1)
        children = _children(parent.pid)
    assert len(children) >= number
    return children


def _children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
