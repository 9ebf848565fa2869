"""A propensity model that averages its regression with a network: training, files, answers, and what is refused."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glassformer.api.propensities import propensity
from glassformer.api.simulation import caged, quenched
from glassformer.api.structures import Structure
from glassformer.api.training import train_propensity
from glassformer.baselines.propensity_file import read_predictor, write_predictor
from glassformer.baselines.propensity_model import describe
from glassformer.core.errors import CheckpointError, ConfigurationError, SettingsError
from glassformer.core.progress import Silent
from glassformer.core.recipe import Recipe
from glassformer.core.settings import check_settings
from glassformer.dataset.ends import end_of_draw
from glassformer.dataset.sample import Sample
from glassformer.observables.descriptors import DescriptorSettings
from glassformer.simulate.cage import CageSampling
from glassformer.train import network_member
from glassformer.train.network_member import member_outputs
from glassformer.train.propensity import Trained, train_predictor
from tests.unit.test_propensity_models import SMALL, dataset, samples  # noqa: F401

pytestmark = pytest.mark.long

RUN = """
[network]
name = "equivariant"
inputs = ["species", "inherent-energy", "inherent-displacement"]
structure = "inherent"
cutoff = 1.5
steps = 1
width = 8
vectors = 2
averages = 1
averaged = 4
head = "particle"
fully_connected = [8]
[training]
optimizer = "adamw"
learning_rate = 1e-2
schedule = "cosine"
augmentation = "none"
clip_gradient = 1.0
"""


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "tiny-network.toml"
    path.write_text(RUN)
    return path


def recipe(run_file: Path, reads: str = "inherent", **network: Any) -> Recipe:
    values = {
        "reads": reads,
        "name": "both",
        "descriptors": SMALL,
        "targets": [{"temperature": 0.6, "times": [0.5, 2.0]}],
        "left_out": 1,
    }
    return check_settings(
        values | {"network": {"run": str(run_file), "steps": 30, "share": 0.4} | network}, Recipe, "recipe"
    )


@pytest.fixture(scope="module")
def cold(samples: list[Sample]) -> list[Sample]:  # noqa: F811
    return [one for one in samples if one.facts.temperature == 0.6]


@pytest.fixture(scope="module")
def trained(cold: list[Sample], run_file: Path) -> Trained:
    return train_predictor(cold, recipe(run_file), Silent())


def outputs_of(trained: Trained, sample: Sample) -> np.ndarray:
    assert trained.predictor.network is not None
    return member_outputs(trained.predictor.network, sample.configuration, sample.mixture, None, 1)


def test_the_answer_is_the_mean_of_both(trained: Trained, cold: list[Sample]) -> None:
    predictor, sample = trained.predictor, cold[0]
    answer = propensity(Structure(sample), predictor)
    table = describe(sample.configuration, sample.mixture, DescriptorSettings.of(SMALL), 1, None)
    outputs = outputs_of(trained, sample)
    assert outputs.shape == (300, 2)
    for kind, fit in enumerate(predictor.fits):
        rows = sample.configuration.species == kind
        alone = replace(fit, share=0.0).standardised(table.values[rows], 0.6)
        both = fit.level.units(answer.values[rows, None].repeat(2, 1), 0.6)[:, 1]
        # The mean over the configuration is the regression's.
        centred = outputs[rows] - outputs[rows].mean(0) + alone.mean(0)
        np.testing.assert_allclose(both, (0.6 * alone + 0.4 * centred)[:, 1], atol=1e-5)
    assert predictor.card.network_share == 0.4
    # Half of the answer is none.
    with pytest.raises(ConfigurationError, match="got no outputs of a network; the model both has one"):
        predictor.predict(table, sample.configuration.species, 0.6)


def test_it_learns(cold: list[Sample], run_file: Path) -> None:
    """Enough steps describe the structures of training; the labels of each species are in units of its own spread."""
    trained = train_predictor(cold, recipe(run_file, steps=150), Silent())
    for sample in cold:
        outputs, species = outputs_of(trained, sample)[:, 0], sample.configuration.species
        for kind in (0, 1):
            assert (
                np.corrcoef(outputs[species == kind], sample.dynamics.displacement_mean[0, species == kind])[0, 1] > 0.2
            )
        assert abs(outputs[species == 0].mean()) < 0.5


def test_what_is_left_out_is_not_learned_from(cold: list[Sample], run_file: Path, trained: Trained) -> None:
    changed = cold[0].dynamics
    lie = replace(changed, displacement_mean=changed.displacement_mean[:, ::-1].copy())
    second = train_predictor([replace(cold[0], ensemble=lie), *cold[1:]], recipe(run_file), Silent())
    np.testing.assert_array_equal(trained.unseen[0][0], second.unseen[0][0])
    for one, other in zip(trained.unseen[0][1:], second.unseen[0][1:], strict=True):
        assert not np.array_equal(one, other)


def with_ends(samples: Sequence[Sample], backwards: bool = False) -> list[Sample]:  # noqa: F811
    """The samples with the end of the first draw of the first of them, whose label is changed if `backwards`."""
    first = samples[0]
    vectors = np.random.default_rng(0).normal(0, 0.1, (first.draws, 2, 300, 3)).astype(np.float32)
    end = end_of_draw(replace(first, ensemble=replace(first.dynamics, displacements=vectors)), 0)
    end = quenched(end, 1, Silent())
    if backwards:
        assert end.ensemble is not None
        mean = end.dynamics.displacement_mean
        end = replace(end, ensemble=replace(end.ensemble, displacement_mean=mean[:, ::-1].copy()))
    return [*samples, end]


def test_ends_are_learned_from_but_where_their_beginning_is_left_out(
    cold: list[Sample], run_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The regression aside: only the network's outputs are compared.
    late = recipe(run_file).targets[0].model_copy(update={"times": (2.0,)})
    found = []
    train = network_member.train_members
    monkeypatch.setattr(network_member, "train_members", lambda *given: found.append(train(*given)) or found[-1])
    for data in (cold, with_ends(cold), with_ends(cold, backwards=True)):
        train_predictor(data, recipe(run_file).model_copy(update={"targets": (late,)}), Silent())
    without, one, other = (outputs for outputs, _ in found)
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[0], without[0])
    for index in (1, 2, 3):
        assert not np.array_equal(one[index], other[index])
        assert not np.array_equal(one[index], without[index])


def test_the_amplitudes_in_the_cage_are_read(cold: list[Sample], run_file: Path, tmp_path: Path) -> None:
    sampling = CageSampling(draws=2, begin=0.2, end=0.6, radius=0.4)
    caged_ones = [caged(one, "restricted", sampling, 1, Silent()) for one in cold]
    reading = recipe(run_file, "restricted", amplitudes=True, steps=3)
    trained = train_predictor(caged_ones, reading, Silent())
    write_predictor(tmp_path / "model.h5", trained.predictor)
    network = read_predictor(tmp_path / "model.h5").network
    assert network is not None
    assert network.amplitudes
    sample = caged_ones[0]
    assert sample.cage is not None

    def outputs(factor: float) -> np.ndarray:
        assert sample.cage is not None
        wider = replace(sample.cage, square_displacement=factor * sample.cage.square_displacement)
        return member_outputs(network, sample.configuration, sample.mixture, wider, 1)

    assert np.isfinite(outputs(1.0)).all()
    assert not np.allclose(outputs(1.0), outputs(2.0), atol=1e-4)
    with pytest.raises(SettingsError, match=r"network\.amplitudes: inherent structures have none"):
        check_settings({"reads": "inherent", "network": {"amplitudes": True}}, Recipe, "recipe")


def test_a_file_says_what_the_model_says(trained: Trained, cold: list[Sample], tmp_path: Path) -> None:
    write_predictor(tmp_path / "both.h5", trained.predictor)
    found = read_predictor(tmp_path / "both.h5")
    one, other = (propensity(Structure(cold[1]), model).values for model in (trained.predictor, found))
    np.testing.assert_allclose(one, other, rtol=1e-4)


@pytest.mark.parametrize("change", ["weights", "settings", "name", "head", "code"])
def test_a_network_that_does_not_fit_is_refused(
    change: str, trained: Trained, cold: list[Sample], tmp_path: Path
) -> None:
    network = trained.predictor.network
    assert network is not None
    changed = {
        "weights": replace(network, weights=network.weights[:-1]),
        "settings": replace(network, settings=network.settings | {"width": -1}),
        "name": replace(network, settings=network.settings | {"name": "nonsense"}),
        "head": replace(network, settings=network.settings | {"head": "system"}),
        # It would be imported.
        "code": replace(network, settings={"name": "antigravity:Network", "head": "particle"}),
    }[change]
    write_predictor(tmp_path / "both.h5", replace(trained.predictor, network=changed))
    with pytest.raises(CheckpointError, match="network"):
        propensity(Structure(cold[1]), read_predictor(tmp_path / "both.h5"))
    assert "antigravity" not in sys.modules


def test_a_killed_training_continues(
    cold: list[Sample], run_file: Path, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted, kept, made = network_member._fitted, tmp_path / "kept", []

    def killed(*given: Any) -> Any:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(1)
        return fitted(*given)

    monkeypatch.setattr(network_member, "_fitted", killed)
    with pytest.raises(KeyboardInterrupt):
        train_predictor(cold, recipe(run_file), Silent(), kept=kept)
    first, _ = sorted(kept.iterdir())
    # A damaged file counts as not there.
    first.write_bytes(first.read_bytes()[:-5] + b"xxxxx")
    made.clear()
    monkeypatch.setattr(network_member, "_fitted", lambda *given: made.append(1) or fitted(*given))
    again = train_predictor(cold, recipe(run_file), Silent(), kept=kept)
    assert len(made) == 4
    np.testing.assert_array_equal(again.unseen[0][0], trained.unseen[0][0])
    assert again.predictor.network is not None
    assert trained.predictor.network is not None
    np.testing.assert_array_equal(again.predictor.network.weights, trained.predictor.network.weights)
    # Other steps are another training.
    made.clear()
    train_predictor(cold, recipe(run_file, steps=31), Silent(), kept=kept)
    assert len(made) == 5
    # So are other labels of the same structures: all but the one that leaves the changed one out.
    made.clear()
    lie = replace(cold[0].dynamics, displacement_mean=cold[0].dynamics.displacement_mean[:, ::-1].copy())
    train_predictor([replace(cold[0], ensemble=lie), *cold[1:]], recipe(run_file), Silent(), kept=kept)
    assert len(made) == 4


def test_nothing_is_left_beside_the_model(cold: list[Sample], run_file: Path, tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    made = train_propensity(recipe(run_file), [Structure(one) for one in cold], tmp_path / "out", 1, Silent())
    assert {*(tmp_path / "out").iterdir()} == {made.model, *made.predictions}
    # Whoever calls it keeps their own random numbers.
    assert torch.equal(torch.random.get_rng_state(), state)


def test_what_cannot_be_trained_is_told(samples: list[Sample], cold: list[Sample], tmp_path: Path) -> None:  # noqa: F811
    run = tmp_path / "run.toml"
    run.write_text(RUN.replace('head = "particle"', 'head = "system"'))
    with pytest.raises(SettingsError, match="head 'system'; expected 'particle'"):
        train_predictor(cold, recipe(run), Silent())
    run.write_text(RUN.replace('"cosine"', '"step"'))
    with pytest.raises(
        SettingsError, match=r"got training\.schedule = 'step'; the network of a recipe is trained with"
    ):
        train_predictor(cold, recipe(run), Silent())
    run.write_text('[network]\nname = "antigravity:Network"\nhead = "particle"\n')
    with pytest.raises(SettingsError, match="from outside glassformer; a propensity model has none"):
        train_predictor(cold, recipe(run), Silent())
    several = recipe(run).model_copy(update={"targets": ()})
    with pytest.raises(SettingsError, match=r"a recipe with a network, and data at T = 0\.6, 0\.8"):
        train_predictor(samples, several, Silent())
    recipe_of_two = {"targets": [{"temperature": t, "times": [0.5]} for t in (0.6, 0.8)], "network": {}}
    with pytest.raises(SettingsError, match="several temperatures"):
        check_settings(recipe_of_two, Recipe, "recipe")
