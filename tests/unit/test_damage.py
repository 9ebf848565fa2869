"""Damage of single bits and whole sectors in every kind of file: seen, or without effect on any number."""

import json
import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from glassformer.core.campaign import Campaign
from glassformer.core.checksum import BLOCK, OlderFileWarning
from glassformer.core.errors import CheckpointError, DatasetError, InputError
from glassformer.core.json_files import write_json
from glassformer.core.layout import TrainingFolder
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.dataset.predictions import read_predictions, write_predictions
from glassformer.dataset.sample import read_sample, write_sample
from glassformer.evaluate.results import read_result, write_result
from glassformer.report.run_file import read_run
from glassformer.report.trained import read_histories
from glassformer.simulate.mismatch import read_campaign
from glassformer.train.archive import read_archive, write_archive
from glassformer.train.checkpoint import read_model
from tests.conftest import TINY_CAMPAIGN, TINY_RUN, edited, synthetic_sample
from tests.unit.test_experiments import result
from tests.unit.test_scores import particle_predictions

MODELS = Path(__file__).parents[1] / "data" / "models"
FLIPS, SECTORS, SECTOR = 1500, 64, 512


def checkpoint(path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    write_archive(path, {"identity": "a", "epoch": 3, "state": {"w": torch.randn(40, 40, generator=generator)}})


def read_verified(path: Path) -> dict[str, Any]:
    values, verified = read_archive(path, "model", "", "")
    if not verified:
        raise CheckpointError("no checksum")
    return values


def plain(value: Any) -> Any:
    """Return arrays as bytes and objects as tables, to be compared."""
    if isinstance(value, np.ndarray | torch.Tensor):
        array = np.asarray(value)
        return array.shape, array.dtype.str, array.tobytes()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if hasattr(value, "model_dump"):
        return repr(value.model_dump())
    return {key: plain(one) for key, one in vars(value).items()} if hasattr(value, "__dict__") else repr(value)


def model(path: Path) -> None:
    path.write_bytes((MODELS / "version-5.safetensors").read_bytes())


KINDS: dict[str, tuple[Callable[[Path], None], Callable[[Path], Any]]] = {
    "model": (model, read_model),
    "sample": (lambda path: write_sample(path, synthetic_sample()), read_sample),
    "predictions": (lambda path: write_predictions(path, particle_predictions()), read_predictions),
    "archive": (checkpoint, read_verified),
}


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_no_flipped_bit_changes_a_number_unseen(kind: str, tmp_path: Path) -> None:
    write, read = KINDS[kind]
    path = tmp_path / "file"
    write(path)
    whole, expected, random = path.read_bytes(), plain(read(path)), np.random.default_rng(1)
    for place, bit in zip(random.integers(len(whole), size=FLIPS), random.integers(8, size=FLIPS), strict=True):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        with pytest.raises(InputError):
            read(path)
    path.write_bytes(whole)
    assert plain(read(path)) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_no_zeroed_sector_passes(kind: str, tmp_path: Path) -> None:
    write, read = KINDS[kind]
    path = tmp_path / "file"
    write(path)
    whole, random = path.read_bytes(), np.random.default_rng(2)
    for sector in random.integers(-(-len(whole) // SECTOR), size=SECTORS).tolist():
        damaged = bytearray(whole)
        part = damaged[sector * SECTOR : (sector + 1) * SECTOR]
        damaged[sector * SECTOR : (sector + 1) * SECTOR] = bytes(len(part))
        if damaged == whole:
            continue
        path.write_bytes(damaged)
        with pytest.raises(InputError):
            read(path)


def history(path: Path) -> None:
    lines = [{"epoch": n, "train_loss": 0.1 / (n + 1), "val_mae": 5e-5, "kept": n == 1} for n in range(20)]
    write_json(path / "fold-0" / "history.json", {"epochs": lines})


RUN_VALUES = {"parameter_hash": "h"} | check_settings(TINY_RUN, Run, "run").model_dump(mode="json")
CAMPAIGN_VALUES = check_settings(TINY_CAMPAIGN, Campaign, "tiny").model_dump(mode="json")
JSON_KINDS: dict[str, tuple[Callable[[Path], None], Callable[[Path], Any]]] = {
    "fold-0/history.json": (history, lambda folder: read_histories(TrainingFolder(folder))),
    "run.json": (
        lambda folder: write_json(folder / "run.json", RUN_VALUES),
        lambda folder: read_run(TrainingFolder(folder), "h"),
    ),
    "campaign.json": (
        lambda folder: write_json(folder / "campaign.json", CAMPAIGN_VALUES),
        lambda folder: read_campaign(folder / "campaign.json"),
    ),
    "result.json": (
        lambda folder: write_result(folder / "result.json", result()),
        lambda folder: read_result(folder / "result.json"),
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("kind", JSON_KINDS)
def test_no_flipped_bit_changes_a_value_of_a_json_file_unseen(kind: str, tmp_path: Path) -> None:
    write, read = JSON_KINDS[kind]
    write(tmp_path)
    path, random = tmp_path / kind, np.random.default_rng(3)
    whole, expected, refused = path.read_bytes(), plain(read(tmp_path)), []
    for place, bit in zip(random.integers(len(whole), size=FLIPS), random.integers(8, size=FLIPS), strict=True):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            found = plain(read(tmp_path))
        except InputError as error:
            refused.append(error)
        else:
            # 5e-05 and 5E-05 are one number.
            assert found == expected, (place, bit)
    assert len(refused) > 0.98 * FLIPS
    assert all(str(path) in error.problem and error.remedy for error in refused)


@pytest.mark.parametrize("kind", JSON_KINDS)
def test_older_json_files_are_read_with_a_notice(kind: str, tmp_path: Path) -> None:
    write, read = JSON_KINDS[kind]
    write(tmp_path)
    expected = plain(read(tmp_path))
    values = json.loads((tmp_path / kind).read_text())
    del values["sha256"]
    # Histories were lists.
    (tmp_path / kind).write_text(json.dumps(values["epochs"] if kind == "history.json" else values))
    with pytest.warns(OlderFileWarning, match="carry no checksum"):
        assert plain(read(tmp_path)) == expected


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A sample file as older versions wrote it, without a checksum."""
    write_sample(tmp_path / "new.h5", synthetic_sample())
    (tmp_path / "data").mkdir()
    with h5py.File(tmp_path / "new.h5") as new, h5py.File(tmp_path / "data" / "old.h5", "w") as old:
        for name in new:
            new.copy(name, old)
        for name, value in new.attrs.items():
            old.attrs[name] = value
        old.attrs["schema_version"] = 1
    return tmp_path / "data" / "old.h5"


def test_older_files_are_read_with_a_notice(older: Path) -> None:
    with pytest.warns(OlderFileWarning, match="data were written by an older version and carry no checksum"):
        found = read_sample(older)
    assert plain(replace(found, facts=synthetic_sample().facts)) == plain(synthetic_sample())
    with h5py.File(older, "a") as file:
        file.attrs["schema_version"] = 2
    with pytest.raises(DatasetError, match="the checksum is missing"):
        read_sample(older)


N = 100


def put(file: h5py.File, name: str, **how: Any) -> Any:
    del file[name]
    return file.create_dataset(name, **how)


def virtual(file: h5py.File, source: str) -> None:
    layout = h5py.VirtualLayout((N, 3), "f8")
    layout[:] = h5py.VirtualSource(source, "configuration/positions", (N, 3))
    del file["configuration/positions"]
    file.create_virtual_dataset("configuration/positions", layout, fillvalue=1.0)


def link(file: h5py.File, name: str, target: object) -> None:
    del file[name]
    file[name] = target


POSITIONS, SPECIES = "configuration/positions", "configuration/species"
HOSTILE: dict[str, Callable[[h5py.File], None]] = {
    "another file by a link": lambda file: link(file, POSITIONS, h5py.ExternalLink("new.h5", POSITIONS)),
    "another file as storage": lambda file: put(
        file, SPECIES, shape=(N,), dtype="u1", external=[("/etc/passwd", 0, N)]
    ),
    "a device": lambda file: put(file, SPECIES, shape=(N,), dtype="u1", external=[("/dev/zero", 0, N)]),
    "a pipe": lambda file: put(file, SPECIES, shape=(N,), dtype="u1", external=[("pipe", 0, N)]),
    "another file, virtual": lambda file: virtual(file, "new.h5"),
    "itself, virtual": lambda file: virtual(file, "."),
    "nothing, virtual": lambda file: virtual(file, "/nonexistent.h5"),
    "never written": lambda file: put(file, POSITIONS, shape=(N, 3), dtype="f8", chunks=(N, 3), fillvalue=1.0),
    "written in part, packed": lambda file: put(
        file, POSITIONS, shape=(N, 3), dtype="f8", chunks=(10, 3), fillvalue=1.0, compression="gzip"
    ).__setitem__(slice(0, 50), np.random.default_rng(0).uniform(0, 4, (50, 3))),
    "a hidden label": lambda file: file.attrs.__setitem__("state_point", ".git"),
    "q6 = 7": lambda file: file.attrs.__setitem__("q6", 7.0),
    "negative propensities": lambda file: file["isoconfigurational/displacement_mean"].__setitem__(slice(None), -1.0),
    "a terabyte, never written": lambda file: put(file, POSITIONS, shape=(1 << 36, 3), dtype="f8", chunks=(1024, 3)),
    "gigabytes, packed": lambda file: put(
        file, POSITIONS, shape=(500_000_000, 3), dtype="f8", chunks=(1_000_000, 3), compression="gzip"
    ),
    "a link to itself": lambda file: link(file, POSITIONS, h5py.SoftLink("/" + POSITIONS)),
    "a group by a link": lambda file: link(file, "configuration", h5py.SoftLink("/isoconfigurational")),
    "a group that holds itself": lambda file: link(file, "configuration", file["/"]),
    "an array as a group": lambda file: put(file, "configuration", data=np.zeros(3)),
    "another type": lambda file: put(file, POSITIONS, data=np.zeros((N, 3), "f4")),
    "another byte order": lambda file: put(file, POSITIONS, data=np.ones((N, 3), ">f8")),
    "texts": lambda file: put(file, POSITIONS, data=np.array([b"x"] * 10)),
    "lists": lambda file: put(file, POSITIONS, shape=(3,), dtype=h5py.vlen_dtype("f8")),
    "nothing": lambda file: put(file, POSITIONS, data=h5py.Empty("f8")),
    "all at one place": lambda file: file[POSITIONS].__setitem__(slice(None), 0.0),
    "a name that is none": lambda file: file.attrs.__setitem__("evil", "x"),
    "T = nan": lambda file: file.attrs.__setitem__("temperature", np.nan),
    "T = inf": lambda file: file.attrs.__setitem__("temperature", np.inf),
    "T = -5": lambda file: file.attrs.__setitem__("temperature", -5.0),
    "T = 99 at T0.50": lambda file: file.attrs.__setitem__("temperature", 99.0),
    "a path as a label": lambda file: file.attrs.__setitem__("state_point", "../../../OUTSIDE"),
    "no label": lambda file: file.attrs.__setitem__("state_point", ""),
    "a label that clears the screen": lambda file: file.attrs.__setitem__("state_point", "a\x1b[2J"),
    "labels": lambda file: file.attrs.__setitem__("state_point", np.array(["a", "b"], dtype=h5py.string_dtype())),
    "mixtures": lambda file: file.attrs.__setitem__("mixture", np.array([1, 2])),
    "a long label": lambda file: file.attrs.__setitem__("state_point", "x" * 300),
    "index -3": lambda file: file.attrs.__setitem__("index", -3),
    "a mixture called nonsense": lambda file: file.attrs.__setitem__("mixture", "nonsense"),
    "a deep mixture": lambda file: file.attrs.__setitem__("mixture", "[" * 40_000),
    "a mixture without sigma": lambda file: file.attrs.__setitem__("mixture", '{"species": ["A", "B"]}'),
    "two names of the liquid": lambda file: file.attrs.__setitem__("cutoff", "scaled"),
    "two formats": lambda file: file.attrs.__setitem__("format", np.array(["a", "b"], dtype=h5py.string_dtype())),
    "a huge MSD": lambda file: file["isoconfigurational/msd"].__setitem__(slice(None), 1e300),
    "F_s = 5": lambda file: file["isoconfigurational/self_scattering"].__setitem__(slice(None), 5.0),
    "an overlap of -1": lambda file: file["isoconfigurational/overlap"].__setitem__(slice(None), -1.0),
    "a small fourth moment": lambda file: file["isoconfigurational/quartic"].__setitem__(slice(None), 1e-9),
    "a negative time": lambda file: file["isoconfigurational/times"].__setitem__(0, -5.0),
    "a negative particle time": lambda file: file["isoconfigurational/particle_times"].__setitem__(0, -5.0),
    "one seed": lambda file: file["isoconfigurational/seeds"].__setitem__(slice(None), 7),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_file_may_not_hold(name: str, older: Path) -> None:
    os.mkfifo(older.with_name("pipe"))
    with h5py.File(older, "a") as file:
        HOSTILE[name](file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OlderFileWarning)
        with pytest.raises(InputError) as caught:
            read_sample(older)
    assert "old.h5" in caught.value.problem
    assert "truth value" not in caught.value.problem
    assert "Value error" not in caught.value.problem
    assert "root:" not in str(caught.value)


def test_contents_are_checked_behind_a_checksum_that_fits_too(tmp_path: Path) -> None:
    write_sample(tmp_path / "c0000.h5", synthetic_sample())
    with edited(tmp_path / "c0000.h5") as file:
        put(file, SPECIES, shape=(N,), dtype="u1", external=[("/etc/passwd", 0, N)])
    with pytest.raises(DatasetError, match="'species' is stored in another file"):
        read_sample(tmp_path / "c0000.h5")


def test_other_tools_read_the_files(tmp_path: Path) -> None:
    write_sample(tmp_path / "c0000.h5", synthetic_sample())
    with h5py.File(tmp_path / "c0000.h5") as file:
        assert file.userblock_size == BLOCK
        np.testing.assert_array_equal(file[POSITIONS], synthetic_sample().configuration.positions)
    checkpoint(tmp_path / "last.ckpt")
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"] == 3
