"""Training within a budget of time: the schedule that fits, and that it can be repeated."""

import json
from pathlib import Path

import pytest
import torch

from glassformer.core.errors import CheckpointError, SettingsError
from glassformer.core.layout import TrainingFolder
from glassformer.core.progress import Silent
from glassformer.core.run import Run, Training
from glassformer.dataset.folder import read_dataset
from glassformer.train import budget
from glassformer.train.checkpoint import read_model
from glassformer.train.schedule import learning_rate
from glassformer.train.training import train_run


def test_a_schedule_is_stretched_to_the_epochs_that_fit() -> None:
    whole = Training(
        epochs=20, seconds=5, schedule="cosine", warmup_epochs=4, late_learning_rate=1e-5, frozen_norms_from_epoch=15
    )
    half, longer = whole.within(10), whole.within(60)
    assert (half.epochs, half.warmup_epochs, half.frozen_norms_from_epoch, half.seconds) == (10, 2, 8, 0)
    assert (longer.epochs, longer.warmup_epochs, longer.frozen_norms_from_epoch) == (60, 12, 45)
    # At the same share of the epochs the learning rate is the same, and at the end it is the last.
    assert learning_rate(longer, 60 * 100 // 2, 100) == pytest.approx(learning_rate(half, 10 * 100 // 2, 100), rel=1e-2)
    for settings in (whole, half, longer):
        assert learning_rate(settings, settings.epochs * 100 - 1, 100) == pytest.approx(1e-5)
    step = Training(epochs=30, late_from_epoch=10, seconds=1).within(3)
    assert (step.epochs, step.late_from_epoch) == (3, 1)
    assert Training(epochs=30, early_stopping=10).within(15).early_stopping == 5
    # Even a single epoch has a schedule.
    assert whole.within(1).warmup_epochs == 0


def test_a_run_without_a_limit_keeps_its_form() -> None:
    assert "seconds" not in Training().model_dump()
    assert Training(seconds=3).model_dump()["seconds"] == 3


@pytest.fixture
def limited(tiny_run: Run) -> Run:
    return tiny_run.model_copy(update={"training": tiny_run.training.model_copy(update={"seconds": 1.0})})


def test_what_fits_is_trained_and_the_same_epochs_give_the_same_network(
    limited: Run, tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = read_dataset(tiny_dataset)
    monkeypatch.setattr(budget, "epoch_seconds", lambda task, graphs: 0.3)
    train_run(limited, samples, tmp_path / "limited", Silent(), 1)
    folder = TrainingFolder(tmp_path / "limited")
    assert json.loads(folder.budget.read_text())["epochs"] == 3
    model = read_model(folder.fold(0).model)
    assert model.run.training == limited.training.within(3)
    assert len(json.loads(folder.fold(0).history.read_text())["epochs"]) == 3
    # As its model says, without a clock.
    train_run(model.run, samples, tmp_path / "again", Silent(), 1)
    again = read_model(TrainingFolder(tmp_path / "again").fold(0).model)
    assert all(torch.equal(value, again.weights[name]) for name, value in model.weights.items())


def test_a_resumed_run_does_not_measure_again(
    limited: Run, tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = read_dataset(tiny_dataset)
    monkeypatch.setattr(budget, "epoch_seconds", lambda task, graphs: 0.5)
    train_run(limited, samples, tmp_path, Silent(), 1)
    folder = TrainingFolder(tmp_path)
    before = folder.fold(0).model.read_bytes()
    folder.fold(0).model.unlink()
    monkeypatch.setattr(budget, "epoch_seconds", lambda task, graphs: 0.01)
    train_run(limited, samples, tmp_path, Silent(), 1)
    assert folder.fold(0).model.read_bytes() == before
    folder.fold(0).model.unlink()
    folder.budget.write_text('{"epochs": 3}')
    with pytest.raises(CheckpointError, match=r"budget\.json"):
        train_run(limited, samples, tmp_path, Silent(), 1)


def test_the_time_of_an_epoch_is_measured(limited: Run, tiny_dataset: Path, tmp_path: Path) -> None:
    train_run(limited, read_dataset(tiny_dataset), tmp_path, Silent(), 1)
    found = json.loads(TrainingFolder(tmp_path).budget.read_text())
    assert found["seconds_per_epoch"] > 1e-3
    assert found["epochs"] == max(1, int(1.0 / found["seconds_per_epoch"]))


def test_several_processes_have_no_budget(limited: Run, tiny_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="a budget of time is for one"):
        train_run(limited, read_dataset(tiny_dataset), tmp_path, Silent(), 2, processes=2)
