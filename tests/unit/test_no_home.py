"""An installation that cannot be written to, a home that cannot be, a full cache: everything works, a little slower."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import glassformer

pytestmark = pytest.mark.long

UNSET = ("NUMBA_CACHE_DIR", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
RUN = """
seed = 3
targets.times = ["last"]
split = {folds = 2, validation_per_state_point = 1}
network = {neighbors = 6, blocks = [[8, 8], [8, 8]], fully_connected = [8]}
training = {epochs = 1, batch_size = 2}
"""


@pytest.fixture(scope="module")
def prefix() -> list[str]:
    """What takes from root the right to write everywhere."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root writes everywhere: needs setpriv, or another user")
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the package, a home and a working folder, none of which can be written to."""
    folder = tmp_path_factory.mktemp("read-only")
    package = Path(glassformer.__file__).parent
    shutil.copytree(package, folder / "src" / "glassformer", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "home").mkdir()
    places = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in places:
        path.chmod(0o555)
    yield folder
    for path in places:
        path.chmod(0o755)


def run(prefix: list[str], read_only: Path, *arguments: str | Path, **variables: str) -> str:
    """Run a command there; return what it said."""
    environment = {name: value for name, value in os.environ.items() if name not in UNSET}
    changed = {"HOME": str(read_only / "home"), "PYTHONPATH": str(read_only / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "glassformer", *map(str, arguments)], env=environment | changed | variables,
        cwd=read_only / "home", text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # Nobody can do anything about a cache.
    assert done.stderr == ""
    return done.stdout


def test_training_and_prediction(prefix: list[str], read_only: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(RUN)
    run(prefix, read_only, "train", tmp_path / "run.toml", tiny_dataset, "--out", tmp_path / "t")
    model, out = tmp_path / "t" / "fold-0" / "model.safetensors", tmp_path / "p.h5"
    said = run(prefix, read_only, "predict", model, tiny_dataset, "--out", out)
    assert "8 configurations predicted" in said
    # With a cache, the numbers are the same.
    before = out.read_bytes()
    run(prefix, read_only, "predict", model, tiny_dataset, "--out", out, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert list((tmp_path / "cache").rglob("*.nbc"))
    assert out.read_bytes() == before


def test_networks_figures_and_doctor(prefix: list[str], read_only: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    assert "particlenet" in run(prefix, read_only, "networks")
    run(prefix, read_only, "mode-coupling", "--out", tmp_path / "figures", TMPDIR=str(temporary))
    assert list(temporary.iterdir()) == []
    assert "but this folder cannot be written to" in run(prefix, read_only, "doctor")


@pytest.mark.parametrize("damage", ["full", "unreadable", "damaged"])
def test_a_cache_that_is_of_no_use_is_not_used(damage: str, prefix: list[str], tmp_path: Path) -> None:
    script = (
        "import numpy as np\nfrom glassformer.network import kernels\n"
        "out = np.zeros((2, 1), np.float32)\nplaces = np.array([[1], [0]])\n"
        "rows = np.ones((2, 1), np.float32)\none, none = np.ones(1, np.float32), np.zeros((0, 1), np.float32)\n"
        "kernels.first_layer(rows, rows, none, places, 0, 2, one, one, out)\nprint(out.ravel().tolist())\n"
    )
    cache = tmp_path / "cache"
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}

    def call(full: bool = False) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*prefix, sys.executable, "-c", script], env=environment, text=True, capture_output=True, check=False,
            preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))) if full else None,
        )  # fmt: skip

    if damage != "full":
        assert call().stdout == "[3.0, 3.0]\n"
        kept = [path for path in cache.rglob("*") if path.suffix in (".nbi", ".nbc")]
        assert kept
        for path in kept:
            path.write_bytes(path.read_bytes()[:40])
            if damage == "unreadable":
                path.chmod(0)
    done = call(full=damage == "full")
    assert (done.returncode, done.stdout) == (0, "[3.0, 3.0]\n"), done.stderr
