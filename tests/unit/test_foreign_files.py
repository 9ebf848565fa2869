"""Files that do not belong together, that must not be replaced, or whose JSON is no JSON of ours."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from glassformer.cli.app import app
from glassformer.core.errors import CheckpointError, DatasetError, InputError, PredictionError
from glassformer.core.layout import TrainingFolder
from glassformer.core.progress import Silent
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import read_dataset, sample_paths
from glassformer.dataset.sample import read_sample, write_sample
from glassformer.evaluate.results import read_result
from glassformer.report.build import build_report
from glassformer.report.trained import read_histories
from glassformer.train.training import train_run
from tests.conftest import TINY_RUN

RUN = check_settings(TINY_RUN | {"training": {"epochs": 1, "batch_size": 2}}, Run, "foreign")
DEEP = "[" * 100_000 + "]" * 100_000
STRANGE_JSON = {
    "nested too deeply": DEEP,
    "Expecting value": "nonsense",
    "Exceeds the limit": "1" * 10_000,
    "utf-8": b"\x80\xff",
}


@pytest.fixture(scope="module")
def done(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, training and report."""
    folder = tmp_path_factory.mktemp("foreign")
    shutil.copytree(tiny_dataset, folder / "data")
    train_run(RUN, read_dataset(folder / "data"), folder / "training", Silent(), 1)
    build_report(folder)
    return folder


@pytest.fixture
def folder(done: Path, tmp_path: Path) -> Path:
    shutil.copytree(done, tmp_path / "folder")
    return tmp_path / "folder"


def test_data_of_another_seed_are_not_joined_with_the_training(folder: Path) -> None:
    # Two configurations of the same names change places: every name is known, no content fits.
    one, other = sample_paths(folder / "data")[:2]
    first, second = read_sample(one), read_sample(other)
    write_sample(one, replace(second, facts=second.facts.model_copy(update={"index": 0})))
    write_sample(other, replace(first, facts=first.facts.model_copy(update={"index": 1})))
    with pytest.raises(DatasetError, match=r"of 8 with these names 2 have other contents, first T0.50_P1.55/c0000"):
        build_report(folder)


@pytest.mark.parametrize("reason", STRANGE_JSON)
def test_strange_json_is_one_error(reason: str, folder: Path) -> None:
    content = STRANGE_JSON[reason]
    history, run = folder / "training" / "fold-0" / "history.json", folder / "training" / "run.json"
    for path in (history, run, folder / "result.json"):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DatasetError, match=f"history.json is not a training history: .*{reason}"):
        read_histories(TrainingFolder(folder / "training"))
    with pytest.raises(CheckpointError, match=f"run.json is not a run file: .*{reason}"):
        train_run(RUN, read_dataset(folder / "data"), folder / "training", Silent(), 1)
    with pytest.raises(PredictionError, match=f"result.json is not a result of an experiment: .*{reason}"):
        read_result(folder / "result.json")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([], "no epoch is marked as kept"),
        ([{"epoch": 0, "train_loss": 1, "val_mae": 1, "kept": False}], "no epoch is marked as kept"),
        ([{"epoch": 0, "train_loss": 1, "kept": True}], "'val_mae' is missing"),
        ({"epoch": 0}, "list"),
        ([[1]], "dictionary"),
        ([{"epoch": "x"}], "number"),
        (7, "list"),
    ],
)
def test_histories_of_another_form_are_refused(values: object, reason: str, folder: Path) -> None:
    (folder / "training" / "fold-0" / "history.json").write_text(json.dumps(values))
    with pytest.raises(DatasetError, match=rf"fold-0/history.json is not a training history: .*{reason}"):
        build_report(folder)


@pytest.mark.parametrize("content", ["[]", "7", "{}", '{"format": "glassformer experiment 3"}', "null"])
def test_results_of_another_form_are_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(PredictionError, match=r"result.json is not a result of an experiment"):
        read_result(tmp_path / "result.json")


def test_predictions_replace_predictions_and_nothing_else(folder: Path) -> None:
    model, sample = folder / "training" / "fold-0" / "model.safetensors", sample_paths(folder / "data")[0]
    notes = folder / "notes.h5"
    notes.write_text("mine")
    out = folder / "training" / "predictions.h5"
    for victim in (model, sample, notes, Path("/dev/null"), folder, out):
        before = victim.read_bytes() if victim.is_file() else None
        done = CliRunner().invoke(app, ["predict", str(model), str(folder / "data"), "--out", str(victim)])
        assert isinstance(done.exception, InputError), victim
        assert str(victim) in done.exception.problem
        assert before is None or victim.read_bytes() == before
    shutil.copy(out, folder / "p.h5")
    (folder / "link.h5").symlink_to(folder / "p.h5")
    out = folder / "link.h5"
    done = CliRunner().invoke(app, ["predict", str(model), str(folder / "data"), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert out.is_symlink()
