"""A structure without draws: written, read, listed, quenched and predicted; refused where answers are needed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from glassformer.cli.app import app
from glassformer.core.campaign import Campaign
from glassformer.core.errors import DatasetError, GlassformerError, InputError, PredictionError
from glassformer.core.layout import DatasetFolder
from glassformer.core.progress import Silent
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.dataset.facts import Facts
from glassformer.dataset.folder import read_dataset, read_samples
from glassformer.dataset.predictions import Predictions, join, read_predictions, write_predictions
from glassformer.dataset.sample import Sample, read_sample, write_sample
from glassformer.dataset.summary import summarise
from glassformer.evaluate.evaluation import evaluate
from glassformer.physics.configuration import Configuration
from glassformer.simulate.campaign import run_campaign
from glassformer.simulate.status import campaign_status
from glassformer.train.training import run_identity, train_run
from tests.conftest import TINY_RUN, edited, rattled_lattice, synthetic_sample

LABEL = "T0.50_P1.55"


def of_ones_own(configuration: Configuration, label: str = "mine") -> Sample:
    """A structure of which nothing is known but its liquid and temperature."""
    mixture = synthetic_sample().facts.mixture
    return Sample(configuration, None, Facts(state_point=label, temperature=0.5, mixture=mixture))


def bare(index: int = 0, **changes: Any) -> Sample:
    return synthetic_sample(index, **changes).without_draws()


def run(*arguments: object) -> str:
    """Run a command in this process; return what it prints."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None:
        raise done.exception
    return " ".join(done.output.split())


def refused(*arguments: object) -> GlassformerError:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert isinstance(done.exception, GlassformerError), done.output
    assert done.exception.exit_code == 2
    return done.exception


def same(one: Sample, other: Sample) -> None:
    assert repr(one.facts) == repr(other.facts)
    for part in ("configuration", "ensemble", "equilibration"):
        first, second = getattr(one, part), getattr(other, part)
        assert (first is None) == (second is None), part
        for name, array in vars(first).items() if first is not None else ():
            np.testing.assert_array_equal(getattr(second, name), array, err_msg=name)


def test_propensity_models_refuse_them_before_anything_is_derived(tmp_path: Path) -> None:
    write_sample(tmp_path / "data" / "mine" / "a.h5", of_ones_own(rattled_lattice(6)))
    error = refused("train", "propensity", tmp_path / "data", "--out", tmp_path / "out")
    assert "it has no draws" in error.problem
    assert read_dataset(tmp_path / "data")[0].configuration.inherent_positions is None
    # The name of a propensity model is no file of a network.
    error = refused("predict", "ka-t0.44-t4120", tmp_path / "data", "--out", tmp_path / "p.h5")
    assert "glassformer propensity FILE --model ka-t0.44-t4120" in error.remedy


@pytest.mark.parametrize("equilibration", [True, False])
@pytest.mark.parametrize("inherent", [True, False])
@pytest.mark.parametrize("draws", [True, False])
def test_every_optional_part_comes_back_or_stays_away(
    draws: bool, inherent: bool, equilibration: bool, tmp_path: Path
) -> None:
    sample = synthetic_sample() if draws else bare()
    if inherent:
        positions = sample.configuration.positions.copy()
        sample = replace(sample, configuration=replace(sample.configuration, inherent_positions=positions))
    if not equilibration:
        sample = replace(sample, equilibration=None)
    write_sample(tmp_path / "a.h5", sample)
    found = read_sample(tmp_path / "a.h5")
    same(sample, found)
    assert found.draws == (3 if draws else 0)
    assert found.configuration.fingerprint == sample.configuration.fingerprint
    np.testing.assert_array_equal(found.configuration.signature, sample.configuration.signature)
    write_sample(tmp_path / "b.h5", found)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_structure_of_ones_own_needs_its_liquid_and_temperature_alone(tmp_path: Path) -> None:
    sample = of_ones_own(rattled_lattice(5))
    write_sample(tmp_path / "a.h5", sample)
    same(sample, read_sample(tmp_path / "a.h5"))
    with h5py.File(tmp_path / "a.h5") as file:
        assert set(file) == {"configuration"}
        assert set(file.attrs) == {"format", "schema_version", "state_point", "temperature", "mixture"}
    # Without a number of its own, it is called by its contents.
    assert sample.identifier == f"mine/{sample.configuration.fingerprint[:8]}"


@pytest.mark.long
def test_the_guide_writes_a_structure_that_is_predicted(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guide" / "files.md").read_text()
    code = guide.partition("## A structure from arrays")[2].partition("```python\n")[2].partition("```")[0]
    lattice = rattled_lattice(10, spacing=0.94)
    np.savetxt(tmp_path / "structure.txt", np.column_stack([lattice.positions, lattice.species]))
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    (sample,) = read_dataset(tmp_path / "structures")
    assert sample.identifier == "mine/a"
    np.testing.assert_allclose(sample.configuration.positions, lattice.positions)
    run("predict", models["system"], tmp_path / "structures" / "mine" / "a.h5", "--out", tmp_path / "p.h5")
    assert read_predictions(tmp_path / "p.h5").configurations == ("mine/a",)
    assert "1 x 0" in run("info", tmp_path / "structures")


def test_what_only_draws_give_is_not_said_of_a_bare_structure() -> None:
    full, sample = synthetic_sample(), bare()
    gone = {name for name, value in full.facts if getattr(sample.facts, name) != value}
    assert gone == {"time_step", "engine", "tau_alpha", "equilibration_in_tau_alpha", "energy_drift"}
    assert all(getattr(sample.facts, name) is None for name in gone)
    assert sample.facts.conserves_energy
    with pytest.raises(DatasetError, match=r"T0\.50_P1\.55/c0000 is a bare structure: it has no draws"):
        _ = sample.dynamics


Change = Callable[[h5py.File], None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.attrs.__setitem__("tau_alpha", 2.0), "is missing, but the attribute tau_alpha says"),
        (lambda file: file.attrs.__setitem__("energy_drift", 0.0), "missing, but the attribute energy_drift says"),
        (lambda file: file.create_group("isoconfigurational"), "the array 'times' is missing"),
        (lambda file: file.attrs.__delitem__("mixture"), "got the cutoff convention None"),
        (lambda file: file.attrs.__delitem__("temperature"), "attribute temperature"),
        (lambda file: file.attrs.__setitem__("temperature", np.nan), "attribute temperature"),
        (lambda file: file.attrs.__setitem__("index", -1), "attribute index"),
        (lambda file: file.__delitem__("configuration"), "the group 'configuration' is missing"),
        (lambda file: file.__delitem__("configuration/box"), "the array 'box' is missing"),
        (lambda file: file.__delitem__("equilibration/time"), "the array 'time' is missing"),
        (
            lambda file: file["configuration/box"].write_direct(np.array([5.0, 1.0, 3.0])),
            "particles lie outside the box",
        ),
        (
            lambda file: file["configuration/species"].write_direct(np.zeros(100, np.uint8)),
            "got 100 A particles of 100",
        ),
    ],
)
def test_damaged_bare_files_are_refused_by_name(change: Change, message: str, tmp_path: Path) -> None:
    path = tmp_path / "data" / LABEL / "c0000.h5"
    write_sample(path, bare())
    with edited(path) as file:
        change(file)
    with pytest.raises(InputError) as caught:
        read_sample(path)
    assert message in caught.value.problem
    assert str(path) in caught.value.problem
    assert message in refused("info", tmp_path / "data").problem


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_bare_file_is_refused(share: float, tmp_path: Path) -> None:
    path = tmp_path / "c0000.h5"
    write_sample(path, bare())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DatasetError, match="is not a whole HDF5 file"):
        read_sample(path)


def test_draws_that_were_lost_are_no_bare_structure(tmp_path: Path) -> None:
    """A sample that had draws says so in its facts."""
    write_sample(tmp_path / "c0000.h5", synthetic_sample())
    with edited(tmp_path / "c0000.h5") as file:
        del file["isoconfigurational"]
    with pytest.raises(DatasetError, match="the group 'isoconfigurational' is missing"):
        read_sample(tmp_path / "c0000.h5")
    with pytest.raises(DatasetError, match="the group 'isoconfigurational' is missing"):
        write_sample(tmp_path / "new.h5", replace(synthetic_sample(), ensemble=None))


def test_every_part_is_checked_before_it_is_written(tmp_path: Path) -> None:
    sample = bare()
    assert sample.equilibration is not None
    record = replace(sample.equilibration, time=sample.equilibration.time * np.nan)
    with pytest.raises(DatasetError, match="'time' has 7 values that are not finite"):
        write_sample(tmp_path / "c0000.h5", replace(sample, equilibration=record))
    elsewhere = replace(sample.configuration, inherent_positions=bare(1).configuration.positions)
    with pytest.raises(DatasetError, match="the inherent structure belongs to another configuration"):
        write_sample(tmp_path / "c0000.h5", replace(sample, configuration=elsewhere))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["time_step", "seed", "index", "engine", "parameter_hash", "tau_alpha", "energy_drift"]
)
def test_a_sample_with_draws_says_how_they_were_made(name: str, tmp_path: Path) -> None:
    write_sample(tmp_path / "c0000.h5", synthetic_sample())
    with edited(tmp_path / "c0000.h5") as file:
        del file.attrs[name]
    with pytest.raises(DatasetError, match=f"attribute {name}: missing in a sample with draws"):
        read_sample(tmp_path / "c0000.h5")


def test_bare_structures_are_listed(tmp_path: Path) -> None:
    for index in range(3):
        sample = synthetic_sample(index)
        write_sample(DatasetFolder(tmp_path).sample(LABEL, index), sample if index == 2 else sample.without_draws())
    (summary,) = summarise(read_dataset(tmp_path))
    assert (summary.configurations, summary.bare, summary.draws, summary.particles) == (3, 2, 3, 100)
    # What draws tell is that of the one that has some.
    (alone,) = summarise([synthetic_sample(2)])
    assert (summary.energy_drift, summary.last_time) == (alone.energy_drift, alone.last_time)
    printed = run("info", tmp_path)
    assert "3 x 3" in printed
    assert "2 of 3 configurations are bare structures, without draws" in printed
    for path in tmp_path.glob("*/c0002.h5"):
        path.unlink()
    (row,) = json.loads(run("info", tmp_path, "--json"))
    assert (row["draws"], row["bare"]) == (0, 2)
    assert row["tau_alpha"] is row["last_time"] is row["energy_drift"] is None
    assert "2 x 0" in run("info", tmp_path)


@pytest.mark.long
def test_a_bare_structure_is_a_configuration_to_be_followed(
    tiny_dataset: Path, tiny_campaign: Campaign, tmp_path: Path
) -> None:
    """`status` lists it as begun; `simulate` adds the draws, the same to the bit."""
    settings = tiny_campaign.model_copy(update={"configurations": 1, "state_points": tiny_campaign.state_points[:1]})
    label = settings.state_points[0].label
    whole = read_sample(DatasetFolder(tiny_dataset).sample(label, 0))
    write_sample(DatasetFolder(tmp_path).sample(label, 0), whole.without_draws())
    (tmp_path / "campaign.json").write_bytes((tiny_dataset / "campaign.json").read_bytes())
    point = campaign_status(tmp_path).points[0]
    assert (point.done, point.begun) == (0, ("c0000: 0 of 2 draws",))
    assert "c0000: 0 of 2 draws" in run("status", tmp_path)
    assert run_campaign(settings, tmp_path, Silent(), 1) == 1
    same(read_sample(DatasetFolder(tmp_path).sample(label, 0)), whole)


@pytest.mark.long
def test_a_bare_structure_is_quenched(tmp_path: Path) -> None:
    samples = [of_ones_own(rattled_lattice(6, seed)) for seed in (0, 1)]
    for number, sample in enumerate(samples):
        write_sample(tmp_path / "mine" / f"{number}.h5", sample)
    assert "2 inherent structures found" in run("quench", tmp_path)
    for before, after in zip(samples, read_dataset(tmp_path), strict=True):
        assert after.ensemble is None
        assert after.configuration.inherent_positions is not None
        same(before, replace(after, configuration=replace(after.configuration, inherent_positions=None)))
    assert "0 inherent structures found; 2 were in the dataset already" in run("quench", tmp_path)


NETWORKS = {
    "system": ({}, {"times": [0.5, 2.0]}),
    "particles": ({"head": "particle"}, {"times": [1.0], "quantity": "propensity", "species": "B"}),
    "velocity": ({"inputs": ["type", "velocity"]}, {"times": [1.0], "draws": "each"}),
}


def trained(folder: Path, name: str) -> Path:
    network, targets = NETWORKS[name]
    tables = {"network": TINY_RUN["network"] | network, "targets": targets, "training": {"epochs": 1, "batch_size": 3}}  # type: ignore[operator]
    samples = [synthetic_sample(index) for index in range(6)]
    samples = [replace(s, facts=s.facts.model_copy(update={"engine": "LAMMPS 2025.7.22"})) for s in samples]
    train_run(check_settings(TINY_RUN | tables, Run, name), samples, folder, Silent(), threads=1)
    return folder / "fold-0" / "model.safetensors"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: trained(tmp_path_factory.mktemp(name), name) for name in NETWORKS}


def write_all(folder: Path, samples: list[Sample]) -> Path:
    for index, sample in enumerate(samples):
        write_sample(folder / f"s{index}.h5", sample)
    return folder


@pytest.mark.parametrize("name", ["system", "particles"])
def test_bare_structures_are_predicted_as_samples_are(name: str, models: dict[str, Path], tmp_path: Path) -> None:
    samples = [synthetic_sample(index) for index in (10, 11, 12)]
    with_draws = write_all(tmp_path / "full", samples)
    alone = write_all(tmp_path / "bare", [sample.without_draws() for sample in samples])
    run("predict", models[name], with_draws, "--out", tmp_path / "full.h5")
    printed = run("predict", models[name], alone, "--out", tmp_path / "bare.h5")
    assert "3 configurations predicted, 0 of them seen in training" in printed
    assert "3 of 3 configurations are bare structures, without draws: there is nothing to compare" in printed
    known, found = read_predictions(tmp_path / "full.h5"), read_predictions(tmp_path / "bare.h5")
    for array in ("times", "prediction", "density", "density_fit", "particles", "particle_prediction"):
        np.testing.assert_array_equal(getattr(found, array), getattr(known, array), err_msg=array)
    with h5py.File(tmp_path / "bare.h5") as file:
        assert not {"msd_draws", "propensity_draws", "particle_label", "particle_ceiling"} & set(file)
    assert found.roles == ("test",) * 3
    assert not found.answered.any()
    assert "none of the 3 predicted configurations has draws" in refused("evaluate", tmp_path / "bare.h5").problem
    with pytest.raises(PredictionError, match="none of the 3 configurations has draws"):
        _ = found.label


@pytest.mark.parametrize("name", ["system", "particles"])
def test_what_has_answers_is_scored_and_the_rest_is_counted(name: str, models: dict[str, Path], tmp_path: Path) -> None:
    samples = [synthetic_sample(index, draws=3 + index % 2, particles=100 + 10 * index) for index in (10, 11, 12, 13)]
    mixed = [samples[0], samples[1].without_draws(), samples[2].without_draws(), samples[3]]
    run("predict", models[name], write_all(tmp_path / "mixed", mixed), "--out", tmp_path / "mixed.h5")
    run("predict", models[name], write_all(tmp_path / "some", [mixed[0], mixed[3]]), "--out", tmp_path / "some.h5")
    found, some = (read_predictions(tmp_path / f"{one}.h5") for one in ("mixed", "some"))
    assert found.answered.tolist() == [True, False, False, True]
    assert np.isnan(found.label[1:3]).all()
    np.testing.assert_array_equal(found.label[[0, 3]], some.label)
    if name == "particles":
        assert np.isnan(found.particle_label[found.of_particles(1)]).all()
        np.testing.assert_array_equal(found.particle_label[found.of_particles(3)], some.particle_label[-230:])
    scores, expected = evaluate(found), evaluate(some)
    assert scores.without_draws == 2
    assert repr(replace(scores, without_draws=0)) == repr(expected)
    assert "2 configurations have no draws to compare with and are not scored" in run("evaluate", tmp_path / "mixed.h5")
    assert json.loads(run("evaluate", tmp_path / "mixed.h5", "--json"))["without_draws"] == 2
    # Chosen alone, those without draws have no answers at all; joined again, all are as they were.
    parts = [join([found], [rows]) for rows in ([0], [1, 2], [3])]
    assert parts[1].msd_draws is parts[1].particle_label is None
    again = join(parts, [[0], [0, 1], [0]])
    for field, value in vars(found).items():
        np.testing.assert_array_equal(getattr(again, field), value, err_msg=field)


def test_structures_that_were_trained_on_are_still_known(models: dict[str, Path], tmp_path: Path) -> None:
    folder = write_all(tmp_path / "bare", [synthetic_sample(index).without_draws() for index in range(6)])
    write_sample(folder / "new.h5", synthetic_sample(20))
    run("predict", models["system"], folder, "--out", tmp_path / "p.h5")
    found = read_predictions(tmp_path / "p.h5")
    assert {"train", "validation", "test"} == set(found.roles[1:])
    assert evaluate(found).left_out == 3
    only_bare = join([found], [[row for row in range(7) if not found.answered[row] or found.roles[row] != "test"]])
    with pytest.raises(PredictionError, match="none of the 6 predicted configurations has draws"):
        evaluate(only_bare)
    seen = replace(found, roles=("train", *found.roles[1:]))
    with pytest.raises(PredictionError, match="the 3 configurations that training had not seen have no draws"):
        evaluate(seen)


@pytest.mark.parametrize("layout", ["file", "folder", "dataset", "both"])
def test_a_file_a_folder_and_a_dataset_are_predicted(layout: str, models: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    places = {
        "file": [folder / "one.h5"],
        "folder": [folder / "one.h5", folder / "two.h5"],
        "dataset": [folder / LABEL / "c0000.h5", folder / "other" / "c0000.h5"],
        "both": [folder / "one.h5", folder / "other" / "c0000.h5"],
    }[layout]
    for index, path in enumerate(places):
        write_sample(path, bare(index))
    (folder / ".hidden.h5").write_text("half")
    target = places[0] if layout == "file" else folder
    run("predict", models["system"], target, "--out", tmp_path / "p.h5")
    names = {
        "file": ["mine-one"], "folder": ["mine-one", "mine-two"], "dataset": ["c0000", "other-c0000"],
        "both": ["mine-one", "other-c0000"],
    }[layout]  # fmt: skip
    assert read_predictions(tmp_path / "p.h5").configurations == tuple(f"{LABEL}/{name}" for name in names)


def test_structures_of_several_sizes_are_read_together(tmp_path: Path) -> None:
    write_all(tmp_path, [bare(0), bare(1, particles=200)])
    assert [sample.configuration.particles for sample in read_samples(tmp_path)] == [100, 200]


def test_what_cannot_be_predicted_is_told(models: dict[str, Path], tmp_path: Path) -> None:
    model, out = models["system"], tmp_path / "p.h5"
    assert "there is no file or folder" in refused("predict", model, tmp_path / "absent", "--out", out).problem
    (tmp_path / "empty").mkdir()
    assert "is empty" in refused("predict", model, tmp_path / "empty", "--out", out).problem
    twice = write_all(tmp_path / "twice", [bare(0), bare(0)])
    assert "is a copy of" in refused("predict", model, twice, "--out", out).problem
    (tmp_path / "text.h5").write_text("hello")
    assert "is not a whole HDF5 file" in refused("predict", model, tmp_path / "text.h5", "--out", out).problem
    one = write_all(tmp_path / "one", [bare(0)])
    error = refused("predict", models["velocity"], one, "--out", out)
    assert "is a bare structure: the network reads the velocities of draws, and it has none" in error.problem
    assert "reads no velocities" in error.remedy
    assert not out.exists()


def test_training_and_scoring_refuse_bare_structures(tmp_path: Path) -> None:
    samples = [synthetic_sample(index) for index in range(6)]
    samples[4] = samples[4].without_draws()
    for index, sample in enumerate(samples):
        write_sample(DatasetFolder(tmp_path / "data").sample(LABEL, index), sample)
    error = refused("train", "demo", tmp_path / "data", "--out", tmp_path / "training")
    assert "1 of 6 configurations are bare structures, first T0.50_P1.55/c0004: they have no draws" in error.problem
    assert "glassformer predict MODEL FOLDER" in error.remedy
    assert not (tmp_path / "training").exists()
    with pytest.raises(DatasetError, match="c0004 is a bare structure"):
        run_identity(check_settings(TINY_RUN, Run, "tiny"), samples)
    error = refused("evaluate", DatasetFolder(tmp_path / "data").sample(LABEL, 4))
    assert "is not a prediction file" in error.problem
    # What needs no dynamics is analysed.
    printed = run("analyse", tmp_path / "data", "--observables", "rdf", "--out", tmp_path / "out")
    assert "tables and figures" in printed
    error = refused("analyse", tmp_path / "data", "--observables", "msd", "--out", tmp_path / "out")
    assert "c0004 is a bare structure: it has no draws" in error.problem


def answered(**changes: Any) -> Predictions:
    random = np.random.default_rng(0)
    values: dict[str, Any] = {
        "network": "n", "parameter_hash": "h", "code_version": "v", "configurations": ("a/0", "a/1", "a/2"),
        "state_points": ("a",) * 3, "roles": ("test",) * 3, "times": np.array([1.0, 2.0]), "density": np.ones(3),
        "msd_draws": random.uniform(1, 2, (3, 4, 2)), "prediction": np.ones((3, 2)),
        "state_point_mean": np.ones((3, 2)), "density_fit": np.ones((3, 2)),
    }  # fmt: skip
    return Predictions(**values | changes)


def without(row: object) -> np.ndarray:
    draws = np.array(answered().msd_draws)
    draws[row] = np.nan
    return draws


PARTICLES = {
    "particles": np.array([1, 1, 1]), "particle_species": np.zeros(3, np.uint8),
    "particle_prediction": np.ones((3, 2), np.float32), "particle_label": np.ones((3, 2), np.float32),
    "particle_ceiling": np.ones((3, 2, 2)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"msd_draws": without(slice(None))}, "'msd_draws' has no draw at all"),
        ({"msd_draws": without((1, slice(None), 0))}, "'msd_draws' has draws at some of the times only"),
        (
            {"msd_draws": None, "propensity_draws": np.ones((3, 4, 2))},
            "'propensity_draws' belongs to the quantity propensity, and to no other",
        ),
        (
            {"propensity_draws": without(1), "quantity": "propensity"},
            "'msd_draws' is of configurations that 'propensity_draws' is not of",
        ),
        (PARTICLES | {"msd_draws": None}, "'msd_draws' is missing beside 'particle_label'"),
        (PARTICLES | {"particle_ceiling": None}, "'particle_ceiling' is missing beside 'particles'"),
        (PARTICLES | {"msd_draws": without(1)}, "'particle_label' has values for configurations without draws"),
        (
            PARTICLES | {"particle_label": np.full((3, 2), np.nan, np.float32)},
            "'particle_label' has 6 values that are not finite",
        ),
    ],
)
def test_padding_is_no_answer(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.h5", answered())
    with pytest.raises(PredictionError, match=message):
        write_predictions(tmp_path / "p.h5", answered(**changes))
