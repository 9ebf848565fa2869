"""Processes that srun or torchrun started train one network: each knows who it is, and they meet and end together."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from glassformer.core.errors import DatasetError, SettingsError
from glassformer.dataset.folder import sample_paths
from glassformer.dataset.sample import write_sample
from glassformer.train import nodes
from glassformer.train.nodes import Member, from_first, joined
from tests.conftest import TINY_RUN, synthetic_sample

ROOT = Path(__file__).parents[2]
SLURM = {
    "SLURM_JOB_ID": "12", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_TASKS_PER_NODE": "2",
}  # fmt: skip
RUN = """
seed = 3
[targets]
times = ["last"]
[split]
folds = 2
validation_per_state_point = 1
[network]
name = "particlenet"
neighbors = 6
blocks = [[8, 8], [8, 8]]
fully_connected = [8]
[training]
epochs = EPOCHS
batch_size = 3
"""


def test_what_torchrun_and_srun_say() -> None:
    torchrun = {
        "TORCHELASTIC_RUN_ID": "none",
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "4",
    }
    member = Member.of_environment(torchrun)
    assert (member.rank, member.size, member.local_rank, member.start) == (5, 8, 1, "")
    assert member.threads >= 1
    of_srun = SLURM | {"SLURM_PROCID": "1", "SLURM_LOCALID": "0", "SLURM_CPUS_PER_TASK": "6"}
    assert Member.of_environment(of_srun) == Member(1, 2, 0, 2, 6, "12-0-0")
    again = Member.of_environment(of_srun | {"SLURM_RESTART_COUNT": "1"})
    assert again.start != Member.of_environment(of_srun).start


@pytest.mark.parametrize(
    ("tasks", "node", "number"),
    [("4(x2),3", 0, 4), ("4(x2),3", 1, 4), ("4(x2),3", 2, 3), ("1", 0, 1), ("2,1(x3)", 3, 1)],
)
def test_the_cores_of_a_node_are_shared_by_its_tasks(
    tasks: str, node: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "cores", lambda: 24)
    known = SLURM | {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": str(node)}
    member = Member.of_environment(known | {"SLURM_STEP_TASKS_PER_NODE": tasks})
    assert (member.on_node, member.threads) == (number, 24 // number)


@pytest.mark.parametrize("known", [{}, {"SLURM_JOB_ID": "12", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"}])
def test_without_a_launcher_there_is_none(known: Mapping[str, str]) -> None:
    """In a script for sbatch, outside srun, one process would wait for others that do not exist."""
    with pytest.raises(SettingsError, match="neither by srun nor by torchrun"):
        Member.of_environment(known)


def test_a_task_that_sees_one_gpu_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for seen, expected in ((1, 0), (4, 3), (0, 0)):
        monkeypatch.setattr(torch.cuda, "device_count", lambda seen=seen: seen)
        assert Member(7, 8, 3, 4, 1).gpu == expected
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(SettingsError, match="4 tasks on a node with 2 GPUs"):
        _ = Member(7, 8, 3, 4, 1).gpu


def test_alone_the_first_is_this_process() -> None:
    assert from_first(lambda: 3) == 3
    with pytest.raises(DatasetError):
        from_first(_refuse)


def _refuse() -> None:
    raise DatasetError("no", "yes")


def test_one_member_meets_itself(tmp_path: Path) -> None:
    with joined(Member(0, 1, 0, 1, 1, "a"), tmp_path / "out", torch.device("cpu")):
        assert from_first(lambda: "agreed") == "agreed"
        with pytest.raises(DatasetError):
            from_first(_refuse)
    # Nothing was written: neither is there a folder.
    assert list(tmp_path.iterdir()) == []
    assert not torch.distributed.is_initialized()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, and runs of 3, 60 and 4000 epochs."""
    folder = tmp_path_factory.mktemp("distributed")
    for index in range(8):
        sample = synthetic_sample(index, ("T0.50_P1.55", "T0.56_P0.17")[index % 2], particles=60)
        path = folder / "data" / sample.facts.state_point / f"c{index:04d}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_sample(path, sample)
    assert len(sample_paths(folder / "data")) == 8
    for epochs in (3, 60, 4000):
        (folder / f"run{epochs}.toml").write_text(RUN.replace("EPOCHS", str(epochs)))
    return folder


def command(folder: Path, epochs: int, out: str, *more: str) -> list[str]:
    run = str(folder / f"run{epochs}.toml")
    data = str(folder / "data")
    return [
        sys.executable,
        "-m",
        "glassformer",
        "train",
        run,
        data,
        "--out",
        str(folder / out),
        "--threads",
        "1",
        *more,
    ]


def started(words: Sequence[str], rank: int, **variables: str) -> "subprocess.Popen[str]":
    """Start the task `rank` as srun would."""
    known = SLURM | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)} | variables
    return subprocess.Popen(words, env=os.environ | known, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@contextmanager
def both(folder: Path, epochs: int, out: str, **variables: str) -> Iterator[list["subprocess.Popen[str]"]]:
    words = command(folder, epochs, out, "--distributed")
    # The first comes last: the other waits for it.
    second = started(words, 1, **variables)
    first = started(words, 0, **variables)
    try:
        yield [first, second]
    finally:
        for one in (first, second):
            one.kill()
            one.communicate()


def weights(folder: Path, out: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / out).glob("fold-*/model.safetensors"))]


@pytest.fixture(scope="module")
def expected(folder: Path) -> list[bytes]:
    """The models of `--processes 2`."""
    subprocess.run(
        [*command(folder, 3, "local", "--processes", "2")[:-4], "--threads", "2", "--processes", "2"], check=True,
        capture_output=True,
    )  # fmt: skip
    return weights(folder, "local")


@pytest.mark.long
def test_tasks_of_srun_train_as_processes_of_one_machine(folder: Path, expected: list[bytes]) -> None:
    with both(folder, 3, "srun") as processes:
        texts = [one.communicate(timeout=120)[0] for one in processes]
        assert [one.returncode for one in processes] == [0, 0], texts
    assert "predictions of all folds" in texts[0]
    assert texts[1] == ""
    assert weights(folder, "srun") == expected
    assert sorted(path.name for path in (folder / "srun").iterdir()) == sorted(
        path.name for path in (folder / "local").iterdir()
    )


@pytest.mark.long
def test_tasks_of_torchrun_train_the_same(folder: Path, expected: list[bytes]) -> None:
    words = command(folder, 3, "torchrun", "--distributed")[2:]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    done = subprocess.run([*launcher, *words], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("predictions of all folds") == 1
    assert weights(folder, "torchrun") == expected


@pytest.mark.long
def test_what_the_first_refuses_all_refuse(folder: Path, expected: list[bytes]) -> None:
    with both(folder, 60, "local") as processes:
        texts = [one.communicate(timeout=120)[0] for one in processes]
    assert [one.returncode for one in processes] == [2, 2]
    assert all("holds a run with other settings or data: training.epochs" in text for text in texts), texts
    assert weights(folder, "local") == expected


@pytest.mark.long
def test_a_task_that_is_lost_ends_the_others_and_all_continue(folder: Path) -> None:
    with both(folder, 60, "whole") as processes:
        assert [one.wait(240) for one in processes] == [0, 0]
    with both(folder, 60, "killed") as (first, second):
        deadline = time.monotonic() + 120
        while not (folder / "killed" / "fold-0" / "last.ckpt").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        second.send_signal(signal.SIGKILL)
        text, _ = first.communicate(timeout=60)
    assert first.returncode == 1
    assert "cannot communicate with the others" in text
    assert "Traceback" not in text
    with both(folder, 60, "killed", SLURM_RESTART_COUNT="1") as processes:
        texts = [one.communicate(timeout=240)[0] for one in processes]
        assert [one.returncode for one in processes] == [0, 0], texts
    assert "continues after epoch" in texts[0]
    assert weights(folder, "killed") == weights(folder, "whole")
    run = json.loads((folder / "killed" / "run.json").read_text())
    assert run["seed"] == TINY_RUN["seed"]


@pytest.mark.long
def test_all_tasks_stop_before_the_job_ends_and_continue(folder: Path) -> None:
    """That which stops first, as clocks may differ, does not make the other fail."""
    words, now = command(folder, 4000, "in-time", "--distributed"), int(time.time())
    processes = [started(words, rank, SLURM_JOB_END_TIME=str(now + 30 + 3 * rank)) for rank in (0, 1)]
    texts = [one.communicate(timeout=120)[0] for one in processes]
    assert [one.returncode for one in processes] == [75, 75], texts
    assert all("stopped before the end of the walltime" in text for text in texts)
    assert (folder / "in-time" / "fold-0" / "last.ckpt").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--distributed",), "neither by srun nor by torchrun"),
        (("--distributed", "--processes", "2"), "got --processes and --distributed"),
    ],
)
def test_wrong_starts_are_refused(folder: Path, more: Sequence[str], message: str) -> None:
    done = subprocess.run(command(folder, 3, "wrong", *more), check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (folder / "wrong").exists()
