"""Imported files as anything else: draws are trained on, a bare structure is predicted, predictions are exported."""

import json
from pathlib import Path

import numpy as np
import pytest

from glassformer.core.progress import Silent
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.predictions import read_predictions
from glassformer.dataset.readers.read import read_file
from glassformer.train.training import train_run
from tests.conftest import TINY_RUN, random_mixture
from tests.unit.test_imports import KOB_ANDERSEN, botan_file, dump, fails, works


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imported")
    works("import", *(botan_file(folder / "botan", seed) for seed in range(6)), "--out", folder / "data")
    tables = {
        "network": TINY_RUN["network"] | {"head": "particle"},
        "targets": {"times": ["last"], "quantity": "propensity"},
        "training": {"epochs": 1, "batch_size": 3},
    }
    train_run(check_settings(TINY_RUN | tables, Run, "imported"), read_dataset(folder / "data"), folder, Silent(), 1)
    return folder


def test_a_network_trained_on_imported_draws_predicts_an_imported_structure(trained: Path, tmp_path: Path) -> None:
    structure = random_mixture(100, 77)
    works("import", dump(tmp_path / "a.lammpstrj", [structure]), "--out", tmp_path / "bare", *KOB_ANDERSEN)
    works("predict", trained / "fold-0" / "model.safetensors", tmp_path / "bare", "--out", tmp_path / "p.h5")
    predicted = read_predictions(tmp_path / "p.h5")
    assert predicted.fingerprints == (structure.fingerprint,)
    assert predicted.particle_prediction is not None
    assert predicted.times.tolist() == [4120.0]
    arguments = ("export", tmp_path / "bare", "--to", "lammps", "--out", tmp_path / "out", "--predictions")
    works(*arguments, tmp_path / "p.h5")
    (file,) = (tmp_path / "out").rglob("*.lammpstrj")
    names, *rows = file.read_text().splitlines()[10:]
    assert names == "ITEM: ATOMS id type x y z predicted_propensity_4120"
    column = np.array([float(row.split()[-1]) for row in rows])
    np.testing.assert_allclose(column, predicted.particle_prediction[:, 0], rtol=1e-6)
    assert read_file(file).first.fingerprint == structure.fingerprint


def test_predictions_of_other_structures_are_refused(trained: Path, tmp_path: Path) -> None:
    source = dump(tmp_path / "a.lammpstrj", [random_mixture(100, 78)])
    works("import", source, "--out", tmp_path / "other", *KOB_ANDERSEN)
    out = ("--to", "npz", "--out", tmp_path / "out", "--predictions", trained / "predictions.h5")
    assert "is not predicted" in fails("export", tmp_path / "other", *out).problem
    works("import", source, "--out", tmp_path / "same-name", "--label", "T0.44_rho1.20", "--temperature", 0.44,
          "--mixture", "kob-andersen")  # fmt: skip
    assert "belong to another structure" in fails("export", tmp_path / "same-name", *out).problem
    works("export", trained / "data", *out)
    scores = json.loads(works("evaluate", trained / "predictions.h5", "--json"))
    assert scores
