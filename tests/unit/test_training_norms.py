"""What batch norms see in training: batches stratified by label, statistics frozen late, and which epoch is kept."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from glassformer.core.network_kinds import ParticleNetSettings
from glassformer.core.progress import Silent
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import read_dataset
from glassformer.graph.batch import build_graph, join
from glassformer.network.registry import build_network
from glassformer.train.batch_norm import remeasure_batch_norm, set_norms_frozen
from glassformer.train.checkpoint import read_model
from glassformer.train.data import EpochShuffle, Loader
from glassformer.train.learner import Learner
from glassformer.train.prediction import predict
from glassformer.train.training import train_run
from tests.conftest import TINY_RUN


@pytest.mark.parametrize(("size", "scatter"), [(44, 0.2), (33, 0.3), (21, 0.3), (47, 0.2)])
def test_stratified_batches_hold_labels_from_all_over_their_range(size: int, scatter: float) -> None:
    """Also where the items cannot be dealt out evenly."""
    labels = np.random.default_rng(0).normal(size=size)
    sampler, plain = (EpochShuffle(size, batch_size=4, seed=1, labels=given) for given in (labels, None))
    orders, means = [], {sampler: [], plain: []}
    for epoch in range(40):
        for one in (sampler, plain):
            means[one] += [labels[batch].mean() for batch in one.batches(epoch)]
        batches = sampler.batches(epoch)
        half = {int(item): 2 * place // size for place, item in enumerate(np.argsort(labels))}
        assert all({half[item] for item in batch} == {0, 1} for batch in batches)
        orders.append([item for batch in batches for item in batch])
    assert all(sorted(order) == list(range(size)) for order in orders)
    assert len({tuple(order) for order in orders}) == 40
    # Of random batches of four 1 / 2, in the labels' own scatter.
    assert np.std(means[plain]) > 0.45 * labels.std()
    assert np.std(means[sampler]) < scatter * labels.std()
    # Processes that share a batch by turns have no half of their own.
    assert {half[batch[0]] for batch in batches} == {0, 1}


@pytest.mark.parametrize(("size", "batch_size"), [(5, 16), (17, 8), (9, 4), (3, 1)])
def test_stratified_batches_are_of_one_size_but_for_one_item(size: int, batch_size: int) -> None:
    sampler = EpochShuffle(size, batch_size, seed=2, labels=np.zeros(size))
    batches = sampler.batches(0)
    assert len(batches) == len(sampler) == -(-size // batch_size)
    assert sorted(item for batch in batches for item in batch) == list(range(size))
    lengths = [len(batch) for batch in batches]
    assert max(lengths) <= batch_size
    assert max(lengths) - min(lengths) <= 1


def test_frozen_norms_are_those_that_predict(tiny_dataset: Path) -> None:
    """In training, but for what drops out: a graph's output does not depend on the others in its batch."""
    torch.manual_seed(0)
    settings = ParticleNetSettings(neighbors=6, blocks=((8, 8), (8, 8)), fully_connected=(8,), dropout=0.0)
    network = build_network(settings, 1)
    first, second = (build_graph(one.configuration, settings) for one in read_dataset(tiny_dataset)[:2])
    remeasure_batch_norm(network, [replace(second, vectors=2 * second.vectors)])
    expected = network(first).detach()
    before = {name: value.clone() for name, value in network.state_dict().items() if "running" in name}
    for frozen, same in ((True, True), (False, False)):
        set_norms_frozen(network, frozen)
        assert network.training
        found = network(join([first, second]))[:1]
        assert found.requires_grad
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5) == same
        assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items()) == same


def test_norms_freeze_when_they_are_told_to_and_batches_are_stratified(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, set[bool]]] = []
    orders = []
    loss, epoch = Learner.loss, Learner.train_epoch

    def watched_loss(self: Learner, *args: torch.Tensor) -> torch.Tensor:
        norms = {m.training for m in self.network.modules() if isinstance(m, torch.nn.BatchNorm1d)}
        seen.append((len(self.history), norms))
        return loss(self, *args)

    def watched_epoch(self: Learner, train: Loader, validation: Loader) -> None:
        orders.append(train.order)
        epoch(self, train, validation)

    monkeypatch.setattr(Learner, "loss", watched_loss)
    monkeypatch.setattr(Learner, "train_epoch", watched_epoch)
    for batches in ("stratified", "shuffled"):
        settings = {"epochs": 3, "batch_size": 2, "frozen_norms_from_epoch": 2, "batches": batches}
        run = check_settings(TINY_RUN | {"training": settings}, Run, "watched")
        train_run(run, read_dataset(tiny_dataset), tmp_path / batches, Silent(), threads=1)
        assert {epoch for epoch, _ in seen} == {0, 1, 2}
        assert all(norms == {epoch < 2} for epoch, norms in seen)
        assert {order.labels is None for order in orders} == {batches == "shuffled"}
        orders.clear()


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_epoch_that_is_kept(keep: str, tiny_dataset: Path, tmp_path: Path) -> None:
    """The last epoch's weights predict what the last line of the history says of the validation set."""
    settings = {"epochs": 4, "batch_size": 2, "learning_rate": 0.05, "keep": keep}
    run = check_settings(TINY_RUN | {"training": settings}, Run, keep)
    samples = read_dataset(tiny_dataset)
    train_run(run, samples, tmp_path, Silent(), threads=1)
    kept = []
    for fold in ("fold-0", "fold-1"):
        history = json.loads((tmp_path / fold / "history.json").read_text())["epochs"]
        model = read_model(tmp_path / fold / "model.safetensors")
        validation = [s for s in samples if model.roles[s.configuration.fingerprint] == "validation"]
        said = predict(model, validation)
        line = next(line for line in history if line["kept"])
        assert np.abs(said.prediction - said.label).mean() == pytest.approx(line["val_mae"], rel=1e-3)
        kept.append(history.index(line))
        errors = [line["val_mae"] for line in history]
        assert kept[-1] == (3 if keep == "last" else errors.index(min(errors)))
    # Or both would be the same.
    assert keep == "last" or min(kept) < 3
