"""Training: exact resumption, roles by content, and refusals."""

import contextlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from glassformer.core.errors import CheckpointError, SettingsError, TrainingError
from glassformer.core.network_kinds import ParticleNetSettings
from glassformer.core.progress import Silent
from glassformer.core.run import Run, Training
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import data_hash, read_dataset
from glassformer.dataset.labels import log_msd_a
from glassformer.dataset.predictions import read_predictions
from glassformer.dataset.sample import Sample
from glassformer.evaluate.scores import r_squared
from glassformer.graph.batch import build_graph, join
from glassformer.network.registry import build_network
from glassformer.train.archive import write_archive
from glassformer.train.batch_norm import remeasure_batch_norm
from glassformer.train.checkpoint import read_model
from glassformer.train.container import parse_container, write_container
from glassformer.train.data import EpochShuffle
from glassformer.train.fold import standardise
from glassformer.train.prediction import predict
from glassformer.train.schedule import finished, learning_rate
from glassformer.train.training import run_identity, train_run
from tests.conftest import TINY_RUN, random_mixture, synthetic_sample

ROLES = ("train", "validation", "test")
HISTORY = {"epoch", "learning_rate", "train_loss", "val_mae", "val_mae_baseline", "kept"}


@pytest.fixture(scope="module")
def trained(tiny_run: Run, tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "run"
    train_run(tiny_run, read_dataset(tiny_dataset), out, Silent(), threads=1)
    return out


class KilledError(Exception):
    """Stands for kill -9 between two epochs."""


class KillAt(Silent):
    """Ends the run from outside after some epochs."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def advance(self, amount: float, note: str = "") -> None:
        self.left -= int(amount)
        if self.left < 0:
            raise KilledError


def assert_same_results(one: Path, other: Path) -> None:
    """Weights, histories and predictions, to the bit."""
    for fold in ("fold-0", "fold-1"):
        expected, found = (read_model(root / fold / "model.safetensors") for root in (one, other))
        assert all(torch.equal(expected.weights[name], found.weights[name]) for name in expected.weights)
        assert expected.calibration == found.calibration
        assert (one / fold / "history.json").read_bytes() == (other / fold / "history.json").read_bytes()
    expected, found = (read_predictions(root / "predictions.h5") for root in (one, other))
    np.testing.assert_array_equal(expected.prediction, found.prediction)


@pytest.mark.long
@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_resumed_training_equals_uninterrupted(
    epochs: int, trained: Path, tiny_run: Run, tiny_dataset: Path, tmp_path: Path
) -> None:
    samples = read_dataset(tiny_dataset)
    with pytest.raises(KilledError):
        train_run(tiny_run, samples, tmp_path / "run", KillAt(epochs), threads=1)
    train_run(tiny_run, samples, tmp_path / "run", Silent(), threads=1)
    assert_same_results(trained, tmp_path / "run")
    history = json.loads((trained / "fold-0" / "history.json").read_text())["epochs"]
    assert [line["epoch"] for line in history] == [0, 1, 2, 3]


PARTICLES = {"targets": {"times": [1.065]}, "network": TINY_RUN["network"] | {"head": "particle", "dropout": 0.3}}
OPTIONS = {
    "cosine": {
        "optimizer": "adamw", "weight_decay": 0.1, "schedule": "cosine", "warmup_epochs": 1, "learning_rate": 1e-2,
        "clip_gradient": 0.05, "augmentation": "rotations", "loss": "huber",
    },
    "early-stopping": {"early_stopping": 1, "learning_rate": 0.3, "augmentation": "cubic-rotations", "loss": "mae"},
    "step": {"late_from_epoch": 2, "precision": "bf16", "augmentation": "symmetries"},
    "frozen": {"frozen_norms_from_epoch": 2, "keep": "last", "batches": "shuffled"},
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", OPTIONS)
def test_resumed_training_equals_uninterrupted_with_every_option(name: str, tiny_dataset: Path, tmp_path: Path) -> None:
    """Killed after every single epoch of a particle head, until nothing is left to kill."""
    settings = {"epochs": 5, "batch_size": 1} | OPTIONS[name]
    run = check_settings(TINY_RUN | PARTICLES | {"training": settings}, Run, name)
    samples = read_dataset(tiny_dataset)
    train_run(run, samples, tmp_path / "whole", Silent(), threads=1)
    kills = 0
    while not (tmp_path / "parts" / "predictions.h5").exists():
        with contextlib.suppress(KilledError):
            train_run(run, samples, tmp_path / "parts", KillAt(0), threads=1)
            break
        kills += 1
    histories = [
        json.loads(path.read_text())["epochs"] for path in sorted((tmp_path / "whole").glob("fold-*/history.json"))
    ]
    assert kills == sum(map(len, histories))
    assert (min(map(len, histories)) < 5) == (name == "early-stopping")
    # Two configurations train, one a batch: the rate of each epoch's second step.
    rates = [learning_rate(run.training, 2 * epoch + 1, 2) for epoch in range(5)]
    assert all([line["learning_rate"] for line in history] == rates[: len(history)] for history in histories)
    assert_same_results(tmp_path / "whole", tmp_path / "parts")


def test_every_configuration_is_predicted_once_by_a_network_that_never_saw_it(
    trained: Path, tiny_dataset: Path
) -> None:
    predictions = read_predictions(trained / "predictions.h5")
    samples = read_dataset(tiny_dataset)
    assert predictions.configurations == tuple(sample.identifier for sample in samples)
    assert set(predictions.roles) == {"test"}
    fingerprints = {sample.identifier: sample.configuration.fingerprint for sample in samples}
    models = [read_model(path) for path in sorted(trained.glob("fold-*/model.safetensors"))]
    for row, name in enumerate(predictions.configurations):
        unseen = [model for model in models if model.roles[fingerprints[name]] == "test"]
        assert len(unseen) == 1
        sample = next(sample for sample in samples if sample.identifier == name)
        np.testing.assert_allclose(predict(unseen[0], [sample]).prediction[0], predictions.prediction[row], rtol=1e-6)


def test_a_moved_folder_resumes_to_the_same_numbers(
    trained: Path, tiny_run: Run, tiny_dataset: Path, tmp_path: Path
) -> None:
    samples = read_dataset(tiny_dataset)
    with pytest.raises(KilledError):
        train_run(tiny_run, samples, tmp_path / "before", KillAt(2), threads=1)
    (tmp_path / "before").rename(tmp_path / "after")
    train_run(tiny_run, samples, tmp_path / "after", Silent(), threads=1)
    expected, found = (read_predictions(root / "predictions.h5") for root in (trained, tmp_path / "after"))
    np.testing.assert_array_equal(expected.prediction, found.prediction)
    assert sorted(path.name for path in (tmp_path / "after" / "fold-0").iterdir()) == [
        "history.json",
        "model.safetensors",
    ]


def test_a_model_from_elsewhere_is_not_adopted(
    trained: Path, tiny_run: Run, tiny_dataset: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    shutil.copy(trained / "fold-1" / "model.safetensors", tmp_path / "run" / "fold-0" / "model.safetensors")
    with pytest.raises(CheckpointError, match="belongs to another run or fold"):
        train_run(tiny_run, read_dataset(tiny_dataset), tmp_path / "run", Silent(), threads=1)


def test_checkpoints_that_are_damaged_or_of_another_fold_are_refused(
    tiny_run: Run, tiny_dataset: Path, tmp_path: Path
) -> None:
    samples = read_dataset(tiny_dataset)
    with pytest.raises(KilledError):
        train_run(tiny_run, samples, tmp_path / "run", KillAt(5), threads=1)
    last = tmp_path / "run" / "fold-1" / "last.ckpt"
    whole = last.read_bytes()
    for contents in (b"", whole[: len(whole) // 2], b"nonsense"):
        last.write_bytes(contents)
        with pytest.raises(CheckpointError, match=r"fold-1/last\.ckpt is damaged") as caught:
            train_run(tiny_run, samples, tmp_path / "run", Silent(), threads=1)
        assert caught.value.remedy == f"Delete the folder {last.parent}: the fold is then trained again."
    last.write_bytes(whole)
    checkpoint = torch.load(last, weights_only=True)
    write_archive(last, checkpoint | {"identity": checkpoint["identity"].replace("fold 1", "fold 0")})
    with pytest.raises(CheckpointError, match=r"fold-1/last\.ckpt belongs to another run or fold"):
        train_run(tiny_run, samples, tmp_path / "run", Silent(), threads=1)
    # An older version's has no format.
    write_archive(last, {"identity": checkpoint["identity"], "state_dict": {}, "history": []})
    with pytest.raises(CheckpointError, match=r"fold-1/last\.ckpt was written by an older version") as caught:
        train_run(tiny_run, samples, tmp_path / "run", Silent(), threads=1)
    assert caught.value.remedy == f"Delete the folder {last.parent}: the fold is then trained again."


def test_divergence_is_told_and_leaves_no_model(tiny_dataset: Path, tmp_path: Path) -> None:
    wild = TINY_RUN | {"training": {"epochs": 4, "learning_rate": 1e30, "late_learning_rate": 1e30}}
    with pytest.raises(TrainingError, match="training diverged in epoch"):
        train_run(check_settings(wild, Run, "wild"), read_dataset(tiny_dataset), tmp_path / "run", Silent(), threads=1)
    assert list(tmp_path.rglob("model.safetensors")) == []


def test_a_scheduler_does_not_change_how_a_fold_trains(
    trained: Path, tiny_run: Run, tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SLURM_NTASKS": "16", "SLURM_JOB_NAME": "train"}.items():
        monkeypatch.setenv(name, value)
    path = train_run(tiny_run, read_dataset(tiny_dataset), tmp_path / "run", Silent(), threads=1)
    expected = read_predictions(trained / "predictions.h5")
    np.testing.assert_array_equal(expected.prediction, read_predictions(path).prediction)


def test_the_epoch_with_the_smallest_validation_error_is_kept(tiny_dataset: Path, tmp_path: Path) -> None:
    """A learning rate that goes wild at the end: the last epochs are not the best."""
    settings = {"epochs": 6, "batch_size": 2, "late_learning_rate": 5.0, "late_from_epoch": 3}
    run = check_settings(TINY_RUN | {"training": settings}, Run, "wild")
    samples = read_dataset(tiny_dataset)
    train_run(run, samples, tmp_path / "run", Silent(), threads=1)
    for fold in ("fold-0", "fold-1"):
        lines = json.loads((tmp_path / "run" / fold / "history.json").read_text())["epochs"]
        history = [line["val_mae"] for line in lines]
        predictions = predict(read_model(tmp_path / "run" / fold / "model.safetensors"), samples)
        validation = np.array([role == "validation" for role in predictions.roles])
        error = np.abs(predictions.prediction - predictions.label)[validation].mean()
        assert error == pytest.approx(min(history), rel=1e-4)
        assert min(history) < history[-1]


def test_roles_are_found_by_content_not_by_name(trained: Path, tiny_dataset: Path) -> None:
    model = read_model(trained / "fold-0" / "model.safetensors")
    samples = read_dataset(tiny_dataset)
    renamed = [
        type(sample)(sample.configuration, sample.ensemble, sample.facts.model_copy(update={"index": 99 - number}))
        for number, sample in enumerate(samples)
    ]
    assert predict(model, renamed).roles == predict(model, samples).roles
    assert set(predict(model, samples).roles) == {"train", "validation", "test"}


def test_predictions_undo_the_standardisation(trained: Path, tiny_dataset: Path) -> None:
    """An untrained output layer of zeros predicts the mean training label."""
    model = read_model(trained / "fold-0" / "model.safetensors")
    last = list(model.network().state_dict())[-2:]
    assert all(name.startswith("head.") for name in last)
    for name in last:
        model.weights[name].zero_()
    samples = read_dataset(tiny_dataset)
    np.testing.assert_allclose(predict(model, samples).prediction, [list(model.label_mean)] * len(samples))


def test_another_run_in_the_same_folder_is_refused(trained: Path, tiny_dataset: Path) -> None:
    other = check_settings(TINY_RUN | {"seed": 4}, Run, "other")
    before = {path: path.read_bytes() for path in trained.rglob("*.*") if path.is_file()}
    with pytest.raises(CheckpointError, match="holds a run with other settings or data"):
        train_run(other, read_dataset(tiny_dataset), trained, Silent(), threads=1)
    assert {path: path.read_bytes() for path in trained.rglob("*.*") if path.is_file()} == before


def test_k_must_be_less_than_n_and_nothing_is_written(tiny_dataset: Path, tmp_path: Path) -> None:
    greedy = check_settings(TINY_RUN | {"network": {"neighbors": 200}}, Run, "greedy")
    with pytest.raises(SettingsError, match="expected k < N"):
        train_run(greedy, read_dataset(tiny_dataset), tmp_path / "run", Silent(), threads=1)
    assert not (tmp_path / "run").exists()


def rewrite(path: Path, target: Path, **changes: object) -> None:
    header, tensors = parse_container(path.read_bytes(), path, "")
    write_container(target, header | changes, tensors)


def test_checkpoints_of_another_network_are_refused(trained: Path, tmp_path: Path) -> None:
    model, path = trained / "fold-0" / "model.safetensors", tmp_path / "model"
    run = check_settings(TINY_RUN, Run, "tiny")
    wider = run.model_copy(
        update={"network": ParticleNetSettings(neighbors=6, blocks=((16, 16),), fully_connected=(8,))}
    )
    rewrite(model, path, run=wider.model_dump(mode="json"))
    with pytest.raises(CheckpointError, match="the weights are those of another network"):
        read_model(path)
    rewrite(model, path, run=run.model_dump(mode="json") | {"network": {"name": "transformer"}})
    with pytest.raises(CheckpointError, match="is not a model of this version"):
        read_model(path)
    rewrite(model, path, version=1)
    with pytest.raises(CheckpointError, match="got version 1 of the model format; expected 2 to 5") as caught:
        read_model(path)
    assert caught.value.remedy == "Another version of glassformer wrote it: train it again with this one."
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(CheckpointError, match="of another program or network"):
        read_model(path)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_damaged_checkpoints_are_refused(share: float, trained: Path, tmp_path: Path) -> None:
    whole = (trained / "fold-0" / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match="is damaged"):
        read_model(tmp_path / "model.safetensors")


def test_batch_norm_statistics_are_those_of_the_training_set() -> None:
    torch.manual_seed(0)
    settings = ParticleNetSettings(neighbors=6, blocks=((8, 8),), fully_connected=(8,), dropout=0.0)
    network = build_network(settings, 1).eval()
    graph = join([build_graph(synthetic_sample(index).configuration, settings) for index in range(3)])
    # What was measured before must not linger.
    diluted = [random_mixture(100, seed=index, density=0.7) for index in range(5, 8)]
    other = join([build_graph(configuration, settings) for configuration in diluted])
    remeasure_batch_norm(network, [other, other])
    remeasure_batch_norm(network, [graph, graph])
    predicted = network(graph)
    # With the statistics of this very batch, prediction and training mode agree but for var's n / (n - 1).
    torch.testing.assert_close(predicted, network.train()(graph), rtol=5e-3, atol=5e-4)
    assert all(norm.momentum == 0.1 for norm in network.modules() if isinstance(norm, torch.nn.BatchNorm1d))


def diluted(index: int) -> Sample:
    """A synthetic sample whose density, and with it the MSD, depends on its index."""
    sample, density = synthetic_sample(index), 0.8 + 0.03 * index
    msd = sample.ensemble.msd * np.exp(-4 * (density - 1.2))
    structure = random_mixture(100, seed=index, density=density)
    return replace(sample, configuration=structure, ensemble=replace(sample.ensemble, msd=msd))


@pytest.mark.long
def test_a_dependence_on_structure_is_learned_and_carries_over_to_unseen_configurations(tmp_path: Path) -> None:
    """From labels through scaling, loss, optimiser and checkpoint back to predictions."""
    settings = {"epochs": 80, "batch_size": 4, "learning_rate": 5e-3, "late_learning_rate": 1e-3, "late_from_epoch": 60}
    split = {"folds": 2, "validation_per_state_point": 4}
    network = {"neighbors": 6, "blocks": [[16, 16]], "fully_connected": [32], "dropout": 0.0}
    run = check_settings(TINY_RUN | {"training": settings, "network": network, "split": split}, Run, "learn")
    path = train_run(run, [diluted(index) for index in range(24)], tmp_path / "run", Silent(), threads=1)
    predictions = read_predictions(path)
    assert r_squared(predictions.prediction[:, 0], predictions.label[:, 0]) > 0.8


def test_every_epoch_has_an_order_of_its_own_that_can_be_repeated() -> None:
    orders = []
    for epoch in (0, 1, 2, 1):
        sampler = EpochShuffle(20, batch_size=8, seed=1)
        batches = sampler.batches(epoch)
        assert [len(batch) for batch in batches] == [8, 8, 4]
        assert len(sampler) == 3
        orders.append([index for batch in batches for index in batch])
    assert orders[1] == orders[3]
    assert len({tuple(order) for order in orders}) == 3
    assert all(sorted(order) == list(range(20)) for order in orders)


def test_inherent_structures_that_were_sought_anew_are_other_data() -> None:
    inputs = {"network": TINY_RUN["network"] | {"inputs": ["species", "inherent-displacement"]}}
    reads, not_reads = (check_settings(TINY_RUN | changes, Run, "tiny") for changes in (inputs, {}))
    samples = [synthetic_sample(index) for index in range(4)]

    def sought(shift: float) -> list[Sample]:
        return [
            replace(s, configuration=replace(s.configuration, inherent_positions=s.configuration.positions * shift))
            for s in samples
        ]

    once, again = sought(0.99), sought(0.98)
    assert run_identity(reads, once) != run_identity(reads, again)
    assert run_identity(not_reads, once) == run_identity(not_reads, again)
    assert data_hash(once) != data_hash(again)


def test_learning_rates_by_hand() -> None:
    step = Training(epochs=4, learning_rate=1e-2, late_learning_rate=1e-3, late_from_epoch=2)
    assert [learning_rate(step, n, 3) for n in (0, 5, 6, 11)] == [1e-2, 1e-2, 1e-3, 1e-3]
    cosine = step.model_copy(update={"schedule": "cosine", "warmup_epochs": 1})
    # Three steps up, nine down: a third of the way down the cosine of 60 degrees is a half.
    rates = [learning_rate(cosine, n, 3) for n in (0, 1, 2, 3, 7, 11)]
    np.testing.assert_allclose(rates, [1e-2 / 3, 2e-2 / 3, 1e-2, 1e-2, 5.5e-3, 1e-3])


@pytest.mark.parametrize(
    ("errors", "over"),
    [
        ([], False),
        ([3, 2, 1], False),
        ([1, 2], False),
        ([1, 2, 3], True),
        ([2, 1, 1, 1], True),
        ([5, 4, 3, 2, 1], True),
    ],
)
def test_training_ends_when_patience_does_or_the_epochs_do(errors: list[float], over: bool) -> None:
    assert finished(Training(epochs=5, early_stopping=2), errors) == over


class Recorder(Silent):
    """Keeps what it is told."""

    def __init__(self, epochs: int = 10**9) -> None:
        self.total, self.done, self.notes, self.said = 0.0, 0, [], []
        self.left = epochs

    def start(self, stage: str, total: float, unit: str) -> None:
        self.total = total

    def advance(self, amount: float, note: str = "") -> None:
        self.done += int(amount)
        self.notes.append(note)
        if self.done > self.left:
            raise KilledError

    def expect(self, amount: float) -> None:
        self.total += amount

    def say(self, text: str) -> None:
        self.said.append(text)


def test_progress_counts_what_this_run_does_and_nothing_else(
    trained: Path, tiny_run: Run, tiny_dataset: Path, tmp_path: Path
) -> None:
    """Two folds of four epochs, killed after six: two are left, and only they make the rate and the time left."""
    samples = read_dataset(tiny_dataset)
    with pytest.raises(KilledError):
        train_run(tiny_run, samples, tmp_path / "run", Recorder(5), threads=1)
    second = Recorder()
    train_run(tiny_run, samples, tmp_path / "run", second, threads=1)
    assert (second.total, second.done) == (2, 2)
    assert second.said == ["fold 1 of 2 already exists", "fold 2 of 2 continues after epoch 2"]
    line = json.loads((trained / "fold-1" / "history.json").read_text())["epochs"][-1]
    baseline = f"(state-point mean {line['val_mae_baseline']:.3f})"
    assert second.notes[-1] == f"fold 2 of 2, validation MAE {line['val_mae']:.3f} {baseline}"


def test_the_history_holds_the_baselines_error_on_the_same_validation_set(trained: Path, tiny_dataset: Path) -> None:
    samples = {sample.configuration.fingerprint: sample for sample in read_dataset(tiny_dataset)}
    for fold in ("fold-0", "fold-1"):
        model = read_model(trained / fold / "model.safetensors")
        sides = {role: [samples[name] for name, given in model.roles.items() if given == role] for role in ROLES}
        labels = {role: np.stack([log_msd_a(s, np.array(model.times)) for s in side]) for role, side in sides.items()}
        points = {role: np.array([s.facts.state_point for s in side]) for role, side in sides.items()}
        means = [labels["train"][points["train"] == point].mean(0) for point in points["validation"]]
        expected = np.abs(labels["validation"] - means).mean()
        lines = json.loads((trained / fold / "history.json").read_text())["epochs"]
        assert [set(line) for line in lines] == [HISTORY] * len(lines)
        np.testing.assert_allclose([line["val_mae_baseline"] for line in lines], expected, rtol=1e-6)


def test_a_trained_model_holds_the_statistics_of_its_training_set(trained: Path, tiny_dataset: Path) -> None:
    """Measuring them again over the training set, in one batch, changes nothing but rounding."""
    for fold in ("fold-0", "fold-1"):
        model = read_model(trained / fold / "model.safetensors")
        roles = [model.roles[sample.configuration.fingerprint] for sample in read_dataset(tiny_dataset)]
        seen = [s for s, role in zip(read_dataset(tiny_dataset), roles, strict=True) if role == "train"]
        network = model.network()
        remeasure_batch_norm(network, [join([build_graph(sample.configuration, model.run.network) for sample in seen])])
        for name, value in network.state_dict().items():
            if "running" in name:
                torch.testing.assert_close(value, model.weights[name], rtol=1e-3, atol=1e-5)


def test_constant_labels_keep_a_finite_scale() -> None:
    mean, std = standardise(np.array([[1.0, 2.0], [1.0, 4.0]]))
    np.testing.assert_array_equal(mean, [1.0, 3.0])
    np.testing.assert_array_equal(std, [1.0, 1.0])
