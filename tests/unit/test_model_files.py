"""Model files: every version is read for prediction and further training, hold data alone, and say what was seen."""

import json
import pickle
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from glassformer.cli.app import app
from glassformer.core.checksum import OlderFileWarning
from glassformer.core.errors import CheckpointError, PredictionError, SettingsError
from glassformer.core.mixture import shipped_mixture
from glassformer.core.presets import shipped_models
from glassformer.core.progress import Silent
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.dataset.predictions import read_predictions
from glassformer.dataset.sample import Sample, write_sample
from glassformer.evaluate.evaluation import evaluate
from glassformer.physics.configuration import Configuration
from glassformer.train.checkpoint import Model, read_model, write_model
from glassformer.train.container import parse_container, write_container
from glassformer.train.prediction import predict
from glassformer.train.training import train_run
from tests.conftest import TINY_RUN, synthetic_sample

MODELS = Path(__file__).parents[1] / "data" / "models"
# Each was written by the version of the package that introduced it, with this run and these samples.
VERSIONS = {2: "version-2.pt", 3: "version-3.pt", 4: "version-4.pt", 5: "version-5.safetensors"}
CURRENT = MODELS / VERSIONS[5]
RUN = TINY_RUN | {"training": {"epochs": 2, "batch_size": 2}}
ONE_EPOCH = TINY_RUN | {"training": {"epochs": 1, "batch_size": 2}}
STATE_POINTS = ("T0.50_P1.55", "T0.56_P0.17")
# What all of them predicted then.
LOG_MSD = [-1.65051770, -1.64344432, -1.65403807, -1.65780724, -1.66505733, -1.65784355, -1.64939033, -1.62355057]
ROLES = ("validation", "test", "test", "train", "test", "test", "validation", "train")


def samples_of(*indices: int) -> list[Sample]:
    return [synthetic_sample(index, state_point) for state_point in STATE_POINTS for index in indices]


def read(version: int) -> Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OlderFileWarning)
        return read_model(MODELS / VERSIONS[version])


def trained_from(start: Model, samples: list[Sample], out: Path, **tables: Any) -> Path:
    run = check_settings(ONE_EPOCH | tables, Run, "run")
    return train_run(run, samples, out, Silent(), 1, start=start)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_predicts_what_it_did(version: int) -> None:
    found = predict(read(version), samples_of(0, 1, 2, 3))
    np.testing.assert_allclose(found.prediction[:, 0], LOG_MSD, rtol=1e-6)
    assert found.roles == ROLES


@pytest.mark.parametrize("version", VERSIONS)
def test_training_continues_from_every_version(version: int, tmp_path: Path) -> None:
    start, samples = read(version), samples_of(20, 21, 22, 23)
    # At so low a learning rate the weights stay as they are.
    training = {"epochs": 1, "batch_size": 2, "learning_rate": 1e-12}
    predictions = read_predictions(trained_from(start, samples, tmp_path, training=training))
    assert set(predictions.roles) == {"test"}
    model = read_model(tmp_path / "fold-1" / "model.safetensors")
    assert model.started_from == start.parameter_hash
    trainable = [name for name, _ in model.network().named_parameters()]
    assert all(torch.allclose(model.weights[name], start.weights[name], atol=1e-9) for name in trainable)
    # What the first training knew is known still.
    assert predict(model, samples_of(0, 1, 2, 3)).roles == ROLES
    assert {"train", "test"} <= set(predict(model, samples).roles)


def moved(sample: Sample) -> Sample:
    """A copy that is shifted, renumbered and rounded."""
    one = sample.configuration
    order = np.random.default_rng(0).permutation(one.particles)
    positions = ((one.positions + 0.3) % one.box).round(4)[order]
    return replace(sample, configuration=Configuration(positions, one.species[order], one.box))


@pytest.mark.parametrize("version", [3, 4, 5])
def test_what_the_first_training_has_seen_is_not_scored(version: int, tmp_path: Path) -> None:
    start = read(version)
    samples = [moved(sample) for sample in samples_of(0, 1, 2, 3)]
    predictions = read_predictions(trained_from(start, samples, tmp_path))
    assert predictions.roles == ROLES
    assert evaluate(predictions).left_out == 4
    # An interrupted or repeated run accepts its own models.
    assert trained_from(start, samples, tmp_path).exists()
    with pytest.raises(CheckpointError, match="the model of --from or"):
        train_run(check_settings(ONE_EPOCH, Run, "run"), samples, tmp_path, Silent(), 1)


def test_seen_by_all_is_scored_by_none(tmp_path: Path) -> None:
    samples = samples_of(0, 1, 2, 3)
    start = replace(read(5), roles=dict.fromkeys(read(5).roles, "train"))
    with pytest.raises(PredictionError, match="all 8 configurations were seen"):
        evaluate(read_predictions(trained_from(start, samples, tmp_path)))


def test_another_network_is_refused_with_the_difference(tmp_path: Path) -> None:
    wider = RUN["network"] | {"neighbors": 7, "fully_connected": [9]}  # type: ignore[operator]
    with pytest.raises(SettingsError) as caught:
        trained_from(read(5), samples_of(20, 21, 22, 23), tmp_path / "run", network=wider)
    assert "neighbors: 6 in the model, 7 in this run" in caught.value.problem
    assert "fully_connected: [8] in the model, [9] in this run" in caught.value.problem
    with pytest.raises(SettingsError, match=r"number of targets\.times: 1 in the model, 2 in this run"):
        trained_from(read(5), samples_of(20, 21, 22, 23), tmp_path / "run", targets={"times": [1.0, "last"]})
    assert not (tmp_path / "run").exists()


def test_the_command_trains_from_a_model(tmp_path: Path) -> None:
    for sample in samples_of(0, 1, 4, 5):
        path = tmp_path / "data" / sample.facts.state_point / f"c{sample.facts.index:04d}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_sample(path, sample)
    (tmp_path / "run.toml").write_text(
        'targets.times = ["last"]\nsplit = {folds = 2}\ntraining = {epochs = 1, batch_size = 2}\n'
        "network = {neighbors = 6, blocks = [[8, 8], [8, 8]], fully_connected = [8]}\n"
    )
    words = ["train", tmp_path / "run.toml", tmp_path / "data", "--out", tmp_path / "out", "--from", CURRENT]
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0
    # Of the eight, the first training validated on one.
    predictions = read_predictions(tmp_path / "out" / "predictions.h5")
    assert sorted(predictions.roles) == ["test"] * 7 + ["validation"]
    refused = CliRunner().invoke(app, ["train", "propensity", "data", "--out", "out", "--from", str(CURRENT)])
    assert isinstance(refused.exception, SettingsError)
    assert "got --from with a recipe" in refused.exception.problem


def test_a_model_of_version_3_names_its_liquid_in_another_way() -> None:
    old = read(3)
    assert old.species == ("A", "B")
    assert old.scope is not None
    assert old.scope.mixtures == ("uniform",)
    assert old.scope.fractions == ((0.8, 0.8), pytest.approx((0.2, 0.2)))
    sample = synthetic_sample(9)
    assert predict(old, [sample]).notices == ()
    facts = sample.facts.model_copy(update={"mixture": shipped_mixture("kob-andersen"), "cutoff": None})
    (notice,) = predict(old, [replace(sample, facts=facts)]).notices
    assert "the mixture kob-andersen (trained on kob-andersen-uniform)" in notice


def test_what_is_written_is_read_and_other_programs_read_the_weights(tmp_path: Path) -> None:
    model = read(5)
    write_model(tmp_path / "copy", model)
    assert (tmp_path / "copy").read_bytes() == CURRENT.read_bytes()
    weights = {name.removeprefix("network."): one for name, one in load_file(CURRENT).items()}
    signatures = weights.pop("signatures")
    assert torch.equal(signatures, model.signatures)
    network = model.network()
    network.load_state_dict(weights)


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("trapped"),))


def test_nothing_in_a_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain").write_bytes(pickle.dumps(Trap()))
    torch.save({"format": "glassformer model", "version": 4, "weights": Trap()}, tmp_path / "archive")
    for name in ("plain", "archive"):
        with pytest.raises(CheckpointError):
            read_model(tmp_path / name)
    assert not (tmp_path / "trapped").exists()


HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "times that are texts": ({"times": ["soon"]}, "times: got|is not a model of this version"),
    "roles that are none": ({"roles": {"a": "spy"}}, "is not a model of this version"),
    "a scope of two": ({"scope": [1, 2]}, "is not a model of this version"),
    "another network": ({"run": RUN | {"network": {"neighbors": 6}}}, "weights are those of another network"),
    "an unknown network": ({"run": {"network": {"name": "transformer"}}}, "is not a model of this version"),
    "a run that is a number": ({"run": 3}, "is not a model of this version"),
    "another format": ({"format": "other"}, "of another program or network"),
    "a later version": ({"version": 6}, "got version 6 of the model format; expected 2 to 5"),
    "an older version": ({"version": 4}, "got version 4 of the model format"),
    "a version that is text": ({"version": "5"}, "got version 5"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_contents_are_checked_behind_a_checksum_that_fits(name: str, tmp_path: Path) -> None:
    changes, message = HOSTILE[name]
    header, tensors = parse_container(CURRENT.read_bytes(), CURRENT, "")
    write_container(tmp_path / "model", header | changes, tensors)
    with pytest.raises(CheckpointError, match=message):
        read_model(tmp_path / "model")


def test_entries_that_are_missing_are_named(tmp_path: Path) -> None:
    header, tensors = parse_container(CURRENT.read_bytes(), CURRENT, "")
    for entry in header:
        write_container(tmp_path / "model", {name: one for name, one in header.items() if name != entry}, tensors)
        with pytest.raises(CheckpointError, match=rf"{entry}|version|another program"):
            read_model(tmp_path / "model")
    write_container(tmp_path / "model", header, {"network.strange": torch.zeros(3)})
    with pytest.raises(CheckpointError, match="weights are those of another network"):
        read_model(tmp_path / "model")


def test_a_safetensors_file_of_another_program_is_no_model(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"w": torch.zeros(3)}, tmp_path / "model")
    with pytest.raises(CheckpointError, match="is damaged or no model of glassformer: it carries no checksum"):
        read_model(tmp_path / "model")


def test_the_header_says_where_a_model_comes_from() -> None:
    header, _ = parse_container(CURRENT.read_bytes(), CURRENT, "")
    assert header["run"]["network"]["name"] == "particlenet"
    assert header["code_version"].startswith("0.1.0")
    assert json.loads(json.dumps(header)) == header


def test_other_files_of_the_package_are_named_for_what_they_are(tmp_path: Path) -> None:
    model = shipped_models()["ka-t0.44-t4120"]
    with pytest.raises(CheckpointError, match="is a propensity model, not a network") as caught:
        read_model(model)
    assert f"glassformer propensity FILE --model {model}" in caught.value.remedy
    write_sample(tmp_path / "sample.h5", synthetic_sample())
    with pytest.raises(CheckpointError, match="is not a network's model file, but a glassformer sample"):
        read_model(tmp_path / "sample.h5")
