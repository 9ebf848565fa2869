"""Several processes train one network: to the same numbers, shown once, and none outlives another."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glassformer.core.errors import DatasetError, SettingsError, TrainingError
from glassformer.core.progress import Silent
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.dataset.sample import Sample
from glassformer.graph.batch import join
from glassformer.train import training
from glassformer.train.batch_norm import remeasure_batch_norm
from glassformer.train.checkpoint import read_model
from glassformer.train.data import Batch, loader, make_items
from glassformer.train.examples import Example, build_examples, build_graphs
from glassformer.train.processes import run_together
from glassformer.train.target import Target
from glassformer.train.training import train_run
from tests.conftest import TINY_RUN, synthetic_sample
from tests.unit.test_training import KillAt, KilledError, Recorder
from tests.unit.workers import complains_of_a_death, crashes, dies, fails_in_the_second, reports

TIME = np.array([1.0])


def samples_of(number: int = 8) -> list[Sample]:
    points = ("T0.50_P1.55", "T0.56_P0.17")
    return [synthetic_sample(index, points[index % 2], particles=40 + 10 * (index % 3)) for index in range(number)]


def make_run(network: dict[str, Any], training: dict[str, Any], **tables: Any) -> Run:
    settings = {"neighbors": 6, "blocks": [[8, 8]], "fully_connected": [8], "dropout": 0.0} | network
    values = TINY_RUN | {"network": settings, "training": {"epochs": 3} | training, "targets": {"times": [1.0]}}
    return check_settings(values | tables, Run, "run")


def examples_of(run: Run, samples: list[Sample]) -> list[Example]:
    target = Target.of(run.targets, run.network.head, TIME)
    examples = build_examples(target, samples, build_graphs(samples, run.network))
    return [example for of_sample in examples for example in of_sample]


@pytest.mark.parametrize("world", [1, 2, 3, 5])
@pytest.mark.parametrize("head", ["system", "particle"])
def test_the_mean_of_the_shares_is_the_whole(head: str, world: int) -> None:
    """Batches of three and one: with two processes uneven, with three or five some have none of the last batch."""
    run = make_run({"head": head}, {})
    items = make_items(examples_of(run, samples_of(4)), np.zeros(1), np.ones(1))
    whole = list(loader(items, 3, shuffle_seed=1).batches(0))
    shares = [list(loader(items, 3, 1, rank, world).batches(0)) for rank in range(world)]
    assert {len(one) for one in shares} == {2}

    def mean_label(batch: Batch) -> float:
        return float(batch.label[batch.learned].mean()) * batch.weight

    for number, batch in enumerate(whole):
        parts = [one[number] for one in shares]
        assert np.mean([mean_label(part) for part in parts]) == pytest.approx(mean_label(batch), rel=1e-5)
        there = [place for part in parts if part.weight for place in part.places]
        assert sorted(there) == list(range(batch.size))
    graphs = [graph for rank in range(world) for graph in loader(items, 3, 1, rank, world).graphs(0)]
    assert sorted(count for graph in graphs for count in graph.counts) == sorted(
        count for batch in whole for count in batch.graph.counts
    )


def test_a_graph_that_draws_share_is_measured_once() -> None:
    run = make_run({}, {}, targets={"times": [1.0], "draws": "each"})
    items = make_items(examples_of(run, samples_of(4)), np.zeros(1), np.ones(1))
    assert len(items) == 12
    assert sum(len(graph.counts) for graph in loader(items, 3, 1).graphs(0)) == 4


PARTICLE_RUN = make_run(
    {"norm": "layer", "head": "particle"},
    {
        "batch_size": 3, "optimizer": "adamw", "schedule": "cosine", "warmup_epochs": 1, "clip_gradient": 0.1,
        "augmentation": "rotations",
    },
)  # fmt: skip


@pytest.mark.long
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    """To rounding: the same batches, the same augmentation, the mean gradient; and the batches may be uneven."""
    run, samples = PARTICLE_RUN, samples_of(12)
    one, two = Recorder(), Recorder()
    train_run(run, samples, tmp_path / "one", one, threads=1)
    train_run(run, samples, tmp_path / "two", two, threads=2, processes=2)
    assert (one.total, one.done) == (two.total, two.done) == (6, 6)
    for fold in ("fold-0", "fold-1"):
        histories = [
            json.loads((tmp_path / name / fold / "history.json").read_text())["epochs"] for name in ("one", "two")
        ]
        for first, second in zip(*histories, strict=True):
            assert first == pytest.approx(second, rel=1e-4)
        models = [read_model(tmp_path / name / fold / "model.safetensors") for name in ("one", "two")]
        for name, value in models[0].weights.items():
            torch.testing.assert_close(models[1].weights[name], value, rtol=1e-3, atol=1e-4)
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == sorted(
        path.name for path in (tmp_path / "one").iterdir()
    )


@pytest.mark.long
def test_two_processes_go_on_as_they_would_have(tmp_path: Path) -> None:
    """Killed and resumed, to the bit; and batch norms hold the statistics of the whole training set."""
    run = make_run({"dropout": 0.2}, {"batch_size": 2, "epochs": 2})
    samples = [synthetic_sample(index, particles=60) for index in range(10)]
    train_run(run, samples, tmp_path / "whole", Silent(), threads=2, processes=2)
    with pytest.raises(KilledError):
        train_run(run, samples, tmp_path / "parts", KillAt(0), threads=2, processes=2)
    train_run(run, samples, tmp_path / "parts", Silent(), threads=2, processes=2)
    for fold in ("fold-0", "fold-1"):
        first, second = (read_model(tmp_path / name / fold / "model.safetensors") for name in ("whole", "parts"))
        assert all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)
        known = [sample for sample in samples if first.roles[sample.configuration.fingerprint] == "train"]
        network = first.network()
        remeasure_batch_norm(network, [join([graphs[0] for graphs in build_graphs(known, run.network)])])
        # Each process measures one batch of two. In the first layer the mean over both is that over all at once.
        name = "encoder.blocks.0.norms.0.running_mean"
        torch.testing.assert_close(network.state_dict()[name], first.weights[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("work", "error", "message"),
    [
        (fails_in_the_second, DatasetError, "this cannot be\nDo something else."),
        (crashes, RuntimeError, "ZeroDivisionError: somewhere"),
        (dies, TrainingError, r"died \(SIGKILL: most likely because memory ran out\)"),
        (complains_of_a_death, TrainingError, r"died \(SIGKILL: most likely because memory ran out\)"),
    ],
)
def test_what_ends_one_process_ends_all(work: Any, error: type[Exception], message: str) -> None:
    began = time.monotonic()
    with pytest.raises(error, match=message):
        run_together(work, None, 2, Silent())
    assert time.monotonic() - began < 50


def alive(folder: Path) -> list[int]:
    """Return which of the processes that have left their number in `folder` still run."""
    return [int(path.name) for path in folder.iterdir() if Path(f"/proc/{path.name}").exists()]


def test_progress_is_shown_once_and_an_error_here_ends_all(tmp_path: Path) -> None:
    recorder = Recorder()
    run_together(reports, tmp_path, 2, recorder)
    assert (recorder.total, recorder.done, recorder.notes, recorder.said) == (8, 2, ["first", "second"], ["hello"])
    with pytest.raises(KilledError):
        run_together(reports, tmp_path, 3, KillAt(0))
    assert len(list(tmp_path.iterdir())) >= 3
    assert alive(tmp_path) == []


PARENT = """
import sys
from pathlib import Path
from glassformer.core.progress import Silent
from glassformer.train.processes import run_together
from tests.unit.workers import reports
if __name__ == "__main__":
    run_together(reports, Path(sys.argv[1]), 3, Silent())
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_one_that_watches(how: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "parent.py").write_text(PARENT)
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "parent.py", tmp_path / "here"], env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    wait_until(lambda: len(alive(tmp_path / "here")) == 2, 60)
    parent.send_signal(how)
    parent.wait(timeout=20)
    wait_until(lambda: not alive(tmp_path / "here"), 20)


def wait_until(true: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_more_processes_than_gpus_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(training.torch.cuda, "device_count", lambda: 1)
    with pytest.raises(SettingsError, match=r"got 2 processes; this machine has 1 GPU\(s\), one process each"):
        train_run(PARTICLE_RUN, samples_of(), tmp_path / "run", Silent(), threads=1, processes=2)
    assert not (tmp_path / "run").exists()


def test_the_calling_thread_need_not_be_the_main_one(tmp_path: Path) -> None:
    recorder, failed = Recorder(), []

    def call() -> None:
        try:
            run_together(reports, tmp_path, 2, recorder)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(60)
    assert failed == []
    assert recorder.done == 2
