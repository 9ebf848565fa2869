"""Graphs, training and prediction on a device that is asked for. What needs a GPU is skipped without one."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from glassformer.cli.app import app
from glassformer.core.errors import SettingsError
from glassformer.core.network_settings import CutoffGraph, NearestGraph
from glassformer.core.progress import Silent
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.dataset.outline import outlines_of
from glassformer.dataset.predictions import read_predictions
from glassformer.graph import block_neighbors
from glassformer.graph.block_neighbors import edges_on
from glassformer.graph.neighbors import edges_of
from glassformer.network.feature_neighbors import _search, _search_cpu, feature_neighbors
from glassformer.physics.box import wrap
from glassformer.train import training
from glassformer.train.checkpoint import read_model
from glassformer.train.device import choose_device, products_in
from glassformer.train.prediction import predict
from glassformer.train.training import train_run
from tests.conftest import TINY_RUN, random_mixture, synthetic_sample
from tests.unit.test_training import KillAt, KilledError

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))]
RUN = check_settings(TINY_RUN | {"targets": {"times": [1.0]}}, Run, "run")
SAMPLES = [synthetic_sample(index, particles=60) for index in range(8)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "graph",
    [NearestGraph(7), NearestGraph(7, False), CutoffGraph(1.3), CutoffGraph(1.3, "inherent"), CutoffGraph(0.1)],
    ids=str,
)
def test_blocks_of_distances_find_the_neighbors_of_the_tree(
    graph: NearestGraph | CutoffGraph, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Blocks of 17 particles, the last not full.
    monkeypatch.setattr(block_neighbors, "PAIRS", 17 * 150)
    structure, random = random_mixture(150), np.random.default_rng(1)
    quenched = wrap(structure.positions + random.normal(0, 0.1, (150, 3)), structure.box)
    structure = replace(structure, inherent_positions=quenched)
    found, expected = edges_on(structure, graph, torch.device(device)), edges_of(structure, graph)
    assert len(expected[0]) == {0.1: 0}.get(getattr(graph, "cutoff", None), len(expected[0]))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.cpu().numpy(), other, atol=1e-12)
        assert one.device.type == device


@pytest.mark.parametrize("graph", [NearestGraph(150), CutoffGraph(3.0)], ids=str)
def test_blocks_refuse_what_the_tree_refuses(graph: NearestGraph | CutoffGraph) -> None:
    with pytest.raises(SettingsError) as expected:
        edges_of(random_mixture(150), graph)
    with pytest.raises(SettingsError) as found:
        edges_on(random_mixture(150), graph, torch.device("cpu"))
    assert found.value.problem == expected.value.problem


@pytest.mark.parametrize("device", DEVICES)
def test_the_search_of_a_gpu_finds_the_neighbors_of_the_cpu(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassformer.network.feature_neighbors.BLOCK", 30 * 200)
    torch.manual_seed(0)
    features = torch.randn(200, 16)
    found, expected = (torch.empty(200, 9, dtype=torch.int64) for _ in range(2))
    of_device = found.to(device)
    _search(features.to(device), of_device, 100)
    _search_cpu(features, expected, 100)
    assert torch.equal(of_device.cpu().sort(1).values, expected.sort(1).values)


def test_a_gpu_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(SettingsError, match=r"got device cuda, and torch .* CUDA") as error:
        train_run(RUN, SAMPLES, tmp_path / "run", Silent(), 1, device="cuda")
    assert "--device cpu" in error.value.remedy
    assert not (tmp_path / "run").exists()
    arguments = ["predict", "model.safetensors", "data", "--out", str(tmp_path / "p.h5"), "--device", "cuda"]
    assert isinstance(CliRunner().invoke(app, arguments).exception, SettingsError)


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [str(choose_device(wanted, 1)) for wanted in ("auto", "cuda", "cpu")] == ["cuda:1", "cuda:1", "cpu"]


@pytest.mark.parametrize("device", DEVICES)
def test_models_and_predictions_say_where_they_were_computed(device: str, tmp_path: Path) -> None:
    path = train_run(RUN, SAMPLES, tmp_path, Silent(), 1, device=device)
    model = read_model(tmp_path / "fold-0" / "model.safetensors")
    assert model.device.partition(":")[0] == read_predictions(path).device.partition(":")[0] == device
    again = predict(model, SAMPLES, device=torch.device("cpu"))
    assert again.device == "cpu"
    # The device changes rounding only.
    there = predict(model, SAMPLES, device=torch.device(device))
    np.testing.assert_allclose(there.prediction, again.prediction, atol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("deterministic", [False, True])
def test_resumed_training_equals_uninterrupted(deterministic: bool, device: str, tmp_path: Path) -> None:
    """To the bit on a CPU and where it is asked for; else to 1e-3 of the validation error after four epochs."""
    chosen = RUN.training.model_copy(update={"deterministic": deterministic})
    run = RUN.model_copy(update={"training": chosen})
    train_run(run, SAMPLES, tmp_path / "whole", Silent(), 1, device=device)
    with pytest.raises(KilledError):
        train_run(run, SAMPLES, tmp_path / "parts", KillAt(1), 1, device=device)
    train_run(run, SAMPLES, tmp_path / "parts", Silent(), 1, device=device)
    for fold in ("fold-0", "fold-1"):
        first, second = (read_model(tmp_path / one / fold / "model.safetensors") for one in ("whole", "parts"))
        if device == "cpu" or deterministic:
            assert all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)
        errors = [
            [line["val_mae"] for line in json.loads((tmp_path / one / fold / "history.json").read_text())["epochs"]]
            for one in ("whole", "parts")
        ]
        np.testing.assert_allclose(*errors, rtol=1e-3)


def test_a_run_keeps_its_identity_without_the_later_choices() -> None:
    assert "deterministic" not in RUN.model_dump()["training"]
    asked = RUN.training.model_copy(update={"deterministic": True})
    assert asked.model_dump()["deterministic"] is True


def test_tf32_is_allowed_within_training_alone() -> None:
    seen = []
    for precision in ("float32", "tf32", "bf16"):
        with products_in(precision):
            seen.append(torch.get_float32_matmul_precision())
    assert [*seen, torch.get_float32_matmul_precision()] == ["highest", "high", "highest", "highest"]


def test_neighbors_in_feature_space_are_sought_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """TF32, of 10 bits, takes other neighbors."""
    seen = []

    def search(part: torch.Tensor, found: torch.Tensor, offset: int) -> None:
        seen.append(torch.get_float32_matmul_precision())
        _search(part, found, offset)

    monkeypatch.setattr("glassformer.network.feature_neighbors._search_cpu", search)
    with products_in("tf32"):
        feature_neighbors(torch.randn(20, 4), (20,), 3)
        seen.append(torch.get_float32_matmul_precision())
    assert seen == ["highest", "high"]


def test_processes_on_gpus_meet_by_nccl_each_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    class MetError(Exception):
        """Ends the process where it would wait for others."""

    def meet(backend: str, **_: object) -> None:
        taken.append(backend)
        raise MetError

    monkeypatch.setattr(torch.cuda, "set_device", lambda device: taken.append(str(device)))
    monkeypatch.setattr(training.distributed, "init_process_group", meet)
    monkeypatch.setattr(training, "be_deterministic", lambda wanted: taken.append(wanted))
    task = training._task(SAMPLES, outlines_of(SAMPLES, RUN), Path(), 1)
    for device in ("cuda", "cpu"):
        with pytest.raises(MetError):
            training._train_share((replace(task, device=torch.device(device)), [0]), Silent(), 1, 2)
    assert taken == ["cuda:1", False, "nccl", True, "gloo"]
