"""Propensity models from a dataset to the answer for a file, as a user types it, and what is refused on the way."""

import json
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from glassformer.api.predictions import PredictionSet
from glassformer.api.propensities import propensity
from glassformer.api.structures import Structure, Structures
from glassformer.api.training import train_propensity, with_scores
from glassformer.baselines.propensity_file import read_predictor, write_predictor
from glassformer.baselines.propensity_model import in_words
from glassformer.baselines.shipped_models import load_model, model_for
from glassformer.cli.app import app
from glassformer.cli.propensity import _check_out, _print
from glassformer.core.campaign import Campaign
from glassformer.core.errors import (
    CheckpointError,
    ConfigurationError,
    DatasetError,
    GlassformerError,
    PredictionError,
    SettingsError,
)
from glassformer.core.mixture import shipped_mixture
from glassformer.core.presets import load_recipe, recipe_presets, shipped_models
from glassformer.core.progress import Silent
from glassformer.core.recipe import Recipe
from glassformer.core.settings import check_settings
from glassformer.dataset.exports import export
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.predictions import read_predictions
from glassformer.dataset.readers.extended_xyz import header_settings
from glassformer.dataset.readers.read import read_file
from glassformer.dataset.sample import Sample, read_sample, write_sample
from glassformer.dataset.writers.columns import structure_of
from glassformer.dataset.writers.text import extended_xyz
from glassformer.observables.descriptors import DescriptorSettings
from glassformer.physics.box import wrap
from glassformer.physics.configuration import Configuration
from glassformer.simulate.cage import CageSampling
from glassformer.simulate.campaign import run_campaign
from glassformer.simulate.quench import quench_dataset
from glassformer.train.propensity import Trained, train_predictor
from glassformer.train.propensity_prediction import cross_validated
from tests.conftest import rattled_lattice

pytestmark = pytest.mark.long

# Small boxes: half an edge of 300 particles at density 1.2 is 3.15.
SMALL = {"reach": 2.8, "degrees": [2, 4, 6], "generations": 3}
CAMPAIGN: dict[str, Any] = {
    "seed": 5,
    "particles": 300,
    "mixture": "kob-andersen",
    "configurations": 4,
    "draws": 4,
    "particle_times": [0.5, 2.0],
    "schedule": {"first": 1, "count": 20, "last": 400, "until": 2.0},
    "equilibration": {
        "hold_in_tau_alpha": 0.01,
        "most_windows": 40,
        "stages": [{"temperature": 1.0, "duration": 2.0}, {"temperature": "target", "duration": 1.0, "ramp": True}],
    },
    "state_points": [
        {"temperature": 0.6, "density": 1.2, "hold_time": 1.0},
        {"temperature": 0.8, "density": 1.2, "hold_time": 1.0},
    ],
}


@dataclass
class Done:
    """What a command printed, on paper without narrow columns, and how it ended."""

    stdout: str
    stderr: str
    returncode: int


def run(*arguments: str) -> Done:
    done = CliRunner().invoke(app, list(arguments))
    if isinstance(done.exception, GlassformerError):
        return Done(done.stdout, f"{done.exception.problem} {done.exception.remedy}", done.exception.exit_code)
    return Done(done.stdout, done.stderr + repr(done.exception or ""), done.exit_code)


def recipe(**changes: Any) -> Recipe:
    return check_settings({"name": "small", "descriptors": SMALL} | changes, Recipe, "recipe")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("propensity") / "data"
    run_campaign(check_settings(CAMPAIGN, Campaign, "campaign"), folder, Silent(), 2)
    quench_dataset(folder, Silent(), 2)
    return folder


@pytest.fixture(scope="module")
def samples(dataset: Path) -> list[Sample]:
    return read_dataset(dataset)


@pytest.fixture(scope="module")
def trained(samples: list[Sample]) -> Trained:
    return train_predictor(samples, recipe(), Silent())


@pytest.fixture(scope="module")
def model(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.h5"
    write_predictor(path, trained.predictor)
    return path


def structure(sample: Sample, folder: Path, to: str = "extxyz") -> Path:
    return export([sample], to, folder)[0]


def test_what_was_left_out_is_predicted(trained: Trained, samples: list[Sample]) -> None:
    assert (trained.predictor.card.temperatures, trained.predictor.card.configurations) == ((0.6, 0.8), (4, 4))
    predicted, labels, ceilings = trained.answers(0.6, 1, 0)
    assert len(predicted) == len(labels) == len(ceilings) == 4
    for item, sample in zip(trained.items, samples, strict=True):
        assert item.name == sample.identifier
        np.testing.assert_array_equal(item.labels[:, 1], sample.dynamics.displacement_mean[1].astype(float))
    # Between configurations of two temperatures even a tiny fit tells more than nothing.
    together = [np.concatenate([np.concatenate(trained.answers(t, 1, 0)[part]) for t in (0.6, 0.8)]) for part in (0, 1)]
    assert np.corrcoef(*together)[0, 1] > 0.3


def test_configurations_of_one_name_are_not_confused(trained: Trained, samples: list[Sample]) -> None:
    # As the first ones of two campaigns, which are trained on together.
    named = [replace(sample, name="c0000") for sample in samples]
    items = tuple(replace(item, name=sample.identifier) for item, sample in zip(trained.items, named, strict=True))
    known = cross_validated(trained, samples, 0.6)
    found = cross_validated(replace(trained, items=items), named, 0.6)
    assert known is not None
    assert found is not None
    assert set(found.configurations) == {named[0].identifier}
    assert found.fingerprints == known.fingerprints
    np.testing.assert_array_equal(found.particle_label, known.particle_label)
    for sample in named[:4]:
        own = structure_of(sample, found).columns
        row = known.fingerprints.index(sample.configuration.fingerprint)
        times = [name for name in own if name.startswith("predicted_propensity")]
        np.testing.assert_array_equal(own[times[0]], known.particle_prediction[known.of_particles(row), 0])
    with pytest.raises(PredictionError, match="4 structures are called"):
        PredictionSet(found).particles(named[0].identifier)


def test_left_out_means_left_out(samples: list[Sample]) -> None:
    # The labels of a configuration change nothing in what is predicted for it.
    first = train_predictor(samples, recipe(seed=1), Silent())
    changed = samples[0].dynamics
    lie = replace(changed, displacement_mean=changed.displacement_mean[:, ::-1].copy())
    second = train_predictor([replace(samples[0], ensemble=lie), *samples[1:]], recipe(seed=1), Silent())
    np.testing.assert_array_equal(first.unseen[0][0], second.unseen[0][0])
    others = zip(first.unseen[0][1:], second.unseen[0][1:], strict=True)
    assert sum(not np.array_equal(one, other) for one, other in others) == 4


def test_a_file_says_what_the_model_says(trained: Trained, model: Path, samples: list[Sample]) -> None:
    found, item = read_predictor(model), trained.items[0]
    assert found.card.model_dump(mode="json") == trained.predictor.card.model_dump(mode="json")
    one = trained.predictor.predict(item.table, item.species, 0.6)
    other = found.predict(item.table, item.species, 0.6)
    np.testing.assert_allclose(other.propensity, one.propensity, rtol=1e-4)
    np.testing.assert_allclose(other.uncertainty, one.uncertainty, rtol=1e-3)
    np.testing.assert_allclose(other.distance, one.distance, rtol=1e-4)


def test_times_and_temperatures_between_those_of_training(trained: Trained) -> None:
    item, predictor = trained.items[0], trained.predictor
    ends = [predictor.predict(item.table, item.species, 0.6, time).propensity for time in (0.5, 2.0)]
    between = predictor.predict(item.table, item.species, 0.6, 1.0).propensity
    np.testing.assert_allclose(between, np.mean(ends, 0), rtol=1e-6)
    levels = [predictor.predict(item.table, item.species, t).propensity.mean() for t in (0.6, 0.7, 0.8)]
    assert levels[0] < levels[1] < levels[2]
    for time in (0.4, 2.1, np.nan):
        with pytest.raises(PredictionError, match=r"0\.5, 2"):
            predictor.predict(item.table, item.species, 0.6, time)
    with pytest.raises(PredictionError, match="species number 2"):
        predictor.predict(item.table, item.species + 1, 0.6)


def test_damage_is_seen(model: Path, tmp_path: Path) -> None:
    whole = bytearray(model.read_bytes())
    whole[len(whole) // 2] ^= 1
    broken = tmp_path / "broken.h5"
    broken.write_bytes(whole)
    with pytest.raises(CheckpointError, match="checksum"):
        read_predictor(broken)
    text = tmp_path / "liquid.xyz"
    text.write_text("2\n\nA 0 0 0\nA 1 0 0\n")
    with pytest.raises(CheckpointError, match="is not a propensity model") as caught:
        load_model(str(text))
    assert "ka-isochore" in caught.value.remedy
    assert "delete" not in str(caught.value)
    sample = tmp_path / "sample.h5"
    with pytest.raises(CheckpointError, match="there is no file"):
        read_predictor(sample)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperatures": (0.6, 0.9)}, "temperatures"),
        ({"temperatures": (0.6,), "times": ((0.5, 2.0),)}, "1"),
        ({"times": ((0.5,), (0.5,))}, "times"),
    ],
)
def test_a_card_of_another_model_is_refused(
    trained: Trained, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    card = trained.predictor.card.model_copy(update=change)
    write_predictor(tmp_path / "model.h5", replace(trained.predictor, card=card))
    with pytest.raises(CheckpointError, match=message):
        read_predictor(tmp_path / "model.h5")


def test_propensity_as_typed(model: Path, samples: list[Sample], tmp_path: Path) -> None:
    source, out = structure(samples[0], tmp_path), tmp_path / "out.extxyz"
    stated = ("--mixture", "kob-andersen", "--temperature", "0.6")
    done = run("propensity", str(source), "--model", str(model), *stated, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "t = 2" in done.stdout
    # It was trained on this structure, and on nothing unlike it.
    assert done.stdout.count("warning") == 1
    header, names = out.read_text().splitlines()[1], ["propensity", "uncertainty", "distance_from_training"]
    assert all(f":{name}:R:1" in header for name in names)
    facts = {"mixture": "kob-andersen", "temperature": "0.6", "units": "LJ", "model": "small", "propensity_time": "2"}
    assert header_settings(header).items() >= facts.items()
    assert source.name in done.stdout
    assert samples[0].facts.state_point not in done.stdout
    rows = np.loadtxt(out.read_text().splitlines()[2:])
    assert rows.shape == (300, 8)
    as_json = run("propensity", str(source), "--model", str(model), *stated, "--json")
    assert as_json.returncode == 0, as_json.stderr
    answer = json.loads(as_json.stdout)[0]
    np.testing.assert_allclose(answer["propensity"], rows[:, 5], atol=1e-5)
    assert (np.array(answer["uncertainty"]) > 0).all()
    assert (answer["structure"], answer["temperature"]) == (source.name, 0.6)
    assert set(answer["species"]) == {0, 1}
    assert answer["species_names"] == ["A", "B"]
    assert [one["species"] for one in answer["by_species"]] == ["A", "B"]
    of_b = np.array(answer["propensity"])[np.array(answer["species"]) == 1]
    assert answer["by_species"][1]["mean"] == pytest.approx(of_b.mean(), abs=1e-5)
    assert answer["warnings"] == ["the model was trained on this structure, so the prediction does not test it"]


def test_a_page_about_one_prediction(trained: Trained, samples: list[Sample], dataset: Path, tmp_path: Path) -> None:
    source, page, model = structure(samples[0], tmp_path), tmp_path / "page.html", tmp_path / "scored.h5"
    write_predictor(model, with_scores(trained))
    stated = ("--model", str(model), "--mixture", "kob-andersen", "--temperature", "0.6")
    done = run("propensity", str(source), *stated, "--report", str(page))
    assert done.returncode == 0, done.stderr
    assert f"report: {page}" in done.stdout
    text = page.read_text(encoding="utf-8")
    assert "the model was trained on this structure, so the prediction does not test it" in text
    scores = [one for one in read_predictor(model).card.scores if one["time"] == 2.0 and one["temperature"] == 0.6]
    score = scores[0]
    assert f"{scores[0]['mean_error']:.3f} (A) and {scores[1]['mean_error']:.3f} (B) σ<sub>AA</sub>" in text
    assert f"The propensity of each particle of {source.name}:" in text
    assert f"at T = 0.6 and t = 2: {score['pcc_mean']:.3f} ± {score['pcc_error']:.3f} over {score['species']}" in text
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", text)
    # A bare structure has no draws to compare with; a sample has.
    assert re.findall(r'name="colour" value="([^"]*)"', text) == [
        "predicted-deviation", "predicted", "uncertainty", "species",
    ]  # fmt: skip
    sample = next(dataset.rglob("*.h5"))
    assert run("propensity", str(sample), "--model", str(model), "--report", str(page)).returncode == 0
    assert 'value="simulated-deviation"' in page.read_text(encoding="utf-8")
    for asked, problem in ((tmp_path / "page.pdf", "ends with .html"), (tmp_path / "all.html", "8 structures")):
        refused = run("propensity", str(dataset), "--model", str(model), "--report", str(asked))
        assert (refused.returncode, problem in refused.stderr, asked.exists()) == (2, True, False)


def test_predictions_are_scored_where_the_model_had_not_seen(
    samples: list[Sample], dataset: Path, tmp_path: Path
) -> None:
    first = [sample for sample in samples if sample.facts.index != 3]
    write_predictor(tmp_path / "first.h5", train_predictor(first, recipe(), Silent()).predictor)
    out = tmp_path / "predictions.h5"
    done = run("propensity", str(dataset), "--model", str(tmp_path / "first.h5"), "--out", str(out))
    assert done.returncode == 0, done.stderr
    # Once for all.
    assert done.stdout.count("does not test it") == 1
    assert " and 5 more structures: the model was trained on" in done.stdout
    predictions = read_predictions(out)
    assert [name[-5:] for name, role in zip(predictions.configurations, predictions.roles, strict=True)
            if role == "test"] == ["c0003", "c0003"]  # fmt: skip
    np.testing.assert_array_equal(predictions.particle_label[:300, 0], samples[0].dynamics.displacement_mean[1])
    scores = json.loads(run("evaluate", str(out), "--json").stdout)
    assert scores["n_configurations"] == 2
    label, predicted = (
        array[predictions.of_particles(3)][samples[3].configuration.species == 0, 0]
        for array in (predictions.particle_label, predictions.particle_prediction)
    )
    other = [
        array[predictions.of_particles(7)][samples[7].configuration.species == 0, 0]
        for array in (predictions.particle_label, predictions.particle_prediction)
    ]
    expected = (np.corrcoef(label, predicted)[0, 1] + np.corrcoef(*other)[0, 1]) / 2
    assert scores["pcc_mean"] == pytest.approx(expected, abs=1e-5)
    # Text has a frame for each.
    several = tmp_path / "several.extxyz"
    again = run("propensity", str(dataset), "--model", str(tmp_path / "first.h5"), "--out", str(several))
    assert again.returncode == 0, again.stderr
    frames = several.read_text().splitlines()
    assert len(frames) == 8 * 302
    named = [header_settings(line)["structure"] for line in frames if line.startswith("Lattice")]
    assert named == [sample.identifier for sample in samples]
    fourth = np.loadtxt(frames[3 * 302 + 2 : 4 * 302])
    np.testing.assert_allclose(fourth[:, 5], predictions.particle_prediction[predictions.of_particles(3), 0], 1e-5)
    refused = run("propensity", str(dataset), "--model", str(tmp_path / "first.h5"), "--out", str(tmp_path / "x.npz"))
    assert refused.returncode == 2
    assert "8 structures" in refused.stderr


def test_structures_unlike_training_are_told(model: Path, samples: list[Sample], tmp_path: Path) -> None:
    cold = structure(samples[0], tmp_path)
    done = run("propensity", str(cold), "--model", str(model), "--mixture", "kob-andersen", "--temperature", "0.44")
    printed = " ".join(done.stdout.split())
    assert printed.count(f"warning: {cold.name}: outside the model's range: its temperature is 0.44, not 0.6 to") == 2
    # Before the work, and after it.
    first, last = printed.index("its temperature is 0.44"), printed.rindex("its temperature is 0.44")
    assert first < printed.index("quench") < printed.index("top 5%") < last
    # No error was measured there.
    assert printed.count("n/a") == 2
    squeezed = structure(scaled(samples[0], 0.97), tmp_path / "dense")
    done = run("propensity", str(squeezed), "--model", str(model), "--mixture", "kob-andersen", "--temperature", "0.6")
    assert "its density is 1.31" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--mixture", "wahnstrom", "--temperature", "0.6"), "50:50"),
        (("--mixture", "kob-andersen-uniform", "--temperature", "0.6"), "kob-andersen-uniform, not of kob-andersen"),
        (("--mixture", "kob-andersen"), "temperature"),
        (("--mixture", "kob-andersen", "--temperature", "0.6", "--time", "50"), "t = 50"),
        (("--mixture", "kob-andersen", "--temperature", "0.6", "--out", "x.png"), ".extxyz"),
    ],
)
def test_what_cannot_be_predicted(
    model: Path, samples: list[Sample], tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    source = structure(samples[0], tmp_path, "lammps")
    done = run("propensity", str(source), "--model", str(model), *options)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    # Nothing was computed before.
    assert "quench" not in done.stdout


def test_what_an_exported_file_says_need_not_be_said_again(model: Path, samples: list[Sample], tmp_path: Path) -> None:
    for to in ("extxyz", "npz"):
        done = run("propensity", str(structure(samples[0], tmp_path, to)), "--model", str(model))
        assert done.returncode == 0, done.stderr


def test_the_error_of_the_mean_is_that_of_cross_validation(trained: Trained) -> None:
    predicted, labels, _ = trained.answers(0.8, 0, 1)
    off = [one.mean() - label.mean() for one, label in zip(predicted, labels, strict=True)]
    (score,) = (
        one
        for one in with_scores(trained).card.scores
        if (one["temperature"], one["time"], one["species"]) == (0.8, trained.predictor.card.times[1][0], "B")
    )
    assert score["mean_error"] == pytest.approx(np.sqrt(np.mean(np.square(off))))


def test_overlapping_particles_are_refused(model: Path, samples: list[Sample], tmp_path: Path) -> None:
    positions = samples[0].configuration.positions.copy()
    positions[3] = wrap(positions[7:8] + 0.1, samples[0].configuration.box)[0]
    broken = replace(samples[0].configuration, positions=positions, inherent_positions=None)
    source = structure(replace(samples[0], configuration=broken).without_draws(), tmp_path)
    done = run("propensity", str(source), "--model", str(model), "--mixture", "kob-andersen", "--temperature", "0.6")
    assert done.returncode == 2
    assert "overlap, for example numbers 4 and 8" in " ".join(done.stderr.split())


def test_no_file_without_its_warnings(model: Path, samples: list[Sample], tmp_path: Path) -> None:
    stated = ("--model", str(model), "--mixture", "kob-andersen", "--temperature", "0.56")
    source, told = str(structure(samples[0], tmp_path)), "its temperature is 0.56, not 0.6 to 0.8"
    done = run("propensity", source, *stated, "--out", str(tmp_path / "out.xyz"), "--report", str(tmp_path / "p.html"))
    assert done.returncode == 0, done.stderr
    assert "no place for the warnings" not in done.stdout
    assert told in header_settings((tmp_path / "out.xyz").read_text().splitlines()[1])["warnings"]
    # An uncertainty that nobody knows is not shown.
    assert "uncertainty" not in re.findall(r'name="colour" value="([^"]*)"', (tmp_path / "p.html").read_text("utf-8"))
    run("propensity", source, *stated, "--out", str(tmp_path / "out.npz"))
    with np.load(tmp_path / "out.npz") as arrays:
        assert told in str(arrays["warnings"])
        assert np.isnan(arrays["uncertainty"]).all()
    run("propensity", source, *stated, "--out", str(tmp_path / "out.h5"))
    assert any(told in notice for notice in read_predictions(tmp_path / "out.h5").notices)
    assert (
        "out.lammpstrj has no place"
        in run("propensity", source, *stated, "--out", str(tmp_path / "out.lammpstrj")).stdout
    )
    (answer,) = json.loads(run("propensity", source, *stated, "--json").stdout)
    assert set(answer["uncertainty"]) == {None}
    assert answer["by_species"][0]["error"] is None


def test_frames_of_one_file_are_of_the_same_particles(model: Path, samples: list[Sample], tmp_path: Path) -> None:
    """What is written is read again; what could not be read is refused before any work."""
    mixed = samples[1].configuration
    backwards = Configuration(mixed.positions[::-1], mixed.species[::-1], mixed.box)
    dataset = tmp_path / "mine"
    write_sample(dataset / "T0.6" / "c0000.h5", samples[0].without_draws())
    write_sample(dataset / "T0.6" / "c0001.h5", replace(samples[1].without_draws(), configuration=backwards))
    for suffix in ("extxyz", "xyz", "lammpstrj", "gsd", "npz"):
        done = run("propensity", str(dataset), "--model", str(model), "--out", str(tmp_path / f"all.{suffix}"))
        assert (done.returncode, "quench" in done.stdout) == (2, False)
        assert f"a file .{suffix} holds" in done.stderr
        assert suffix == "npz" or "differ in species" in done.stderr
        assert done.stderr.split("Give one sample of the dataset. ")[1].startswith("Or write .h5.")
    first = samples[0].configuration
    moved = replace(first, positions=wrap(first.positions + 1, first.box), inherent_positions=None)
    run_of_two = [replace(samples[0], configuration=one, step=step) for one, step in ((first, 10), (moved, 30))]
    frames = [structure_of(one.without_draws()) for one in run_of_two]
    (tmp_path / "two.extxyz").write_bytes(b"".join(map(extended_xyz, frames)))
    source, out = tmp_path / "two.extxyz", tmp_path / "out.lammpstrj"
    done = run("propensity", str(source), "--frames", "all", "--model", str(model), "--out", str(out))
    assert done.returncode == 0, done.stderr
    steps = read_file(out).trajectory.steps
    assert steps is not None
    assert steps.tolist() == [10, 30]


def test_files_of_unlike_structures_are_predictions(model: Path, samples: list[Sample]) -> None:
    small = Sample(rattled_lattice(6), None, samples[0].facts, file="small")
    structures = Structures((samples[0].without_draws(), small))
    with pytest.raises(SettingsError, match=r"has 300 particles, small has \d+"):
        _check_out(Path("all.gsd"), structures, Path("data"))
    _check_out(Path("all.h5"), structures, Path("data"))
    _check_out(Path("all.npz"), structures[:1], Path("data"))


def test_no_warning_model_or_time_of_a_further_structure_is_lost(
    model: Path, samples: list[Sample], capsys: pytest.CaptureFixture[str]
) -> None:
    one = propensity(Structure(samples[0]), model)
    answers = [replace(one, warnings=()), replace(one, warnings=("cold",)), replace(one, warnings=())]
    _print(answers, {"values": Path("all.gsd")})
    told = capsys.readouterr().out
    assert "all.gsd has no place for the warnings; .extxyz and .h5 have." in told
    assert told.count("at t = 2, model small\n") == 1
    _print([*answers, replace(one, time=1.0)], {})
    told, name = capsys.readouterr().out, one.structure.name
    assert f"at t = 2, model small: {name} and 2 more structures\n" in told
    assert f"at t = 1, model small: {name}\n" in told


def test_uncertainty_outside_training(trained: Trained) -> None:
    item, predictor = trained.items[0], trained.predictor
    inside = predictor.predict(item.table, item.species, 0.6)
    assert np.isfinite(inside.uncertainty).all()
    assert not inside.warnings
    # Nearer limits: particles beyond them have errors in proportion to their distance.
    near = replace(predictor, limits=tuple(replace(one, threshold=one.threshold / 2) for one in predictor.limits))
    found = near.predict(item.table, item.species, 0.6)
    far = found.distance > 1
    assert 0.01 < far.mean() < 1
    ratio = np.maximum(1, found.distance) / np.maximum(1, inside.distance)
    np.testing.assert_allclose(found.uncertainty, inside.uncertainty * ratio)
    assert found.warnings[0].startswith("more than 1 % of the A and B particles have surroundings unlike those in")
    # A structure outside as a whole, by its temperature or by means over its particles, has none.
    assert np.isnan(predictor.predict(item.table, item.species, 0.5).uncertainty).all()
    strict = replace(predictor, limits=tuple(replace(one, drift=one.drift / 1e3) for one in predictor.limits))
    strange = strict.predict(item.table, item.species, 0.6)
    assert np.isnan(strange.uncertainty).all()
    assert re.search(r"outside the range of training, most in the [a-z ]+[^@]*; no uncertainty", strange.warnings[0])


def test_descriptors_in_words() -> None:
    assert in_words("inherent.density@4") == "the local density, averaged over neighbors 4 times"
    assert in_words("cage.energy.B@1") == "the potential energy with B particles, averaged over neighbors once"
    assert in_words("cage.displacement.length") == "the displacements to the cage positions"


def scaled(sample: Sample, factor: float) -> Sample:
    old = sample.configuration
    new = replace(old, positions=old.positions * factor, box=old.box * factor, inherent_positions=None)
    facts = sample.facts.model_copy(update={"density": None})
    return replace(sample, configuration=new, facts=facts).without_draws()


@pytest.mark.parametrize("factor", [3.4, 1.04, 0.96])
def test_a_density_far_from_training_is_refused_at_once(
    model: Path, samples: list[Sample], tmp_path: Path, factor: float
) -> None:
    source = structure(scaled(samples[0], factor), tmp_path)
    done = run("propensity", str(source), "--model", str(model), "--mixture", "kob-andersen", "--temperature", "0.6")
    assert done.returncode == 2
    assert f"{source.name}: got a density of {1.2 / factor**3:.4g}; the model small was trained at 1.2" in done.stderr
    assert "lengths are not in units of sigma_AA" in done.stderr
    assert "quench" not in done.stdout


def test_fifty_particles_are_too_few(samples: list[Sample], tmp_path: Path) -> None:
    # What ships reaches to 5: the box must be twice as long.
    done = run("propensity", str(structure(samples[0], tmp_path)), "--mixture", "kob-andersen", "--temperature", "0.44")
    assert done.returncode == 2
    assert (
        ": the shortest box edge is 6.3; the model ka-t0.44-t4120 needs 10.5 Use a larger system: in a box"
        in done.stderr
    )
    # 1.2 x 10.5^3
    assert (
        "1,390 particles or more. Or train a model that reads less: a recipe with descriptors = { reach = 2.8 }"
        in done.stderr
    )


def test_training_as_typed(dataset: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        'reads = "inherent"\nleft_out = 1\n[descriptors]\nreach = 2.8\ndegrees = [2, 4]\ngenerations = 2\n'
        "[[targets]]\ntemperature = 0.6\ntimes = [2.0]\n[[targets]]\ntemperature = 0.8\ntimes = [2.0]\n"
    )
    done = run("train", str(path), str(dataset), "--out", str(tmp_path / "models"))
    assert done.returncode == 0, done.stderr
    card = read_predictor(tmp_path / "models" / "own.h5").card
    assert {(one["temperature"], one["species"]) for one in card.scores} == {
        (0.6, "A"), (0.6, "B"), (0.8, "A"), (0.8, "B"),
    }  # fmt: skip
    shown = run("propensity", "--card", "--model", str(tmp_path / "models" / "own.h5"), "--json")
    assert json.loads(shown.stdout)["name"] == "own"


def test_what_cross_validation_predicted_is_a_file_that_evaluate_scores(
    samples: list[Sample], trained: Trained, dataset: Path, tmp_path: Path
) -> None:
    own = tmp_path / "small.toml"
    own.write_text('reads = "inherent"\n[descriptors]\nreach = 2.8\ndegrees = [2, 4, 6]\ngenerations = 3\n')
    out = tmp_path / "models"
    done = run("train", str(own), str(dataset), "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["predictions"] == [str(out / f"small-T{t}-predictions.h5") for t in (0.6, 0.8)]
    card = with_scores(trained).card
    for temperature, path in zip((0.6, 0.8), printed["predictions"], strict=True):
        found = read_predictions(Path(path))
        assert set(found.roles) == {"test"}
        assert found.configurations == tuple(one.identifier for one in samples if one.facts.temperature == temperature)
        rows = json.loads(run("evaluate", path, "--json").stdout)["rows"]
        for score in (one for one in card.scores if one["temperature"] == temperature):
            row = next(one for one in rows if one["time"] == pytest.approx(score["time"]))
            assert row["particles"][score["species"]]["pcc_mean"] == pytest.approx(score["pcc_mean"], abs=1e-6)
        # What was measured on these predictions fits them.
        errors = found.particle_prediction - found.particle_label
        assert np.mean((errors / found.particle_uncertainty) ** 2) == pytest.approx(1, abs=0.1)


def test_state_points_are_chosen_by_their_labels(dataset: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('reads = "inherent"\nleft_out = 1\n[descriptors]\nreach = 2.8\ndegrees = [2]\ngenerations = 1\n')
    command = "train", str(path), str(dataset), "--out", str(tmp_path / "models"), "--only"
    assert run(*command, "T0.60").returncode == 0
    card = read_predictor(tmp_path / "models" / "own.h5").card
    assert (card.temperatures, card.configurations) == ((0.6,), (4,))
    wrong = run(*command, "T0.61")
    assert wrong.returncode == 2
    assert "the data have no state point T0.61; they have T0.60_rho1.20, T0.80_rho1.20" in wrong.stderr
    assert "got --only with a run of networks" in run("train", "default", *command[2:], "T0.60").stderr


@pytest.mark.parametrize("reads", ["inherent", "restricted"])
def test_nothing_is_derived_for_other_state_points(
    reads: str, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = CageSampling(draws=1, begin=0.1, end=0.2)
    monkeypatch.setattr("glassformer.simulate.cage.usual_sampling", lambda sample, kind: few)
    shutil.copytree(dataset, tmp_path / "data")
    for path in (tmp_path / "data").glob("*/*.h5"):
        sample = read_sample(path)
        write_sample(path, replace(sample, configuration=replace(sample.configuration, inherent_positions=None)))
    settings = recipe(reads=reads, only=["T0.60"], descriptors={"reach": 2.8, "degrees": [2], "generations": 1})
    train_propensity(settings, [tmp_path / "data"], tmp_path / "models", 2, Silent())
    for sample in read_dataset(tmp_path / "data"):
        assert (sample.configuration.inherent_positions is not None) == (sample.facts.temperature == 0.6)
        assert (sample.cage is not None) == (sample.facts.temperature == 0.6 and reads == "restricted")


def test_what_is_read_is_derived_in_every_dataset_with_structures_of_its_own(dataset: Path, tmp_path: Path) -> None:
    """And not in one with further draws of them."""
    folders = {"cold": "T0.60_rho1.20", "hot": "T0.80_rho1.20", "further": "T0.60_rho1.20"}
    for name, label in folders.items():
        shutil.copytree(dataset / label, tmp_path / name / label)
        for path in (tmp_path / name).glob("*/*.h5"):
            sample = read_sample(path)
            write_sample(path, replace(sample, configuration=replace(sample.configuration, inherent_positions=None)))
    settings = recipe(descriptors={"reach": 2.8, "degrees": [2], "generations": 1})
    train_propensity(settings, [tmp_path / name for name in folders], tmp_path / "models", 2, Silent())
    for name in folders:
        quenched = {one.configuration.inherent_positions is not None for one in read_dataset(tmp_path / name)}
        assert quenched == {name != "further"}


def test_another_density_is_told_before_hours_are_spent(samples: list[Sample], tmp_path: Path) -> None:
    """Cage positions, which the recipe reads, would be sampled first."""
    dense = replace(
        samples[0].configuration, box=samples[0].configuration.box * (1.2 / 1.31) ** (1 / 3), inherent_positions=None
    )
    dense = replace(dense, positions=wrap(dense.positions, dense.box))
    facts = samples[0].facts.model_copy(update={"density": 1.31, "state_point": "T0.60_rho1.31"})
    folder = tmp_path / "data"
    for place, one in enumerate([replace(samples[0], configuration=dense, facts=facts), *samples[1:4]]):
        write_sample(folder / one.facts.state_point / f"x{place}.h5", one)
    own = tmp_path / "own.toml"
    own.write_text('reads = "restricted"\n')
    done = run("train", str(own), str(folder), "--out", str(tmp_path / "models"))
    assert done.returncode == 2
    assert (
        "differ by no more than 3 % (density_spread) Train one for each state point, in folders of their own: --only"
        in done.stderr
    )
    assert all(sample.cage is None for sample in read_dataset(folder))


def test_what_cannot_be_trained(samples: list[Sample]) -> None:
    def fails(error: type[Exception], message: str, some: list[Sample], **changes: Any) -> None:
        with pytest.raises(error, match=message):
            train_predictor(some, recipe(**changes), Silent())

    bare = replace(samples[0], configuration=replace(samples[0].configuration, inherent_positions=None))
    fails(DatasetError, "no inherent structure", [bare, *samples[1:]])
    fails(DatasetError, "no cage positions of the kind 'restricted'", samples, reads="restricted")
    fails(DatasetError, "at T = 0.6; the recipe names 0.5", samples, targets=[{"temperature": 0.5, "times": [2.0]}])
    fails(DatasetError, "two or more at every temperature", samples[3:5])
    targets = [{"temperature": 0.6, "times": [9.0]}, {"temperature": 0.8, "times": [2.0]}]
    fails(DatasetError, "until t = 9", samples, targets=targets)
    fails(SettingsError, "DescriptorSettings", samples, descriptors={"reech": 2.0})
    unobserved = [replace(one, ensemble=replace(one.dynamics, particle_times=np.empty(0))) for one in samples]
    fails(SettingsError, "no particle times, at which propensities are observed", unobserved)
    with pytest.raises(ConfigurationError) as caught:
        train_predictor(samples, recipe(descriptors={}), Silent())
    # What the message says to write is small enough.
    reach = float(re.search(r"reach = ([0-9.]+)", caught.value.remedy)[1])  # type: ignore[index]
    train_predictor(samples, recipe(descriptors={"reach": reach, "generations": 1, "fine_generations": 0}), Silent())


def test_copies_that_are_not_exact_are_refused(samples: list[Sample]) -> None:
    # In another fold than the original it would be tested on its own label.
    old = samples[0].configuration
    shifted = replace(old, positions=wrap(old.positions + 0.3, old.box), inherent_positions=old.inherent_positions)
    with pytest.raises(DatasetError, match="is a copy of"):
        train_predictor([*samples, replace(samples[0], configuration=shifted)], recipe(), Silent())


def test_a_window_is_no_prediction_of_itself(samples: list[Sample]) -> None:
    from glassformer.simulate.cage import CageSampling, sample_cages

    some = []
    for sample in samples[:4]:
        sampling = CageSampling(draws=2, begin=0.1, end=0.3)
        cage = sample_cages(sample.configuration, sample.mixture, 0.6, 1, "window", sampling)
        some.append(replace(sample, cage=cage))
    with pytest.raises(SettingsError, match=r"t = 0\.5 .* t = 3"):
        train_predictor(some, recipe(reads="window"), Silent())


def test_cages_as_typed(dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(dataset, folder)
    short = ("--draws", "2", "--begin", "0.1", "--end", "0.5")
    done = run("cage", str(folder), *short)
    assert done.returncode == 0, done.stderr
    assert "8 configurations sampled; 0 already had" in done.stdout
    made = read_dataset(folder)
    assert {sample.cage.kind for sample in made if sample.cage} == {"restricted"}
    assert made[0].cage is not None
    assert not np.allclose(made[0].cage.positions, made[0].configuration.positions)
    assert "0 configurations sampled; 8 already had" in run("cage", str(folder), *short).stdout
    again = run("cage", str(folder), *short, "--radius", "0.5")
    assert "8 configurations sampled; 0 already had" in again.stdout
    assert {sample.cage.radius for sample in read_dataset(folder) if sample.cage} == {0.5}
    assert "0 configurations sampled; 8 already had" in run("cage", str(folder), *short, "--radius", "0.5").stdout
    # The model reads them, and answers for a structure whose cages it has to find itself.
    trained = train_predictor(made, recipe(reads="restricted", name="caged"), Silent())
    assert all(name.startswith("cage.") for name in trained.predictor.columns)
    assert trained.predictor.card.cages == {"draws": 2.0, "begin": 0.1, "end": 0.5, "radius": 0.4}
    write_predictor(tmp_path / "caged.h5", trained.predictor)
    source = structure(made[0], tmp_path)
    stated = ("--mixture", "kob-andersen", "--temperature", "0.6", "--json")
    answer = json.loads(run("propensity", str(source), "--model", str(tmp_path / "caged.h5"), *stated).stdout)[0]
    known = trained.predictor.predict(trained.items[0].table, trained.items[0].species, 0.6).propensity
    # Two draws from other velocities: alike, not the same.
    assert np.corrcoef(answer["propensity"], known)[0, 1] > 0.8
    # Cages of another radius are not read in their place, nor beside them.
    assert made[0].cage is not None
    other = replace(made[0].cage, radius=0.5, positions=made[0].configuration.positions)
    own = replace(made[0], cage=other)
    with pytest.raises(DatasetError, match="in 2 ways"):
        train_predictor([own, *made[1:]], recipe(reads="restricted"), Silent())
    replaced = run("cage", str(folder), "--kind", "window", *short)
    assert "t = 5 or later" in replaced.stdout
    assert {sample.cage.kind for sample in read_dataset(folder) if sample.cage} == {"window"}
    refused = run("cage", str(folder), "--begin", "3", "--end", "2")
    assert refused.returncode == 2
    assert "t = 3 to 2" in refused.stderr


def test_the_model_is_chosen_by_liquid_temperature_and_time() -> None:
    liquid = shipped_mixture("kob-andersen")
    assert model_for("", liquid, 0.44).card.name == "ka-t0.44-t4120"
    assert model_for("", liquid, 0.44, 13.0).card.name == "ka-t0.44-t13"
    assert model_for("", liquid, 0.44, 100.0).card.name == "ka-isochore"
    assert model_for("", liquid, 0.5).card.name == "ka-isochore"
    assert model_for("ka-t0.44-t4120-fast", liquid, 0.5).card.name == "ka-t0.44-t4120-fast"
    # Beyond all, the nearest; far beyond, none unless it is named.
    assert model_for("", liquid, 0.7).card.name == "ka-isochore"
    assert model_for("", liquid, 0.4).card.name == "ka-t0.44-t4120"
    for far in (0.81, 0.32):
        with pytest.raises(PredictionError, match=r"know T = 0\.44, 0\.5, 0\.56 and 0\.64, and are used up to 25 %"):
            model_for("", liquid, far)
    assert model_for("ka-isochore", liquid, 2.0).card.times_at(0.44)[-1] == 4120
    with pytest.raises(PredictionError, match="wahnstrom"):
        model_for("", shipped_mixture("wahnstrom"), 0.44)
    with pytest.raises(SettingsError, match="no model of that name"):
        model_for("nonsense", liquid, 0.44)


def test_recipes_and_models_that_ship_are_whole() -> None:
    for name in recipe_presets():
        assert load_recipe(name).name == name
    for name, path in shipped_models().items():
        card = read_predictor(path).card
        assert card.name == name
        assert name in recipe_presets()
        assert card.scores
        assert card.data
        assert card.licence
        assert card.limits
        assert "dirty" not in card.code_version
        assert path.stat().st_size < 650_000
        DescriptorSettings.of(card.descriptors)


def test_samples_with_cages_survive_reading(samples: list[Sample], tmp_path: Path) -> None:
    path = tmp_path / samples[0].facts.state_point / "c0000.h5"
    path.parent.mkdir()
    write_sample(path, samples[0])
    assert read_sample(path).cage is None
