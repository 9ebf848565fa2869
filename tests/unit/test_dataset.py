"""Sample files by damage, dataset folders, labels, splits and prediction files."""

import contextlib
import re
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from glassformer.cli.app import app
from glassformer.core.errors import ConfigurationError, DatasetError, InputError, PredictionError
from glassformer.core.layout import DatasetFolder
from glassformer.core.run import Split
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.labels import log_msd_a, msd_a_draws, target_times
from glassformer.dataset.predictions import Predictions, read_predictions, write_predictions
from glassformer.dataset.sample import Sample, read_sample, write_sample
from glassformer.dataset.splits import folds
from glassformer.dataset.summary import summarise
from tests.conftest import edited, synthetic_sample


def test_a_sample_comes_back_as_it_was_written(tmp_path: Path) -> None:
    sample, path = synthetic_sample(), tmp_path / "c0000.h5"
    write_sample(path, sample)
    found = read_sample(path)
    assert found.facts == sample.facts
    assert found.identifier == "T0.50_P1.55/c0000"
    for part in ("configuration", "ensemble", "equilibration"):
        for name, array in vars(getattr(sample, part)).items():
            np.testing.assert_array_equal(getattr(getattr(found, part), name), array)
            if array is not None:
                assert getattr(getattr(found, part), name).dtype == array.dtype


def test_the_same_sample_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        write_sample(tmp_path / name, synthetic_sample())
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def edit(name: str, index: object, value: float) -> object:
    def change(file: h5py.File) -> None:
        array = file[name][()]
        array[index] = value
        file[name][...] = array

    return change


def remove(name: str) -> object:
    return lambda file: file.__delitem__(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit("configuration/positions", (4, 1), np.nan), "'positions' has 1 values that are not finite"),
        (edit("configuration/positions", (4, 1), 1e3), "1 particles lie outside the box"),
        (edit("configuration/species", 4, 8), "got species"),
        (edit("configuration/box", 0, 0.0), "expected positive lengths"),
        (edit("isoconfigurational/msd", (0, 0, 0), np.inf), "'msd' has 1 values that are not finite"),
        (edit("isoconfigurational/msd", (0, 0, 0), 0.0), "mean squared displacement of 0 or less"),
        (edit("isoconfigurational/times", 1, 9.0), "times that do not increase"),
        (remove("configuration/species"), "the array 'species' is missing"),
        (remove("isoconfigurational"), "the group 'isoconfigurational' is missing"),
        (lambda file: file.attrs.__setitem__("schema_version", 99), "got schema version 99; expected 1 to 3"),
        (lambda file: file.attrs.__setitem__("temperature", "cold"), "attribute temperature"),
        (lambda file: file.attrs.__delitem__("seed"), "attribute seed"),
    ],
)
def test_damaged_contents_are_named(change: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "c0000.h5"
    write_sample(path, synthetic_sample())
    with edited(path) as file:
        change(file)
    with pytest.raises(InputError) as caught:
        read_sample(path)
    assert message in caught.value.problem
    assert str(path) in caught.value.problem
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_is_refused(share: float, tmp_path: Path) -> None:
    path = tmp_path / "c0000.h5"
    write_sample(path, synthetic_sample())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DatasetError, match="is not a whole HDF5 file"):
        read_sample(path)


@pytest.mark.parametrize("flips", range(20))
def test_flipped_bytes_raise_our_error_or_change_nothing_vital(flips: int, tmp_path: Path) -> None:
    path = tmp_path / "c0000.h5"
    write_sample(path, synthetic_sample())
    damaged = bytearray(path.read_bytes())
    random = np.random.default_rng(flips)
    for place in random.integers(len(damaged), size=40):
        damaged[place] ^= int(random.integers(1, 256))
    path.write_bytes(bytes(damaged))
    with contextlib.suppress(InputError):
        assert read_sample(path).configuration.particles == 100


def changed_structure(**changes: object) -> Sample:
    sample = synthetic_sample()
    return replace(sample, configuration=replace(sample.configuration, **changes))


STRANGE_LIQUIDS = {
    r"got 65 A particles of 100; expected 80, 80 %": changed_structure(species=(np.arange(100) >= 65).astype(np.uint8)),
    r"got 100 A particles of 100": changed_structure(species=np.zeros(100, np.uint8)),
    r"all 100 particles lie in one plane": changed_structure(
        positions=synthetic_sample().configuration.positions * [1, 1, 0]
    ),
    r"particles number 1 and 100 have exactly the same position": changed_structure(
        positions=synthetic_sample().configuration.positions[[*range(99), 0]]
    ),
    r"got 1.2 particles per volume in a sample of density 1.1": replace(
        synthetic_sample(), facts=synthetic_sample().facts.model_copy(update={"density": 1.1, "pressure": None})
    ),
}


@pytest.mark.parametrize("message", STRANGE_LIQUIDS)
def test_other_liquids_are_refused_on_reading_and_writing(
    message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data" / "T0.50_P1.55" / "c0000.h5"
    with pytest.raises(InputError, match=message):
        write_sample(path, STRANGE_LIQUIDS[message])
    # As another program, or an older version, may have written it.
    with monkeypatch.context() as unchecked:
        unchecked.setattr("glassformer.dataset.sample.check_sample", lambda sample, where: None)
        write_sample(path, STRANGE_LIQUIDS[message])
    for command in ("info", "quench", "analyse"):
        done = CliRunner().invoke(app, [command, str(tmp_path / "data")])
        assert isinstance(done.exception, InputError)
        assert re.search(message, done.exception.problem)
        assert "c0000.h5" in done.exception.problem


def test_an_unknown_cutoff_convention_is_refused(tmp_path: Path) -> None:
    write_sample(tmp_path / "c0000.h5", synthetic_sample())
    with edited(tmp_path / "c0000.h5") as file:
        del file.attrs["mixture"]
        file.attrs["cutoff"] = "nonsense"
    with pytest.raises(
        DatasetError, match=r"c0000.h5: got the cutoff convention 'nonsense'; expected one of scaled, uniform"
    ):
        read_sample(tmp_path / "c0000.h5")


def test_a_bad_sample_is_never_written(tmp_path: Path) -> None:
    sample = synthetic_sample()
    sample.configuration.positions[0, 0] = np.nan
    with pytest.raises(ConfigurationError):
        write_sample(tmp_path / "c0000.h5", sample)
    assert list(tmp_path.iterdir()) == []


def write_dataset(folder: Path, state_points: tuple[str, ...] = ("T0.50_P1.55", "T0.56_P0.17"), each: int = 6) -> None:
    for label in state_points:
        for index in range(each):
            write_sample(DatasetFolder(folder).sample(label, index), synthetic_sample(index, label))


def test_datasets_are_read_in_order_and_temporary_files_are_not(tmp_path: Path) -> None:
    write_dataset(tmp_path, each=2)
    (tmp_path / "T0.50_P1.55" / ".c0009.h5.77.tmp").write_text("half")
    (tmp_path / "notes.txt").write_text("mine")
    found = [sample.identifier for sample in read_dataset(tmp_path)]
    assert found == [f"{label}/c000{index}" for label in ("T0.50_P1.55", "T0.56_P0.17") for index in (0, 1)]


def test_an_empty_or_absent_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is empty"):
        read_dataset(tmp_path)
    with pytest.raises(DatasetError, match="there is no dataset folder"):
        read_dataset(tmp_path / "absent")


def test_a_copied_configuration_is_refused(tmp_path: Path) -> None:
    write_dataset(tmp_path, each=2)
    write_sample(DatasetFolder(tmp_path).sample("T0.50_P1.55", 7), replace_index(synthetic_sample(0), 7))
    with pytest.raises(DatasetError, match=r"c0007.h5 is a copy of .*c0000.h5"):
        read_dataset(tmp_path)


def test_a_file_copied_by_hand_is_refused(tmp_path: Path) -> None:
    write_dataset(tmp_path, each=2)
    shutil.copy(DatasetFolder(tmp_path).sample("T0.50_P1.55", 0), DatasetFolder(tmp_path).sample("T0.50_P1.55", 5))
    with pytest.raises(DatasetError, match=r"c0005.h5 is a copy of .*c0000.h5"):
        read_dataset(tmp_path)


def test_the_wrong_folder_is_told(tmp_path: Path) -> None:
    write_predictions(tmp_path / "training" / "predictions.h5", synthetic_predictions())
    with pytest.raises(DatasetError, match="is not a sample file") as caught:
        read_dataset(tmp_path)
    assert "demo/data" in caught.value.remedy


def replace_index(sample: Sample, index: int) -> Sample:
    return replace(sample, facts=sample.facts.model_copy(update={"index": index}))


def test_labels_are_the_log_of_the_mean_over_draws() -> None:
    sample = synthetic_sample()
    times = target_times([sample], (1.0, "last"))
    assert times.tolist() == [1.0, 2.0]
    np.testing.assert_array_equal(msd_a_draws(sample, times), sample.ensemble.msd[:, [1, 2], 0])
    np.testing.assert_allclose(log_msd_a(sample, times), np.log(sample.ensemble.msd[:, [1, 2], 0].mean(0)))


def test_a_target_time_may_not_stand_twice() -> None:
    with pytest.raises(DatasetError, match="contain a time twice"):
        target_times([synthetic_sample()], (2.0, "last"))


def test_a_time_that_was_not_observed_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"not observed at t = 1.5; its nearest time is 1"):
        target_times([synthetic_sample()], (1.5,))


@pytest.mark.parametrize("number", [2, 3, 4])
def test_folds_test_every_configuration_once_and_never_share(number: int) -> None:
    samples = [synthetic_sample(index, label) for label in ("T0.50_P1.55", "T0.56_P0.17") for index in range(7)]
    parts = folds(samples, Split(folds=number), seed=5)
    assert sorted(index for part in parts for index in part.test) == list(range(14))
    for part in parts:
        assert sorted(part.train + part.validation + part.test) == list(range(14))
        assert len(part.validation) == 2
        # Every state point is on every side.
        for side in (part.train, part.validation, part.test):
            assert {samples[index].facts.state_point for index in side} == {"T0.50_P1.55", "T0.56_P0.17"}
    assert folds(samples, Split(folds=number), seed=5) == parts != folds(samples, Split(folds=number), seed=6)


def test_validation_differs_between_folds() -> None:
    samples = [synthetic_sample(index) for index in range(8)]
    chosen = [part.validation for part in folds(samples, Split(folds=4), seed=0)]
    assert len(set(chosen)) == 4


def test_too_few_configurations_for_the_folds() -> None:
    samples = [synthetic_sample(index) for index in range(3)]
    with pytest.raises(DatasetError, match="3 configurations: too few for 4 folds"):
        folds(samples, Split(folds=4), seed=0)
    with pytest.raises(DatasetError, match="too few for 2 folds"):
        folds(samples, Split(folds=2, validation_per_state_point=2), seed=0)


def test_summary_measures_tau_alpha_from_the_mean_curve() -> None:
    samples = [synthetic_sample(index) for index in range(4)]
    (summary,) = summarise(samples)
    assert (summary.configurations, summary.draws, summary.particles) == (4, 3, 100)
    # F_s = exp(-0.1 t ...) stays above 1/e until t = 2.
    assert np.isnan(summary.tau_alpha)
    assert summary.as_json()["tau_alpha"] is None


def synthetic_predictions(roles: tuple[str, ...] = ("test", "train", "validation", "test")) -> Predictions:
    random = np.random.default_rng(0)
    number = len(roles)
    return Predictions(
        network="particlenet", parameter_hash="h", code_version="v",
        configurations=tuple(f"T0.50_P1.55/c{index:04d}" for index in range(number)),
        state_points=("T0.50_P1.55",) * number, roles=roles, times=np.array([1.0, 2.0]),
        density=random.uniform(1.1, 1.2, number), msd_draws=random.uniform(0.1, 0.2, (number, 3, 2)),
        prediction=random.normal(size=(number, 2)), state_point_mean=random.normal(size=(number, 2)),
        density_fit=random.normal(size=(number, 2)),
    )  # fmt: skip


def test_predictions_come_back_as_they_were_written(tmp_path: Path) -> None:
    predictions, path = synthetic_predictions(), tmp_path / "p.h5"
    write_predictions(path, predictions)
    found = read_predictions(path)
    for name, value in vars(predictions).items():
        np.testing.assert_array_equal(getattr(found, name), value)


def test_files_that_are_no_predictions_are_refused(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample.h5", synthetic_sample())
    with pytest.raises(PredictionError, match="is not a prediction file"):
        read_predictions(tmp_path / "sample.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(PredictionError, match="is not a whole prediction file") as caught:
        read_predictions(tmp_path / "text.h5")
    # It may be the user's own structure.
    assert "delete" not in caught.value.remedy
    assert "`glassformer propensity`" in caught.value.remedy
    with pytest.raises(PredictionError, match="there is no file"):
        read_predictions(tmp_path / "absent.h5")
    strange = replace(synthetic_predictions(), roles=("test", "train", "tset", "test"))
    with pytest.raises(PredictionError, match=r"got roles \['tset'\]"):
        write_predictions(tmp_path / "p.h5", strange)
    wrong = replace(synthetic_predictions(), roles=("test",))
    with pytest.raises(PredictionError, match="'roles' has 1 entries, not 4"):
        write_predictions(tmp_path / "p.h5", wrong)


def test_the_disk_fills_up_while_a_sample_is_written(tmp_path: Path) -> None:
    """A file-size limit stands for the full disk: the same call fails, with the same clean-up."""
    import resource

    path = tmp_path / "c0000.h5"
    write_sample(path, synthetic_sample())
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(InputError, match="cannot write"):
            write_sample(path, synthetic_sample(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["c0000.h5"]
    shutil.rmtree(tmp_path)
