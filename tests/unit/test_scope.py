"""A model knows what it was trained on: it says where it is used outside, and knows copies of what it has seen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from glassformer.cli.app import app
from glassformer.core.errors import PredictionError
from glassformer.core.mixture import shipped_mixture
from glassformer.core.progress import Silent
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.predictions import read_predictions
from glassformer.dataset.sample import Sample, write_sample
from glassformer.evaluate.evaluation import evaluate
from glassformer.train.checkpoint import Model, read_model
from glassformer.train.prediction import predict
from glassformer.train.scope import Scope
from glassformer.train.training import train_run
from tests.conftest import TINY_RUN
from tests.unit.test_consistency import copies_of, with_facts


@pytest.fixture(scope="module")
def path(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scope")
    run = check_settings(TINY_RUN | {"training": {"epochs": 1, "batch_size": 2}}, Run, "scope")
    train_run(run, read_dataset(tiny_dataset), out, Silent(), 1)
    return out / "fold-0" / "model.safetensors"


@pytest.fixture(scope="module")
def model(path: Path) -> Model:
    return read_model(path)


@pytest.fixture
def samples(tiny_dataset: Path) -> list[Sample]:
    return read_dataset(tiny_dataset)


def denser(sample: Sample, factor: float) -> Sample:
    c = sample.configuration
    scale = factor ** (-1 / 3)
    return replace(sample, configuration=replace(c, positions=c.positions * scale, box=c.box * scale))


def test_a_model_knows_the_liquid_that_it_was_trained_on(model: Model, samples: list[Sample]) -> None:
    trained = [sample for sample in samples if model.roles[sample.configuration.fingerprint] == "train"]
    assert model.scope == Scope.of(trained)
    assert model.scope.mixtures == ("uniform",)
    assert model.scope.temperatures == (0.5, 0.56)
    assert model.scope.state_points == ("T0.50_P1.55", "T0.56_P0.17")
    assert model.scope.fractions == ((0.8, 0.8), (0.2, 0.2))


def test_inside_nothing_is_said(model: Model, samples: list[Sample]) -> None:
    assert predict(model, samples).notices == ()
    # Between the state points, too: that is what a network is asked to do.
    between = [with_facts(denser(samples[0], 0.98), state_point="T0.52_P1.09", temperature=0.52)]
    assert predict(model, between).notices == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: with_facts(s, temperature=0.7, state_point="T0.70_P1.55"),
            r"c0000 has T = 0.7 \(trained on 0.5 to 0.56\)",
        ),
        (lambda s: with_facts(s, temperature=0.44, state_point="T0.44_P1.55"), r"T = 0.44 \(trained on 0.5 to 0.56\)"),
        (
            lambda s: with_facts(s, mixture=shipped_mixture("kob-andersen")),
            r"c0000 has the mixture kob-andersen \(trained on kob-andersen-uniform\)",
        ),
        (lambda s: denser(s, 1.1), r"number density = 1\.\d+ \(trained on 1\.\d+ to 1\.\d+\)"),
    ],
)
def test_outside_it_is_said_in_the_file_and_in_the_scores(
    change, message: str, model: Model, samples: list[Sample]
) -> None:
    found = predict(model, [change(samples[0]), samples[7]])
    assert len(found.notices) == 1
    with pytest.raises(PredictionError, match=rf"1 of 2 configurations lie outside .*: .*{message}"):
        raise PredictionError(found.notices[0])
    assert evaluate(replace(found, roles=("test", "test"))).as_json()["notices"] == list(found.notices)


def test_states_off_the_line_of_the_training_are_outside(samples: list[Sample]) -> None:
    def at(temperature: float, density: float) -> Sample:
        made = denser(samples[0], density / samples[0].configuration.density)
        return with_facts(made, temperature=temperature, density=density, pressure=None, state_point=f"{temperature}")

    scope = Scope.of([at(0.5, 1.0), at(0.7, 1.2)])
    assert scope.departures(at(0.6, 1.1)) == []
    (found,) = scope.departures(at(0.5, 1.2))
    assert found == "T and number density = 0.5 and 1.2 (trained on 0.5 and 1, 0.7 and 1.2)"
    # A density that is given is no scatter of boxes.
    assert Scope.of([at(0.5, 1.2)]).departures(at(0.5, 1.21))
    assert Scope.of([at(0.5, 1.2)]).departures(at(0.5, 1.2)) == []


@pytest.mark.parametrize("kind", ["shifted", "renumbered", "float32", "last bit", "mirrored"])
def test_copies_of_what_was_seen_have_been_seen(kind: str, model: Model, samples: list[Sample]) -> None:
    roles = [model.roles[sample.configuration.fingerprint] for sample in samples]
    assert {"train", "validation", "test"} == set(roles)
    copies = [copies_of(sample)[kind] for sample in samples]
    assert not any(copy.configuration.fingerprint in model.roles for copy in copies)
    assert list(predict(model, copies).roles) == roles


def test_a_new_structure_is_unseen(model: Model, samples: list[Sample]) -> None:
    c = samples[0].configuration
    moves = np.random.default_rng(0).normal(0, 0.1, c.positions.shape)
    assert model.role_of(replace(c, positions=(c.positions + moves) % c.box)) is None


def test_predict_as_typed(path: Path, samples: list[Sample], tmp_path: Path) -> None:
    for sample in samples[:3]:
        hot = with_facts(sample, temperature=0.7, state_point="T0.70_P1.55")
        write_sample(tmp_path / "data" / "T0.70_P1.55" / f"{sample.name}.h5", hot)
    command = ["predict", str(path), str(tmp_path / "data"), "--out", str(tmp_path / "p.h5")]
    refused = CliRunner().invoke(app, [*command, "--strict"])
    assert isinstance(refused.exception, PredictionError)
    assert "T = 0.7 (trained on 0.5 to 0.56)" in refused.exception.problem
    assert not (tmp_path / "p.h5").exists()
    done = CliRunner().invoke(app, command)
    expected = "3 of 3 configurations lie outside what the network was trained on: T0.70_P1.55/c0000 has T = 0.7"
    assert f"warning: {expected}" in done.output
    assert read_predictions(tmp_path / "p.h5").notices[0].startswith(expected)
    scored = CliRunner().invoke(app, ["evaluate", str(tmp_path / "p.h5")])
    assert isinstance(scored.exception, PredictionError) or f"warning: {expected}" in scored.output
