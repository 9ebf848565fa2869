"""Prediction files with particles in them: there and back, joined, of older versions, and damaged."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from glassformer.core.errors import PredictionError
from glassformer.dataset.predictions import Predictions, join, read_predictions, write_predictions
from glassformer.evaluate.evaluation import evaluate
from tests.conftest import edited
from tests.unit.test_dataset import synthetic_predictions
from tests.unit.test_scores import particle_predictions

ARRAYS = ("particles", "particle_species", "particle_label", "particle_prediction", "particle_ceiling")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_predictions(tmp_path / "p.h5", particle_predictions())
    return tmp_path / "p.h5"


def assert_equal(one: Predictions, other: Predictions) -> None:
    for name, value in vars(one).items():
        np.testing.assert_array_equal(getattr(other, name), value, err_msg=name)


def test_they_come_back_as_they_were_written(written: Path) -> None:
    assert_equal(particle_predictions(), read_predictions(written))


def test_the_propensity_comes_back_under_its_name(tmp_path: Path) -> None:
    plain = synthetic_predictions()
    propensity = replace(plain, quantity="propensity", species="B", propensity_draws=plain.msd_draws + 1)
    write_predictions(tmp_path / "p.h5", propensity)
    assert_equal(propensity, read_predictions(tmp_path / "p.h5"))


def test_files_from_before_there_were_particles_are_read(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.h5", synthetic_predictions())
    with edited(tmp_path / "p.h5") as file:
        del file.attrs["quantity"], file.attrs["species"]
    found = read_predictions(tmp_path / "p.h5")
    assert_equal(synthetic_predictions(), found)
    assert evaluate(found).label == "ln MSD_A"


def test_configurations_are_chosen_with_their_particles() -> None:
    predictions = particle_predictions()
    chosen = join([predictions, predictions], [[3, 0], [2]])
    assert chosen.particles.tolist() == [12, 9, 11]
    assert chosen.configurations == tuple(predictions.configurations[row] for row in (3, 0, 2))
    for number, row in enumerate((3, 0, 2)):
        for name in ("particle_species", "particle_label", "particle_prediction"):
            array = getattr(predictions, name)
            np.testing.assert_array_equal(
                getattr(chosen, name)[chosen.of_particles(number)], array[predictions.of_particles(row)]
            )
        np.testing.assert_array_equal(chosen.particle_ceiling[number], predictions.particle_ceiling[row])


def test_configurations_with_fewer_draws_are_padded_when_joined() -> None:
    many = synthetic_predictions()
    few = replace(many, msd_draws=many.msd_draws[:, :2])
    joined = join([many, few], [[0], [1]])
    assert joined.msd_draws.shape == (2, 3, 2)
    assert np.isnan(joined.msd_draws[1, 2]).all()
    np.testing.assert_array_equal(joined.label[1], few.label[1])


@pytest.mark.parametrize("name", ARRAYS)
def test_a_missing_array_is_named(name: str, written: Path) -> None:
    with edited(written) as file:
        del file[name]
    with pytest.raises(PredictionError, match=f"'{name}' is missing"):
        read_predictions(written)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("particles", lambda a: a + 1, "'particles' adds up to 46; the arrays of particles have 42 rows"),
        ("particles", lambda a: a[[0, 0, 0, 0]] * 0, "'particles' adds up to 0"),
        ("particles", lambda a: a[:3], r"'particles' has shape \(3,\); expected \(4\)"),
        ("particles", lambda a: a.astype("i4"), "'particles' has type int32"),
        ("particle_species", lambda a: a + 1, "got species 2; expected 0"),
        ("particle_label", lambda a: a[:-1], r"'particle_label' has shape \(41, 2\); expected \(42, 2\)"),
        ("particle_label", lambda a: a * np.float32(np.nan), "'particle_label' has 84 values that are not finite"),
        ("particle_prediction", lambda a: np.where(a == a[0], np.nan, a).astype("f4"), "values that are not numbers"),
        ("particle_prediction", lambda a: a[:, :1], r"'particle_prediction' has shape \(42, 1\)"),
        ("particle_ceiling", lambda a: a * np.inf, "'particle_ceiling' has 16 values that are not finite"),
    ],
)
def test_damaged_particles_are_refused(name: str, change: object, message: str, written: Path) -> None:
    with edited(written) as file:
        damaged = change(file[name][()])  # type: ignore[operator]
        del file[name]
        file.create_dataset(name, data=damaged)
    with pytest.raises(PredictionError, match=message):
        read_predictions(written)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("times", lambda a: -a, "'times' has 2 values of 0 or less"),
        ("density", lambda a: 0 * a, "'density' has 4 values of 0 or less"),
        ("msd_draws", lambda a: -a, "'msd_draws' has 24 values of 0 or less"),
        ("particle_ceiling", lambda a: a + 1, "'particle_ceiling' has values outside 0 to 1"),
    ],
)
def test_what_no_liquid_can_have_is_refused(name: str, change: Any, message: str, written: Path) -> None:
    with edited(written) as file:
        file[name][...] = change(file[name][()])
    with pytest.raises(PredictionError, match=message):
        read_predictions(written)


@pytest.mark.parametrize(
    ("name", "text"), [("state_points", "../../x"), ("state_points", "\x1b[2Jx"), ("configurations", "a\x1b[2J")]
)
def test_names_that_cannot_be_printed_or_name_other_folders_are_refused(name: str, text: str, written: Path) -> None:
    with edited(written) as file:
        texts = [text, *file[name].asstr()[1:]]
        del file[name]
        file.create_dataset(name, data=texts, dtype=h5py.string_dtype())
    with pytest.raises(PredictionError, match=r"got the name .*; expected one that can be printed") as caught:
        read_predictions(written)
    assert caught.value.remedy == "Write it again: glassformer predict MODEL DATASET --out FILE.h5."


@pytest.mark.parametrize("name", ["configurations", "state_points"])
def test_names_that_could_not_be_read_again_are_not_written(name: str, tmp_path: Path) -> None:
    predictions = synthetic_predictions()
    texts = ("a\N{NO-BREAK SPACE}b", *getattr(predictions, name)[1:])
    with pytest.raises(PredictionError, match=r"got the name 'a\\xa0b'; expected one that can be printed") as caught:
        write_predictions(tmp_path / "p.h5", replace(predictions, **{name: texts}))
    assert caught.value.remedy.startswith("Rename it")
    assert not (tmp_path / "p.h5").exists()


def test_no_structure_is_scored_twice_and_no_state_point_has_two_temperatures() -> None:
    predictions = synthetic_predictions(("test", "test", "train", "test"))
    one_label, marks = ("T0.50_P1.55",) * 4, ("a", "b", "a", "c")
    # What training saw is not scored.
    assert evaluate(replace(predictions, state_points=one_label, fingerprints=marks)).rows[0].configurations == 3
    with pytest.raises(PredictionError, match="are the same structure, which would be scored twice"):
        evaluate(replace(predictions, state_points=one_label, fingerprints=("a", "b", "c", "b")))
    temperature = np.array([0.5, 0.5, 0.5, 0.56])
    with pytest.raises(PredictionError, match=r"the same label .* temperature 0\.5 and 0\.56"):
        evaluate(replace(predictions, state_points=one_label, temperature=temperature))
    labels = (*one_label[:3], "T0.56_P0.17")
    assert len(evaluate(replace(predictions, state_points=labels, temperature=temperature)).rows) == 6


def test_a_quantity_that_nobody_knows_is_refused(written: Path) -> None:
    with edited(written) as file:
        file.attrs["quantity"] = "speed"
    with pytest.raises(PredictionError, match="got quantity 'speed'; expected squared-displacement or propensity"):
        read_predictions(written)
    with edited(written) as file:
        file.attrs["quantity"] = "propensity"
    with pytest.raises(PredictionError, match="'propensity_draws' belongs to the quantity propensity"):
        read_predictions(written)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.98])
def test_a_file_that_was_cut_short_is_refused(share: float, written: Path) -> None:
    whole = written.read_bytes()
    written.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(PredictionError, match="is not a whole prediction file"):
        read_predictions(written)
