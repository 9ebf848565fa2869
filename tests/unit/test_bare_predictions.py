"""A structure is predicted from itself: whether anything is known of its dynamics changes nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glassformer.core.errors import DatasetError, SettingsError
from glassformer.core.progress import Silent
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.dataset.mixtures import shipped
from glassformer.dataset.sample import Sample
from glassformer.physics.configuration import Configuration
from glassformer.train.checkpoint import Model, read_model
from glassformer.train.examples import draw_velocities
from glassformer.train.prediction import predict, predict_configurations
from glassformer.train.training import train_run
from tests.conftest import TINY_RUN, synthetic_sample

RUNS = {
    "system": ({}, {"times": [0.5, 2.0]}),
    "linear": ({"inputs": ["type", "local-energy"]}, {"times": [1.0], "scale": "linear"}),
    "particles": ({"head": "particle"}, {"times": [1.0], "quantity": "propensity", "species": "B"}),
    "velocity": ({"inputs": ["type", "velocity"]}, {"times": [1.0], "draws": "each"}),
}


def samples_of(number: int) -> list[Sample]:
    samples = [synthetic_sample(index, particles=300 + 20 * (index % 2)) for index in range(number)]
    return [replace(s, facts=s.facts.model_copy(update={"engine": "LAMMPS 2025.7.22"})) for s in samples]


@pytest.fixture(scope="module", params=RUNS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Model]:
    return request.param, train(request.param, tmp_path_factory.mktemp(request.param))


def train(name: str, out: Path) -> Model:
    network, targets = RUNS[name]
    tables = {"network": TINY_RUN["network"] | network, "targets": targets, "training": {"epochs": 1, "batch_size": 3}}
    train_run(check_settings(TINY_RUN | tables, Run, name), samples_of(6), out, Silent(), threads=1)
    return read_model(out / "fold-0" / "model.safetensors")


def bare(sample: Sample) -> Configuration:
    one = sample.configuration
    return Configuration(one.positions.copy(), one.species.copy(), one.box.copy())


def test_bare_configurations_are_predicted_as_samples_are(trained: tuple[str, Model]) -> None:
    """Every number is the same to the bit, and the times are the model's."""
    name, model = trained
    samples = samples_of(8)[4:]
    velocities = [draw_velocities(sample) for sample in samples] if name == "velocity" else None
    found = predict_configurations(model, [bare(s) for s in samples], [s.mixture for s in samples], velocities)
    expected = predict(model, samples)
    assert found.log_means.shape == (4, len(model.times))
    np.testing.assert_array_equal(found.log_means, expected.prediction)
    if name == "particles":
        assert found.particles is not None
        assert [len(values) for values in found.particles] == [300, 320, 300, 320]
        together = np.concatenate(found.particles).astype(np.float32)
        np.testing.assert_array_equal(together, expected.particle_prediction)
    else:
        assert found.particles is None


def test_no_label_is_looked_at(trained: tuple[str, Model]) -> None:
    """Draws that were observed at other times have no answer for a prediction file, and change no prediction."""
    name, model = trained
    sample = samples_of(1)[0]
    later = sample.ensemble.times + 10
    other = replace(sample, ensemble=replace(sample.ensemble, times=later, particle_times=later[1:2]))
    with pytest.raises(DatasetError, match=r"c0000 was not observed at t = |does not say how far each particle went"):
        predict(model, [other])
    velocities = [draw_velocities(sample)] if name == "velocity" else None
    found = predict_configurations(model, [other.configuration], [other.mixture], velocities)
    np.testing.assert_array_equal(found.log_means, predict(model, [sample]).prediction)


def test_what_a_prediction_needs_is_asked_for(trained: tuple[str, Model]) -> None:
    name, model = trained
    configurations = [bare(sample) for sample in samples_of(2)]
    if name == "velocity":
        with pytest.raises(SettingsError, match="reads velocities") as caught:
            predict_configurations(model, configurations, [shipped("kob-andersen")] * 2)
        assert "another network" in caught.value.remedy
    if name == "particles":
        configurations[1] = replace(configurations[1], species=np.zeros(320, np.uint8))
        with pytest.raises(DatasetError, match="configuration number 1 has no particle of species B"):
            predict_configurations(model, configurations, [shipped("kob-andersen")] * 2)
