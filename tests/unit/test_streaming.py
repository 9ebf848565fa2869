"""Samples and graphs that do not fit into memory: made again when they are asked for, to the same results."""

import pickle
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glassformer.core.errors import DatasetError
from glassformer.core.progress import Silent
from glassformer.core.run import Run
from glassformer.core.sequences import Chosen, OnDemand, bytes_of
from glassformer.core.settings import check_settings
from glassformer.dataset import folder, outline
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.outline import outlines_of, stream_dataset
from glassformer.dataset.sample import Sample, read_sample, write_sample
from glassformer.dataset.splits import single_draws
from glassformer.train import fold as fold_module
from glassformer.train.data import loader, make_items
from glassformer.train.examples import build_examples, build_graphs
from glassformer.train.target import Target
from glassformer.train.training import run_identity, train_run
from tests.conftest import TINY_RUN, synthetic_sample
from tests.unit.test_training import Recorder

POINTS = ("T0.50_P1.55", "T0.56_P0.17")


class Maker:
    """Makes arrays of 80 bytes, and counts how often."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def make(self, number: int) -> np.ndarray[Any, Any]:
        self.made.append(number)
        return np.full(10, number, np.float64)


def test_what_fits_is_made_once() -> None:
    maker = Maker()
    numbers = OnDemand(5, maker.make, memory=200)
    for _ in range(3):
        assert [int(one[0]) for one in numbers] == [0, 1, 2, 3, 4]
    # Two of 80 bytes fit into 200, and stay.
    assert maker.made == [0, 1, 2, 3, 4, 2, 3, 4, 2, 3, 4]
    assert (len(numbers), numbers.kept) == (5, 2)
    assert int(numbers[-1][0]) == 4
    with pytest.raises(IndexError):
        numbers[5]
    part = numbers[1:4]
    assert [int(one[0]) for one in part] == [1, 2, 3]
    assert [int(one[0]) for one in part[::2]] == [1, 3]
    assert [int(one[0]) for one in Chosen(numbers, [4, 0])] == [4, 0]


def test_without_a_limit_all_is_kept() -> None:
    maker = Maker()
    numbers = OnDemand(3, maker.make)
    assert len([*numbers, *numbers]) == 6
    assert maker.made == [0, 1, 2]


def test_what_is_kept_is_not_sent_to_other_processes() -> None:
    numbers = OnDemand(3, Maker().make, memory=200)
    list(numbers)
    sent = pickle.loads(pickle.dumps(numbers))
    assert (sent.kept, numbers.kept) == (0, 2)
    assert [int(one[0]) for one in sent] == [0, 1, 2]
    assert sent.kept == 2


def test_bytes_are_those_of_all_arrays() -> None:
    sample = synthetic_sample(particles=50)
    expected = sum(array.nbytes for array in vars(sample.configuration).values() if isinstance(array, np.ndarray))
    assert bytes_of(sample.configuration) == expected > 50 * 24
    assert bytes_of(sample) > expected
    assert bytes_of([torch.zeros(3), {"a": (np.zeros(2), None)}]) == 12 + 16


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("dataset"), samples_of(8))


def samples_of(number: int) -> list[Sample]:
    """Return samples whose draws' velocities follow from their seeds."""
    samples = [synthetic_sample(index, POINTS[index % 2], particles=60) for index in range(number)]
    return [replace(one, facts=one.facts.model_copy(update={"engine": "LAMMPS"})) for one in samples]


def written(folder: Path, samples: list[Sample]) -> Path:
    for index, sample in enumerate(samples):
        path = folder / sample.facts.state_point / f"c{index:04d}.h5"
        path.parent.mkdir(exist_ok=True)
        write_sample(path, sample)
    return folder


def test_a_streamed_dataset_is_the_dataset(dataset: Path) -> None:
    whole, streamed = stream_dataset(dataset, np.inf, run_of()), stream_dataset(dataset, 0, run_of())
    assert isinstance(whole, list)
    assert isinstance(streamed, OnDemand)
    known = read_dataset(dataset)
    for some in (whole, streamed):
        assert [one.identifier for one in some] == [one.identifier for one in known]
        assert [one.configuration.fingerprint for one in some] == [one.configuration.fingerprint for one in known]
    assert streamed.kept == 0
    # A quarter of it fits.
    partly = stream_dataset(dataset, 2.5 * bytes_of(known[0]), run_of())
    assert isinstance(partly, OnDemand)
    assert len(list(partly)) == 8
    assert partly.kept == 2


def test_copies_and_damage_are_refused_in_a_streamed_dataset(tmp_path: Path) -> None:
    samples = samples_of(4)
    with pytest.raises(DatasetError, match="is a copy of"):
        stream_dataset(written(tmp_path, [*samples, samples[2]]), 0, run_of())
    path = tmp_path / POINTS[0] / "c0004.h5"
    path.unlink()
    streamed = stream_dataset(tmp_path, 0, run_of())
    damaged = tmp_path / POINTS[1] / "c0003.h5"
    damaged.write_bytes(damaged.read_bytes()[:-40])
    with pytest.raises(DatasetError, match=r"c0003\.h5"):
        list(streamed)


def run_of(**tables: Any) -> Run:
    values: dict[str, Any] = TINY_RUN | {"training": {"epochs": 2, "batch_size": 3}}
    return check_settings(values | {name: values[name] | changes for name, changes in tables.items()}, Run, "run")


@pytest.mark.parametrize(
    "tables",
    [
        {},
        pytest.param({"network": {"head": "particle"}, "targets": {"times": [1.0]}}, marks=pytest.mark.long),
        pytest.param(
            {"network": {"inputs": ["species", "velocity"]}, "targets": {"draws": "each"}}, marks=pytest.mark.long
        ),
        {"split": {"by": "draw"}, "targets": {"draws": "each"}},
    ],
    ids=["system", "particle", "velocities", "single draws"],
)  # fmt: skip
def test_streamed_data_train_the_same_network(tables: dict[str, Any], dataset: Path, tmp_path: Path) -> None:
    run = run_of(**tables)
    train_run(run, read_dataset(dataset), tmp_path / "whole", Silent(), threads=1)
    recorder = Recorder()
    train_run(run, stream_dataset(dataset, 0, run), tmp_path / "streamed", recorder, threads=1, memory=0)
    number = 24 if "split" in tables else 8
    assert recorder.said[0] == f"{number} of {number} graphs do not fit into 0 GB: they are built again in every epoch"
    names = ["predictions.h5", "fold-0/model.safetensors", "fold-1/model.safetensors", "fold-0/history.json"]
    for name in names:
        assert (tmp_path / "streamed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"network": {"head": "particle"}, "targets": {"times": [1.0]}},
        {"split": {"by": "draw"}, "targets": {"draws": "each"}},
    ],
    ids=["system", "particle", "single draws"],
)
def test_files_are_read_twice_before_the_first_epoch(
    tables: dict[str, Any], dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for the outlines, once for the graphs; and the first file for its size."""
    read: list[str] = []
    for module in (folder, outline):
        monkeypatch.setattr(module, "read_sample", lambda path: (read.append(path.stem), read_sample(path))[1])
    reached = RuntimeError("the first epoch")

    def first_epoch(*arguments: Any) -> None:
        raise reached

    monkeypatch.setattr(fold_module, "fit", first_epoch)
    run = run_of(**tables)
    with pytest.raises(RuntimeError, match="the first epoch"):
        train_run(run, stream_dataset(dataset, 0, run), tmp_path / "out", Silent(), threads=1, memory=0)
    assert Counter(read) == {f"c{index:04d}": 3 if index == 0 else 2 for index in range(8)}


def with_a_later_time(sample: Sample) -> Sample:
    ensemble = sample.dynamics
    rows = ("displacement_mean", "displacement_sq_mean")
    twice = {name: np.concatenate([getattr(ensemble, name), 1.7 * getattr(ensemble, name)]) for name in rows}
    return replace(sample, ensemble=replace(ensemble, particle_times=np.array([1.0, 2.0]), **twice))


@pytest.mark.parametrize(
    ("head", "quantity"),
    [("system", "squared-displacement"), ("particle", "squared-displacement"), ("particle", "propensity")],
)
def test_outlines_hold_labels_and_no_structures(head: str, quantity: str) -> None:
    samples = [with_a_later_time(one) for one in [*samples_of(4), synthetic_sample(9, POINTS[0], particles=600)]]
    run = run_of(network={"head": head}, targets={"times": [2.0, 1.0], "quantity": quantity})
    known = outlines_of(iter(samples), run)
    target = Target.of(run.targets, run.network.head, known.times)
    for outlined, sample in zip(known.samples, samples, strict=True):
        assert [a.tolist() for a in target.labels(outlined)] == [a.tolist() for a in target.labels(sample)]
        ours, theirs = outlined.configuration, sample.configuration
        for name in ("fingerprint", "particles", "density", "dimension"):
            assert getattr(ours, name) == getattr(theirs, name)
        assert ours.signature.tolist() == theirs.signature.tolist()
        assert outlined.identifier == sample.identifier
    assert bytes_of(known.samples[-1].configuration) < 0.1 * bytes_of(samples[-1].configuration)


def test_a_sample_without_a_target_time_is_named() -> None:
    samples = samples_of(3)
    short = {"times": samples[2].dynamics.times[:-1], "msd": samples[2].observed("msd")[:, :-1]}
    samples[2] = replace(samples[2], ensemble=replace(samples[2].dynamics, **short))
    error = outlines_of(samples, run_of()).unobserved
    assert "c0002 was not observed at t = 2" in str(error)
    with pytest.raises(DatasetError, match=r"c0002 was not observed at t = 2"):
        run_identity(run_of(), samples)


@pytest.mark.long
def test_processes_stream_for_themselves(dataset: Path, tmp_path: Path) -> None:
    run = run_of()
    train_run(run, read_dataset(dataset), tmp_path / "whole", Silent(), threads=2, processes=2)
    train_run(run, stream_dataset(dataset, 0, run), tmp_path / "streamed", Silent(), threads=2, processes=2, memory=0)
    for fold in ("fold-0", "fold-1"):
        name = f"{fold}/model.safetensors"
        assert (tmp_path / "streamed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(("inputs", "number"), [(["species"], 2), (["species", "velocity"], 6)])
def test_batch_norms_are_measured_over_every_graph_once(inputs: list[str], number: int) -> None:
    """Also where single draws are the samples: three of each of two structures."""
    run = run_of(network={"inputs": inputs}, targets={"draws": "each", "times": [1.0]})
    samples = single_draws(samples_of(2))
    target = Target.of(run.targets, run.network.head, np.array([1.0]))
    examples = build_examples(target, samples, build_graphs(samples, run.network))
    items = make_items([one for of_sample in examples for one in of_sample], np.zeros(1), np.ones(1))
    assert sum(len(graph.counts) for graph in loader(items, 4, 1).graphs(0)) == number


def test_what_elements_share_is_counted_once() -> None:
    shared = np.zeros(100)
    numbers = OnDemand(4, lambda number: [shared, np.full(10, number)], memory=1200)
    list(numbers)
    # 800 bytes once, and four times 80.
    assert numbers.kept == 4
    assert bytes_of([shared, (shared, {"again": shared})]) == 800


def test_a_structure_is_built_once_for_draws_that_follow_each_other() -> None:
    run, sample = run_of(), synthetic_sample(particles=60)
    graphs = build_graphs([sample, sample, synthetic_sample(1, particles=60)], run.network)
    assert graphs[0][0] is graphs[1][0]
    assert graphs[0][0] is not graphs[2][0]
