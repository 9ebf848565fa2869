"""What is learned: of configurations, particles or single draws; on which scale; and what is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from glassformer.core import network_kinds
from glassformer.core.errors import DatasetError, SettingsError
from glassformer.core.progress import Silent
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.labels import msd_a_draws, particle_labels, pearson_ceilings, propensity_draws, target_times
from glassformer.dataset.predictions import Predictions, read_predictions
from glassformer.dataset.sample import Sample
from glassformer.dataset.splits import folds, single_draws
from glassformer.evaluate.evaluation import evaluate
from glassformer.graph.batch import GraphBatch, join
from glassformer.graph.neighbors import nearest_neighbors
from glassformer.network.registry import build_network
from glassformer.observables.propensity import moment_ceiling
from glassformer.train.checkpoint import Model, read_model
from glassformer.train.data import loader, make_items
from glassformer.train.examples import build_examples, build_graphs, draw_velocities
from glassformer.train.fold import standardise
from glassformer.train.learner import Learner
from glassformer.train.prediction import predict
from glassformer.train.target import Target
from glassformer.train.training import train_run
from tests.conftest import TINY_RUN, synthetic_sample
from tests.liquids import unit_masses

# Small forms of networks; another one learns in the shape that it has by default.
SMALL = {
    "particlenet": {"neighbors": 6, "blocks": [[16, 16], [16, 16]], "fully_connected": [16], "dropout": 0.0},
    "message-passing": {"cutoff": 1.5, "steps": 2, "width": 16, "fully_connected": [16]},
    "continuous-filter": {"cutoff": 1.5, "steps": 2, "width": 16, "radial_functions": 8, "fully_connected": [16]},
    "equivariant": {
        "structure": "thermal",
        "cutoff": 1.5,
        "steps": 2,
        "width": 16,
        "vectors": 4,
        "averages": 1,
        "averaged": 4,
        "radial_functions": 8,
        "fully_connected": [16],
        "dropout": 0.0,
    },
}
BASE = {key: value for key, value in SMALL["continuous-filter"].items() if key != "fully_connected"}
SMALL["subgraphs"] = {"radius": 1.2, "base": {"name": "continuous-filter"} | BASE, "fully_connected": [16]}
SMALL["global-attention"] = {"width": 16, "heads": 2, "base": {"name": "continuous-filter"} | BASE}
TIME = np.array([1.0])


def make_run(head: str = "particle", name: str = "particlenet", **tables: dict[str, object]) -> Run:
    targets = {"times": [1.0]} | tables.pop("targets", {})
    settings = {"name": name, "head": head} | SMALL.get(name, {}) | tables.pop("network", {})
    return check_settings(TINY_RUN | {"network": settings, "targets": targets} | tables, Run, "run")


def output_layer(model: Model) -> list[torch.Tensor]:
    """Return bias and weight of the last layer of the head."""
    layers = {name.rpartition(".")[0] for name in model.weights if name.startswith("head.")}
    last = max(layers, key=lambda name: [int(part) for part in name.split(".") if part.isdigit()])
    return [model.weights[f"{last}.bias"], model.weights[f"{last}.weight"]]


def target_of(run: Run) -> Target:
    return Target.of(run.targets, run.network.head, TIME)


def learner_of(run: Run, samples: list[Sample]) -> tuple[Learner, Callable[..., torch.Tensor]]:
    """Return an untrained learner, and its loss on all `samples` in one batch, whose labels may be changed."""
    examples = build_examples(target_of(run), samples, build_graphs(samples, run.network))
    together = [example for of_sample in examples for example in of_sample]
    mean, std = standardise(np.concatenate([example.label[example.learned] for example in together]))
    torch.manual_seed(0)
    learner = Learner(build_network(run.network, len(std)), run.training, 0, std)
    (batch,) = loader(make_items(together, mean, std), len(together)).batches(0)

    def loss(
        change: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = lambda label, species: label,
    ) -> torch.Tensor:
        return learner.loss(replace(batch, label=change(batch.label, batch.graph.species)))

    return learner, loss


def at_random(index: int) -> Sample:
    """A sample of 40 particles whose labels are spread evenly, whatever the structure."""
    sample, random = synthetic_sample(index, particles=40), np.random.default_rng(index)
    labels = random.uniform(0, 1, (2, 1, 40)).astype(np.float32)
    changed = replace(sample.ensemble, displacement_mean=labels[0], displacement_sq_mean=labels[1], displacements=None)
    return replace(sample, ensemble=changed)


@pytest.mark.long
@pytest.mark.parametrize("head", ["system", "particle"])
@pytest.mark.parametrize("network", network_kinds.NETWORKS)
def test_every_network_can_learn_one_batch_by_heart(network: str, head: str) -> None:
    """With labels that follow a formula of nothing: what a network cannot say, or a loss not see, stays."""
    settings = {"norm": "none"} if network == "particlenet" else {}
    run = make_run(head, network, network=settings | {"fully_connected": [64]}, targets={"scale": "linear"})
    learner, loss = learner_of(run, [at_random(index) for index in range(2)])
    optimizer = torch.optim.Adam(learner.network.parameters(), lr=1e-2)
    first = last = loss().item()
    # Rounding, and with it the way down, differs between processors: most need 600 steps.
    for step in range(1200):
        optimizer.param_groups[0]["lr"] = 1e-2 if step < 450 else 1e-3
        optimizer.zero_grad()
        remaining = loss()
        remaining.backward()
        optimizer.step()
        if (last := remaining.item()) < 0.01:
            break
    assert first > 0.5
    assert last < 0.02


@pytest.mark.parametrize(("chosen", "matters"), [("A", (0,)), ("B", (1,)), ("both", (0, 1))])
def test_only_the_chosen_species_count(chosen: str, matters: tuple[int, ...]) -> None:
    _, loss = learner_of(make_run(targets={"species": chosen}), [synthetic_sample(index) for index in range(2)])
    before = loss()
    for species in (0, 1):
        changed = loss(lambda label, kind, species=species: label + 3.0 * (kind == species)[:, None])
        assert bool(changed != before) == (species in matters)


def graph_of(samples: list[Sample], run: Run) -> GraphBatch:
    return join([graph for graphs in build_graphs(samples, run.network) for graph in graphs])


@pytest.mark.parametrize(("kind", "expected"), [("mse", 4.0), ("mae", 2.0), ("huber", 1.5)])
def test_losses_by_hand(kind: str, expected: float) -> None:
    """Every prediction is off by two."""
    samples = [synthetic_sample(index) for index in range(2)]
    run = make_run(training={"loss": kind})
    learner, loss = learner_of(run, samples)
    output = learner.network(graph_of(samples, run)).detach()
    assert loss(lambda label, species: output + 2.0).item() == pytest.approx(expected, rel=1e-4)


def counted(index: int) -> Sample:
    """A synthetic sample whose particles go the further the more B they have among their six nearest neighbours."""
    sample = synthetic_sample(index, ("T0.50_P1.55", "T0.56_P0.17")[index % 2])
    _, neighbors, _ = nearest_neighbors(sample.configuration, 6)
    number = sample.configuration.species[neighbors].reshape(-1, 6).sum(1)
    squared = 0.05 * 1.8**number * (1 + sample.configuration.species)
    msd = sample.ensemble.msd.copy()
    for species in (0, 1):
        msd[:, 1, species] = squared[sample.configuration.species == species].mean()
    changed = replace(
        sample.ensemble, msd=msd, displacement_sq_mean=squared[None].astype(np.float32),
        displacement_mean=(0.9 * np.sqrt(squared))[None].astype(np.float32), displacements=None,
    )  # fmt: skip
    return replace(sample, ensemble=changed)


LEARN = {"epochs": 25, "batch_size": 2, "learning_rate": 1e-2, "late_learning_rate": 1e-3, "late_from_epoch": 18}


def learned(out: Path, samples: list[Sample], **targets: object) -> tuple[Predictions, Model]:
    network = {"blocks": [[16, 16]]}
    split = {"folds": 2, "validation_per_state_point": 1}
    run = make_run(network=network, targets=targets, training=LEARN, split=split)
    path = train_run(run, samples, out, Silent(), threads=1)
    return read_predictions(path), read_model(out / "fold-0" / "model.safetensors")


@pytest.fixture(scope="module")
def counted_samples() -> list[Sample]:
    return [counted(index) for index in range(12)]


@pytest.fixture(scope="module")
def log_particles(counted_samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> tuple[Predictions, Model]:
    return learned(tmp_path_factory.mktemp("log"), counted_samples, species="both")


def test_a_particle_head_sorts_particles_it_never_saw(log_particles: tuple[Predictions, Model]) -> None:
    predictions, _ = log_particles
    assert set(predictions.roles) == {"test"}
    rows = evaluate(predictions).rows
    assert [row.state_point for row in rows] == ["T0.50_P1.55", "T0.56_P0.17", "all"]
    for row in rows:
        assert set(row.particles) == {"A", "B"}
        assert min(score.pcc_mean for score in row.particles.values()) > 0.9
    # MSD_A is the mean of what is predicted of its particles.
    for number in range(12):
        place = predictions.of_particles(number)
        of_a = predictions.particle_species[place] == 0
        mean = predictions.particle_prediction[place][of_a].mean(0, dtype=np.float64)
        np.testing.assert_allclose(predictions.prediction[number], np.log(mean), atol=1e-5)
    assert np.abs(predictions.prediction - predictions.label).mean() < 0.1


def test_particle_labels_in_the_file_are_the_samples(
    log_particles: tuple[Predictions, Model], counted_samples: list[Sample]
) -> None:
    predictions, _ = log_particles
    by_name = {sample.identifier: sample for sample in counted_samples}
    for number, name in enumerate(predictions.configurations):
        found = predictions.particle_label[predictions.of_particles(number)]
        np.testing.assert_array_equal(found[:, 0], by_name[name].ensemble.displacement_sq_mean[0])
        species = predictions.particle_species[predictions.of_particles(number)]
        np.testing.assert_array_equal(species, by_name[name].configuration.species)


def test_the_calibration_makes_the_mean_over_the_training_set_right(
    log_particles: tuple[Predictions, Model], counted_samples: list[Sample]
) -> None:
    """The exponential of a mean logarithm is too small: a factor that was fitted on the training set mends it."""
    _, model = log_particles
    known = [s for s in counted_samples if model.roles[s.configuration.fingerprint] == "train"]
    predictions = predict(model, known)
    for species in (0, 1):
        of_species = predictions.particle_species == species
        said, truth = predictions.particle_prediction[of_species], predictions.particle_label[of_species]
        assert said.mean(dtype=np.float64) == pytest.approx(truth.mean(dtype=np.float64), rel=1e-5)
        assert 0.8 < model.calibration[species][0] < 1.3
        assert model.calibration[species][0] != 1


@pytest.mark.parametrize(
    ("head", "targets", "expected"),
    [
        ("system", {"scale": "log"}, lambda model: model.label_mean[0]),
        ("system", {"scale": "linear"}, lambda model: np.log(model.label_mean[0])),
        ("particle", {"scale": "linear"}, lambda model: np.log(model.label_mean[0])),
        ("particle", {"scale": "linear", "species": "B"}, lambda model: np.log(model.label_mean[0])),
        ("particle", {"scale": "log"}, lambda model: model.label_mean[0] + np.log(model.calibration[0][0])),
        (
            "particle",
            {"scale": "log", "quantity": "propensity", "species": "B"},
            lambda model: model.label_mean[0] + np.log(model.calibration[1][0]),
        ),
    ],
)
def test_predictions_undo_scale_and_standardisation(
    head: str, targets: dict[str, object], expected: Callable[[Model], float], tmp_path: Path
) -> None:
    """An output layer of zeros says the mean label of the training particles that are learned, on every scale."""
    samples = [synthetic_sample(index) for index in range(6)]
    run = make_run(head, targets=targets, training={"epochs": 1, "batch_size": 2})
    train_run(run, samples, tmp_path / "run", Silent(), threads=1)
    model = read_model(tmp_path / "run" / "fold-0" / "model.safetensors")
    for values in output_layer(model):
        values.zero_()
    predictions = predict(model, samples)
    np.testing.assert_allclose(predictions.prediction[:, 0], expected(model), rtol=1e-6)
    assert predictions.species == targets.get("species", "A")
    assert predictions.quantity == targets.get("quantity", "squared-displacement")
    if head == "particle":
        known = [sample for sample in samples if model.roles[sample.configuration.fingerprint] == "train"]
        truth = [
            particle_labels(s, TIME, run.targets.quantity)[model.target.learned(s.configuration.species)] for s in known
        ]
        labels = np.concatenate(truth) if run.targets.scale == "linear" else np.log(np.concatenate(truth))
        np.testing.assert_allclose([model.label_mean, model.label_std], [labels.mean(0), labels.std(0)])
        said = predictions.particle_prediction[:, 0]
        learned = predictions.particle_species == "AB".index(predictions.species)
        np.testing.assert_allclose(np.log(said[learned]), expected(model), rtol=1e-4)
        assert np.isnan(said[~learned]).all()


def test_labels_standardised_by_species(tmp_path: Path) -> None:
    """An output layer of zeros says the mean label of each species; the labels of each have mean 0 and spread 1."""
    samples = [synthetic_sample(index) for index in range(6)]
    targets = {"species": "all", "quantity": "propensity", "standardised": "species"}
    run = make_run(targets=targets, training={"epochs": 1, "batch_size": 2})
    train_run(run, samples, tmp_path / "run", Silent(), threads=1)
    model = read_model(tmp_path / "run" / "fold-0" / "model.safetensors")
    known = [sample for sample in samples if model.roles[sample.configuration.fingerprint] == "train"]
    species = np.concatenate([sample.configuration.species for sample in known])
    labels = np.log(np.concatenate([particle_labels(sample, TIME, "propensity") for sample in known]))
    expected = [[labels[species == kind].mean(0), labels[species == kind].std(0)] for kind in (0, 1)]
    np.testing.assert_allclose(np.stack([model.label_mean, model.label_std], 1), expected)
    assert abs(model.label_mean[0][0] - model.label_mean[1][0]) > 1e-3
    examples = [one for of in build_examples(model.target, known, build_graphs(known, run.network)) for one in of]
    items = make_items(examples, np.array(model.label_mean), np.array(model.label_std))
    for kind in (0, 1):
        found = torch.cat([item.label[item.example.graph.species == kind] for item in items])
        np.testing.assert_allclose([found.mean(), found.std(correction=0)], [0, 1], atol=1e-5)
    for values in output_layer(model):
        values.zero_()
    predictions = predict(model, samples)
    said = np.log(predictions.particle_prediction[:, 0])
    for kind in (0, 1):
        level = model.label_mean[kind][0] + np.log(model.calibration[kind][0])
        np.testing.assert_allclose(said[predictions.particle_species == kind], level, rtol=1e-4)


def test_a_validation_error_is_in_the_labels_units_of_each_species() -> None:
    run = make_run(targets={"species": "all"})
    sample = synthetic_sample(0)
    (example,) = build_examples(target_of(run), [sample], build_graphs([sample], run.network))[0]
    mean, std = np.zeros((2, 1)), np.array([[1.0], [3.0]])
    errors = []
    for unit in (np.ones((2, 1)), std):
        torch.manual_seed(0)
        learner = Learner(build_network(run.network, 1), run.training, 0, unit)
        learner.network.eval()
        with torch.no_grad():
            output = learner.network(example.graph)
        item = replace(make_items([example], mean, np.ones((2, 1)))[0], label=output + 1)
        errors.append(float(learner._validation_errors(loader([item], 1))[0]))
    b = int((sample.configuration.species == 1).sum())
    assert errors == pytest.approx([100, 100 + 2 * b], rel=1e-5)


def test_a_system_head_has_no_species() -> None:
    with pytest.raises(SettingsError, match=r"leave targets.standardised as it is"):
        make_run("system", targets={"standardised": "species"})


def test_negative_linear_predictions_have_a_floor(tmp_path: Path) -> None:
    samples = [synthetic_sample(index) for index in range(6)]
    run = make_run("system", targets={"scale": "linear"}, training={"epochs": 1, "batch_size": 2})
    train_run(run, samples, tmp_path / "run", Silent(), threads=1)
    model = read_model(tmp_path / "run" / "fold-0" / "model.safetensors")
    output_layer(model)[0].fill_(-1e6)
    np.testing.assert_allclose(predict(model, samples).prediction, np.log(1e-3 * model.label_mean[0]))


def test_the_propensity_is_named_and_kept_beside_the_msd(counted_samples: list[Sample], tmp_path: Path) -> None:
    run = make_run(targets={"quantity": "propensity"}, training={"epochs": 1, "batch_size": 4})
    predictions = read_predictions(train_run(run, counted_samples, tmp_path / "run", Silent(), threads=1))
    assert predictions.label_name == "ln propensity_A"
    assert evaluate(predictions).label == "ln propensity_A"
    by_name = {sample.identifier: sample for sample in counted_samples}
    for number, name in enumerate(predictions.configurations):
        of_a = by_name[name].configuration.species == 0
        mean = by_name[name].ensemble.displacement_mean[0, of_a].mean(dtype=np.float64)
        assert predictions.label[number, 0] == pytest.approx(np.log(mean), rel=1e-6)
        np.testing.assert_array_equal(predictions.msd_draws[number], msd_a_draws(by_name[name], TIME))


def test_propensities_of_single_draws_are_used_where_they_are_known() -> None:
    sample = synthetic_sample()
    of_b = sample.configuration.species == 1
    expected = np.linalg.norm(sample.ensemble.displacements[:, 0, of_b].astype(np.float64), axis=-1).mean(1)
    np.testing.assert_allclose(propensity_draws(sample, TIME, 1)[:, 0], expected)


def test_ceilings_need_the_second_moment_of_what_is_averaged() -> None:
    sample = synthetic_sample()
    squared = (sample.ensemble.displacements[:, 0].astype(np.float64) ** 2).sum(-1)
    known = pearson_ceilings(sample, TIME, "squared-displacement")
    for species in (0, 1):
        of_species = squared[:, sample.configuration.species == species]
        assert known[species, 0] == moment_ceiling(of_species.mean(0), (of_species**2).mean(0), 3)
    without = replace(sample, ensemble=replace(sample.ensemble, displacements=None))
    assert np.isnan(pearson_ceilings(without, TIME, "squared-displacement")).all()
    assert pearson_ceilings(without, TIME, "propensity").shape == (2, 1)


def test_particle_times_are_asked_for() -> None:
    sample = synthetic_sample()
    assert target_times([sample], (1.0,), particles=True).tolist() == [1.0]
    with pytest.raises(DatasetError, match="how far each particle went until t = 2; it does for 1\n") as caught:
        target_times([sample], (1.0, "last"), particles=True)
    assert 'network.head = "system"' in caught.value.remedy
    nothing = np.empty((0, 100), np.float32)
    bare = replace(sample.ensemble, particle_times=np.empty(0), displacement_mean=nothing, displacement_sq_mean=nothing)
    with pytest.raises(DatasetError, match="it does for no time"):
        target_times([replace(sample, ensemble=bare)], (1.0,), particles=True)


def test_what_cannot_be_a_label_is_refused() -> None:
    sample = synthetic_sample()
    still = sample.ensemble.displacement_sq_mean.copy()
    still[0, np.flatnonzero(sample.configuration.species == 1)[0]] = 0
    frozen = replace(sample, ensemble=replace(sample.ensemble, displacement_sq_mean=still))
    # A particle that is not learned may stay where it is.
    assert np.isfinite(target_of(make_run()).labels(frozen)[0]).all()
    with pytest.raises(DatasetError, match="has not moved at all") as caught:
        target_of(make_run(targets={"species": "both"})).labels(frozen)
    assert 'targets.scale = "linear"' in caught.value.remedy
    assert len(target_of(make_run(targets={"species": "both", "scale": "linear"})).labels(frozen)) == 1
    pure = replace(
        sample, configuration=replace(sample.configuration, species=np.zeros_like(sample.configuration.species))
    )
    with pytest.raises(DatasetError, match="has no particle of species B"):
        build_examples(target_of(make_run(targets={"species": "B"})), [pure], [[None]])  # type: ignore[list-item]


@pytest.mark.parametrize("scale", ["log", "linear"])
def test_a_species_that_is_missing_is_refused_and_nothing_is_written(scale: str, tmp_path: Path) -> None:
    samples = [synthetic_sample(index) for index in range(6)]
    only_a = np.zeros_like(samples[5].configuration.species)
    samples[5] = replace(samples[5], configuration=replace(samples[5].configuration, species=only_a))
    run = make_run(targets={"species": "B", "scale": scale})
    with pytest.raises(DatasetError, match="c0005 has no particle of species B"):
        train_run(run, samples, tmp_path / "run", Silent(), threads=1)
    assert not (tmp_path / "run").exists()


def simulated(sample: Sample) -> Sample:
    return replace(sample, facts=sample.facts.model_copy(update={"engine": "LAMMPS 2025.7.22"}))


EACH = {"times": [1.0], "draws": "each"}


def test_every_draw_is_an_example_of_its_own() -> None:
    samples = [synthetic_sample(index) for index in range(3)]
    run = make_run("system", targets=EACH)
    examples = build_examples(target_of(run), samples, build_graphs(samples, run.network))
    for sample, of_sample in zip(samples, examples, strict=True):
        labels = np.concatenate([example.label for example in of_sample])
        np.testing.assert_array_equal(labels, np.log(msd_a_draws(sample, TIME)))
        # Nothing but the label differs: the graph is there once.
        assert len({id(example.graph) for example in of_sample}) == 1


def test_velocities_are_those_that_the_simulation_drew(tiny_dataset: Path) -> None:
    """The same function as `simulate` calls; and what it gave is seen: the first steps are ballistic, x = v t."""
    sample = read_dataset(tiny_dataset)[0]
    velocities = draw_velocities(sample)
    assert len(velocities) == len(sample.ensemble.seeds)
    run = make_run("system", network={"inputs": ["type", "velocity"]}, targets=EACH)
    (graphs,) = build_graphs([sample], run.network)
    for seed, given, graph in zip(sample.ensemble.seeds, velocities, graphs, strict=True):
        expected = unit_masses(int(seed), sample.configuration.particles, sample.facts.temperature)
        np.testing.assert_array_equal(given, expected)
        np.testing.assert_allclose(graph.node_vectors[:, 0].numpy(), expected, rtol=1e-6)
    # The edges are held once.
    assert len({graph.vectors.data_ptr() for graph in graphs}) == 1
    assert sample.ensemble.times[0] < 0.01
    ballistic = [
        ((v * sample.ensemble.times[0]) ** 2).sum(1)[sample.configuration.species == 0].mean() for v in velocities
    ]
    np.testing.assert_allclose(sample.ensemble.msd[:, 0, 0], ballistic, rtol=0.02)


@pytest.mark.parametrize("change", [{"engine": "RUMD 3.5"}, {"seeds": np.array([1, -1, 2])}])
def test_unknown_velocities_are_refused_and_nothing_is_written(change: dict[str, object], tmp_path: Path) -> None:
    sample = simulated(synthetic_sample())
    if "engine" in change:
        sample = replace(sample, facts=sample.facts.model_copy(update=change))
    else:
        sample = replace(sample, ensemble=replace(sample.ensemble, **change))
    samples = [sample, *(simulated(synthetic_sample(index)) for index in range(1, 6))]
    run = make_run("system", network={"inputs": ["type", "velocity"]}, targets=EACH)
    with pytest.raises(DatasetError, match="the velocities of its draws are not known"):
        train_run(run, samples, tmp_path / "run", Silent(), threads=1)
    assert not (tmp_path / "run").exists()


def test_a_configurations_prediction_is_the_mean_over_its_draws(tmp_path: Path) -> None:
    samples = [simulated(synthetic_sample(index)) for index in range(6)]
    run = make_run(
        "system", network={"inputs": ["type", "velocity"]}, targets=EACH, training={"epochs": 1, "batch_size": 4}
    )
    train_run(run, samples, tmp_path / "run", Silent(), threads=1)
    model = read_model(tmp_path / "run" / "fold-0" / "model.safetensors")
    whole = predict(model, samples)
    graphs = build_graphs(samples, run.network)
    single = np.stack([predict(model, samples, [[of_one[draw]] for of_one in graphs]).prediction for draw in range(3)])
    np.testing.assert_allclose(whole.prediction, single.mean(0), rtol=1e-6)
    assert np.ptp(single, axis=0).min() > 0
    assert set(whole.roles) == {"train", "validation", "test"}


def test_a_split_by_draw_leaks_and_says_so(tmp_path: Path) -> None:
    samples = [synthetic_sample(index, state) for state in ("T0.50_P1.55", "T0.56_P0.17") for index in range(3)]
    split = {"by": "draw", "folds": 3, "validation_per_state_point": 1}
    run = make_run("system", targets=EACH, split=split, training={"epochs": 1, "batch_size": 4})
    predictions = read_predictions(train_run(run, samples, tmp_path / "run", Silent(), threads=1))
    names = sorted(f"{sample.identifier}#{draw}" for sample in samples for draw in range(3))
    assert list(predictions.configurations) == names
    assert set(predictions.roles) == {"leaked"}
    by_name = {sample.identifier: sample for sample in samples}
    for row, name in enumerate(names):
        sample, draw = by_name[name.partition("#")[0]], int(name.partition("#")[2])
        np.testing.assert_array_equal(predictions.msd_draws[row], msd_a_draws(sample, TIME)[draw : draw + 1])
    evaluation = evaluate(predictions)
    assert evaluation.leaked
    assert evaluation.left_out == 0
    # A structure of which any draw was trained on has been seen, whatever else it served for.
    singles = single_draws(samples)
    # For validation, the three draws that a configuration has.
    dealt = run.split.model_copy(update={"validation_per_state_point": 3})
    for number, fold in enumerate(folds(singles, dealt, run.seed)):
        assert (len(fold.train), len(fold.validation), len(fold.test)) == (6, 6, 6)
        model = read_model(tmp_path / "run" / f"fold-{number}" / "model.safetensors")
        trained = {singles[index].configuration.fingerprint for index in fold.train}
        tested = {singles[index].configuration.fingerprint for index in fold.test}
        assert trained & tested
        assert {name for name, role in model.roles.items() if role == "train"} == trained


def test_tensorboard_shows_the_history(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    samples = [synthetic_sample(index) for index in range(6)]
    settings = {"epochs": 2, "batch_size": 2}
    for name, wanted in (("with", True), ("without", False)):
        run = make_run("system", training=settings | {"tensorboard": wanted})
        train_run(run, samples, tmp_path / name, Silent(), threads=1)
    assert list((tmp_path / "without").rglob("*tfevents*")) == []
    events = EventAccumulator(str(tmp_path / "with" / "fold-0" / "tensorboard"))
    events.Reload()
    history = json.loads((tmp_path / "with" / "fold-0" / "history.json").read_text())["epochs"]
    for key in ("train_loss", "val_mae", "learning_rate", "val_mae_baseline"):
        found = [(event.step, event.value) for event in events.Scalars(key)]
        assert [step for step, _ in found] == [0, 1]
        np.testing.assert_allclose([value for _, value in found], [line[key] for line in history], rtol=1e-6)


def test_half_precision_trains_to_about_the_same(counted_samples: list[Sample], tmp_path: Path) -> None:
    """Close to float32, and not the same: the matrix products are in bfloat16, what is kept is not."""
    results = {}
    for precision in ("float32", "bf16"):
        training = {"epochs": 2, "batch_size": 2, "precision": precision}
        run = make_run(network={"blocks": [[16, 16]]}, training=training)
        train_run(run, counted_samples, tmp_path / precision, Silent(), threads=1)
        model = read_model(tmp_path / precision / "fold-0" / "model.safetensors")
        assert {value.dtype for value in model.weights.values()} <= {torch.float32, torch.int64}
        results[precision] = read_predictions(tmp_path / precision / "predictions.h5").prediction
    difference = np.abs(results["float32"] - results["bf16"]).max()
    assert 0 < difference < 0.1


def test_labels_of_particles_are_those_of_the_quantity() -> None:
    sample = synthetic_sample()
    for quantity, array in (("squared-displacement", "displacement_sq_mean"), ("propensity", "displacement_mean")):
        label = particle_labels(sample, TIME, quantity)  # type: ignore[arg-type]
        np.testing.assert_array_equal(label, getattr(sample.ensemble, array).T)
