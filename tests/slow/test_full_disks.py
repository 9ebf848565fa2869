"""Twenty disks that fill up at different moments: nothing is half written, and the run resumes to the same bytes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from glassformer.dataset.folder import read_dataset, sample_paths
from tests.unit.test_cli import CAMPAIGN, RUN
from tests.unit.test_signals import start

DISK = """
set -u
mount -t tmpfs -o size=$SIZE none "$DISK"
cp -r "$FROM"/. "$DISK"
cd "$DISK"
"$@"
code=$?
cp -r "$DISK"/. "$TO"
exit $code
"""
COMMANDS = {
    "simulate": ("simulate", "campaign.toml", "--out", "data", "--workers", "2"),
    "train": ("train", "run.toml", "data", "--out", "training", "--threads", "1"),
    "report": ("report", "."),
}
NEEDS = {"simulate": (), "train": ("data",), "report": ("data", "training")}
# In kB beyond what is there at the start.
SIZES = {"simulate": range(40, 360, 40), "train": range(4, 100, 16), "report": range(4, 900, 150)}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs mounts of its own (unshare -m), which are not allowed here")
    folder = tmp_path_factory.mktemp("disks")
    (folder / "campaign.toml").write_text(CAMPAIGN)
    (folder / "run.toml").write_text(RUN.replace('times = [1.065, "last"]', 'times = ["last"]'))
    for name in ("simulate", "train", "report"):
        assert start(*COMMANDS[name], cwd=folder).wait() == 0
    return folder


def contents(folder: Path, name: str) -> dict[str, bytes]:
    parts = {"simulate": "data", "train": "training", "report": "report"}
    found = sorted(path for path in (folder / parts[name]).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.mark.parametrize(("name", "size"), [(name, size) for name, sizes in SIZES.items() for size in sizes])
def test_a_disk_that_fills_up(name: str, size: int, source: Path, tmp_path: Path) -> None:
    begin, disk, end = (tmp_path / part for part in ("begin", "disk", "end"))
    for folder in (begin, disk, end):
        folder.mkdir()
    for path in source.glob("*.toml"):
        shutil.copy(path, begin)
    for need in NEEDS[name]:
        shutil.copytree(source / need, begin / need)
    # In whole pages, as a tmpfs counts them.
    used = sum(-(-path.stat().st_size // 4096) * 4 for path in begin.rglob("*")) + 16
    variables = {
        "SIZE": f"{used + size}k",
        "DISK": disk,
        "FROM": begin,
        "TO": end,
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
    }
    command = [sys.executable, "-m", "glassformer", *COMMANDS[name]]
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", DISK, "disk", *command], capture_output=True, text=True, check=False,
        env={key: str(value) for key, value in variables.items()},
    )  # fmt: skip
    if done.returncode:
        assert done.returncode == 2, done.stderr
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
    assert not list(end.rglob("*.tmp"))
    if (end / "data").exists() and any((end / "data").glob("*/c*.h5")):
        assert len(read_dataset(end / "data")) == len(sample_paths(end / "data"))
    process = start(*COMMANDS[name], cwd=end)
    assert process.wait() == 0
    assert contents(end, name) == contents(source, name)
