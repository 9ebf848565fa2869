"""Damage on the disk: it is found wherever it lies, named, set aside, and simulated again to the same bytes."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glassformer.core.campaign import Campaign
from glassformer.core.checksum import EMPTY_LINE, with_inner_line, with_last_line
from glassformer.core.errors import DatasetError, NoFileError, StorageError
from glassformer.core.files import write_atomically
from glassformer.core.hdf5 import write_hdf5
from glassformer.core.json_files import write_json
from glassformer.core.lock import Lock
from glassformer.core.progress import Silent
from glassformer.core.settings import check_settings
from glassformer.dataset.places import Identity, misplaced
from glassformer.dataset.sample import write_sample
from glassformer.simulate.campaign import tasks
from glassformer.simulate.outputs import verify_folder
from glassformer.simulate.sample_task import sample_there
from glassformer.simulate.verify import repair_dataset, verify_dataset
from tests.conftest import TINY_CAMPAIGN, synthetic_sample
from tests.unit.test_damage import older

__all__ = ["older"]
LABEL = "T0.50_P1.55"
FILES = 40


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "glassformer", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def flip(path: Path, byte: int, bit: int = 0) -> None:
    whole = bytearray(path.read_bytes())
    whole[byte] ^= 1 << bit
    path.write_bytes(bytes(whole))


def test_every_flipped_bit_and_every_truncation_is_found(tmp_path: Path) -> None:
    paths = [tmp_path / LABEL / f"c{number:04d}.h5" for number in range(FILES)]
    for number, path in enumerate(paths):
        write_sample(path, synthetic_sample(number, particles=50))
    random = np.random.default_rng(1)
    damaged = sorted(random.choice(FILES, FILES // 2, replace=False).tolist())
    for number in damaged:
        size = paths[number].stat().st_size
        if number % 2:
            flip(paths[number], int(random.integers(size)), int(random.integers(8)))
        else:
            with paths[number].open("r+b") as file:
                file.truncate(int(random.integers(size)))
    found = verify_dataset(tmp_path, Silent(), workers=1)
    assert (found.files, found.campaign, found.without_checksum) == (FILES, "missing", ())
    assert [one.file for one in found.damaged] == [f"{LABEL}/c{number:04d}.h5" for number in damaged]
    assert all(one.readable and one.problem for one in found.damaged)


def test_an_older_file_without_checksum_is_counted(older: Path, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    older.parent.rename(tmp_path / "set" / "data")
    write_sample(tmp_path / "set" / LABEL / "c0001.h5", synthetic_sample(1))
    found = verify_dataset(tmp_path / "set", Silent(), workers=1)
    assert (found.files, found.whole, found.without_checksum) == (2, True, ("data/old.h5",))


@pytest.mark.long
def test_what_is_damaged_is_set_aside_and_made_again_to_the_same_bytes(tiny_dataset: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_dataset, data)
    first, second = data / LABEL / "c0001.h5", data / "T0.56_P0.17" / "c0003.h5"
    expected = {path: path.read_bytes() for path in sorted(data.rglob("*.h5"))}
    flip(first, 5000)
    bad = first.read_bytes()
    second.write_bytes(b"")
    found = command("verify", data, "--json", "--workers", "1")
    assert found.returncode == 1, found.stderr
    verified = json.loads(found.stdout)
    assert (verified["files"], verified["whole"], verified["campaign"]) == (8, False, "whole")
    assert {one["file"] for one in verified["damaged"]} == {f"{LABEL}/c0001.h5", "T0.56_P0.17/c0003.h5"}
    done = repair_dataset(data, Silent(), 1, recompute=False)
    assert len(done.renamed) == 2
    assert first.with_name("c0001.h5.damaged").read_bytes() == bad
    assert not first.exists()
    # What was set aside before is made again, too; and a second damaged file does not take the first one's place.
    flip(data / LABEL / "c0002.h5", 700)
    (data / LABEL / "c0002.h5.damaged").write_text("earlier")
    # One is copied over another, and two have changed places, which costs no simulation.
    shutil.copy(data / LABEL / "c0000.h5", data / "T0.56_P0.17" / "c0001.h5")
    one, other = data / LABEL / "c0003.h5", data / "T0.56_P0.17" / "c0002.h5"
    whole = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(whole)
    again = command("repair", data, "--recompute", "--json", "--workers", "1")
    assert again.returncode == 0, again.stderr
    assert sorted(json.loads(again.stdout)["recomputed"]) == [
        "T0.50_P1.55/c0001",
        "T0.50_P1.55/c0002",
        "T0.56_P0.17/c0001",
        "T0.56_P0.17/c0003",
    ]
    assert (data / LABEL / "c0002.h5.damaged").read_text() == "earlier"
    assert (data / LABEL / "c0002.h5.damaged-2").exists()
    assert {path: path.read_bytes() for path in sorted(data.rglob("*.h5"))} == expected
    assert command("verify", data, "--workers", "1").returncode == 0


def test_a_damaged_campaign_is_named_and_its_samples_are_not_made_again(tmp_path: Path) -> None:
    write_sample(tmp_path / LABEL / "c0000.h5", synthetic_sample(0, particles=50))
    (tmp_path / "campaign.json").write_text('{"seed": 1, "sha256": "0"}')
    assert verify_dataset(tmp_path, Silent(), workers=1).campaign == "damaged"
    with pytest.raises(DatasetError, match="does not state its campaign"):
        repair_dataset(tmp_path, Silent(), 1, recompute=True)
    assert (tmp_path / "campaign.json.damaged").exists()


def test_no_folder_is_told(tmp_path: Path) -> None:
    found = command("verify", tmp_path / "absent")
    assert found.returncode == 2
    assert "there is no dataset folder" in found.stderr


def at(*places: tuple[str, str, int | None]) -> dict[Path, Identity]:
    """Samples of different structures: the file, and the state point and number that it states."""
    return {Path("data") / file: Identity(label, index, file) for file, label, index in places}


def misplaced_in(found: dict[Path, Identity], labels: tuple[str, ...] = (), campaign: tuple[str, ...] = ()) -> set[str]:
    places = {Path("data") / file for file in campaign}
    return {str(path.relative_to("data")) for path in misplaced(Path("data"), found, labels, places)}


def test_what_may_lie_where() -> None:
    # Other names, folders put together from several campaigns, and samples without a number are as good as any.
    fine = at(
        ("T1/c0000.h5", "T1", 0),
        ("T1/c0001.h5", "T1", None),
        ("T1/first.h5", "T1", 4),
        ("T1/c0007.h5", "T1", 3),
        ("other/c0005.h5", "T1", 0),
        ("T1/c12345.h5", "T1", 12345),
    )
    assert misplaced_in(fine) == set()
    swapped = at(("T1/c0000.h5", "T1", 1), ("T1/c0001.h5", "T1", 0), ("T1/c0002.h5", "T1", 2))
    assert misplaced_in(swapped) == {"T1/c0000.h5", "T1/c0001.h5"}
    across = at(("T1/c0000.h5", "T2", 0), ("T2/c0000.h5", "T1", 0), ("T2/c0001.h5", "T2", 1))
    assert misplaced_in(across) == {"T1/c0000.h5", "T2/c0000.h5"}
    # In a place of the campaign every sample must be the one that it asks for, and none of them is anywhere else.
    renamed = at(("T1/c0001.h5", "T1", 9), ("T1/c0007.h5", "T1", 0))
    assert misplaced_in(renamed) == set()
    assert misplaced_in(renamed, ("T1",), ("T1/c0001.h5",)) == {"T1/c0001.h5"}
    assert misplaced_in(renamed, ("T1",), ("T1/c0000.h5",)) == {"T1/c0007.h5"}
    # The sample of the campaign is in its place: another one that states the same number is of another campaign.
    foreign = at(("T1/c0001.h5", "T1", 1), ("T1/c0012.h5", "T1", 1))
    assert misplaced_in(foreign, ("T1",), ("T1/c0001.h5",)) == set()


def test_copies_are_named_but_not_what_they_copy() -> None:
    one = Identity("T1", 0, "same")
    found = {Path("data/T1") / name: one for name in ("a.h5", "c0000.h5", "c0001.h5")}
    problems = misplaced(Path("data"), found, (), ())
    assert {path.name for path in problems} == {"a.h5", "c0001.h5"}
    assert problems[Path("data/T1/a.h5")] == "holds the same configuration as T1/c0000.h5"


def test_ends_of_draws_are_compared_with_their_names() -> None:
    good, bad = "c0000-0123abcd-d03.h5", "c0000-0123abcd-d04.h5"
    one = Identity("T1", None, "x", ("0123abcd", 3))
    assert misplaced_in({Path("data/T1") / good: one}) == set()
    assert misplaced_in({Path("data/T1") / bad: one}) == {f"T1/{bad}"}
    assert misplaced_in({Path("data/T1/mine.h5"): one}) == set()


@pytest.mark.long
def test_samples_out_of_place_and_what_is_no_file(tmp_path: Path) -> None:
    other = "T0.56_P0.17"
    for label in (LABEL, other):
        for number in range(4):
            write_sample(tmp_path / label / f"c{number:04d}.h5", synthetic_sample(number, label, particles=50))
    write_json(tmp_path / "campaign.json", check_settings(TINY_CAMPAIGN, Campaign, "tiny").model_dump(mode="json"))
    first, second, third, fourth = (tmp_path / LABEL / f"c{number:04d}.h5" for number in range(4))
    whole = first.read_bytes(), second.read_bytes()
    first.write_bytes(whole[1])
    second.write_bytes(whole[0])
    shutil.copy(third, fourth)
    for number in range(4):
        (tmp_path / other / f"c{number:04d}.h5").unlink()
    os.mkfifo(tmp_path / other / "c0000.h5")
    (tmp_path / other / "c0001.h5").mkdir()
    (tmp_path / other / "c0002.h5").symlink_to("c0002.h5")
    (tmp_path / other / "c0003.h5").symlink_to("nowhere.h5")
    found = verify_folder(tmp_path, Silent(), workers=1)
    assert (found.files, found.missing) == (8, 0)
    problems = {one.file: one.problem for one in found.damaged}
    assert problems[f"{LABEL}/c0000.h5"] == f"holds the sample c0001 of {LABEL}, not c0000 of {LABEL}"
    assert problems[f"{LABEL}/c0003.h5"] == f"holds the sample c0002 of {LABEL}, not c0003 of {LABEL}"
    assert [file for file in problems if file.startswith(other)] == [f"{other}/c{number:04d}.h5" for number in range(4)]
    assert len(problems) == 7
    renamed = dict(repair_dataset(tmp_path, Silent(), 1, recompute=False).renamed)
    # Those that had changed places are where they belong, and nothing is lost.
    assert (first.read_bytes(), second.read_bytes()) == whole
    assert renamed[f"{LABEL}/c0000.h5"] == f"{LABEL}/c0001.h5"
    assert renamed[f"{LABEL}/c0003.h5"] == f"{LABEL}/c0003.h5.damaged"
    assert not list((tmp_path / other).glob("*.h5"))
    again = verify_folder(tmp_path, Silent(), workers=1)
    assert (again.whole, again.files, again.missing, again.set_aside) == (True, 3, 5, 5)


def test_a_folder_of_a_state_point_is_no_dataset_and_an_empty_one_is_nothing(tmp_path: Path) -> None:
    write_sample(tmp_path / "data" / LABEL / "c0000.h5", synthetic_sample(0, particles=50))
    for call in (
        lambda: verify_folder(tmp_path / "data" / LABEL, Silent(), 1),
        lambda: repair_dataset(tmp_path / "data" / LABEL, Silent(), 1, recompute=False),
    ):
        with pytest.raises(DatasetError, match="is a folder of samples") as caught:
            call()
        assert caught.value.remedy == f"Name {tmp_path / 'data'}."
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("mine")
    with pytest.raises(DatasetError, match="there is nothing in"):
        verify_folder(tmp_path / "empty", Silent(), 1)
    with pytest.raises(DatasetError, match="is no dataset"):
        repair_dataset(tmp_path / "empty", Silent(), 1, recompute=False)


@pytest.mark.long
def test_every_flipped_bit_of_a_training_is_found(tmp_path: Path) -> None:
    training, fold = tmp_path / "training", tmp_path / "training" / "fold-0"
    write_json(training / "run.json", {"seed": 1, "name": "mine"})
    write_json(fold / "history.json", {"epochs": [1.0, 2.0]})
    for path in (training / "predictions.h5", fold / "test.h5", tmp_path / "propensity" / "T1" / "model.h5"):
        write_hdf5(path, lambda file: file.attrs.update({"format": "any"}))
    write_atomically(fold / "model.safetensors", with_inner_line(b"{" + EMPTY_LINE.encode() + b"} tensors"))
    write_atomically(fold / "last.ckpt", with_last_line(b"checkpoint"))
    (tmp_path / "report.html").write_text("not ours")
    found = verify_folder(tmp_path, Silent(), 1)
    assert (found.files, found.others, found.damaged, found.without_checksum) == (0, 7, (), ())
    random = np.random.default_rng(1)
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".html")
    for path in files:
        whole = path.read_bytes()
        # The line of a checkpoint's checksum is its last.
        last = len(whole) if path.suffix != ".ckpt" else len(b"checkpoint")
        for byte in (0, *random.integers(0, last, 5).tolist()):
            flip(path, byte, int(random.integers(8)))
            changed = path.suffix != ".json" or parsed(path.read_bytes()) != parsed(whole)
            named = [one.file for one in verify_folder(tmp_path, Silent(), 1).damaged]
            assert named == [str(path.relative_to(tmp_path))] * changed, (path, byte)
            path.write_bytes(whole)
    (fold / "history.json").unlink()
    (fold / "history.json").symlink_to("nowhere")
    assert [one.file for one in verify_folder(tmp_path, Silent(), 1).damaged] == ["training/fold-0/history.json"]


def parsed(whole: bytes) -> object:
    try:
        return json.loads(whole)
    except ValueError:
        return None


def test_a_read_only_dataset_gets_a_remedy_that_repair_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sample(tmp_path / LABEL / "c0000.h5", synthetic_sample(0, particles=50))

    def refuse(lock: Lock) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Lock, "acquire", refuse)
    with pytest.raises(StorageError, match="Read-only") as caught:
        repair_dataset(tmp_path, Silent(), 1, recompute=False)
    assert "--out" not in caught.value.remedy
    assert "a copy of the folder" in caught.value.remedy


def test_what_simulate_says_of_a_sample_that_is_not_in_its_place(tmp_path: Path) -> None:
    campaign = check_settings(TINY_CAMPAIGN, Campaign, "tiny")
    first, _, second = tasks(campaign, tmp_path)[:3]
    write_sample(first.path, synthetic_sample(1, particles=50))
    with pytest.raises(DatasetError, match=r"holds the sample c0001 of .*, not c0000") as caught:
        sample_there(first)
    assert f"glassformer repair {tmp_path} --recompute" in caught.value.remedy
    second.path.symlink_to(second.path.name)
    with pytest.raises(NoFileError, match=r"it is a link to c0001\.h5") as other:
        sample_there(second)
    assert f"glassformer repair {tmp_path} --recompute" in other.value.remedy
    # What is written there takes the place of the link.
    write_atomically(second.path, b"whole")
    assert second.path.read_bytes() == b"whole"
