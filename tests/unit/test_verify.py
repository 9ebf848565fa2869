"""Damage on the disk: it is found wherever it lies, named, set aside, and simulated again to the same bytes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glassformer.core.errors import DatasetError
from glassformer.core.progress import Silent
from glassformer.dataset.sample import write_sample
from glassformer.simulate.verify import repair_dataset, verify_dataset
from tests.conftest import synthetic_sample
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
    again = command("repair", data, "--recompute", "--json", "--workers", "1")
    assert again.returncode == 0, again.stderr
    assert sorted(json.loads(again.stdout)["recomputed"]) == [
        "T0.50_P1.55/c0001",
        "T0.50_P1.55/c0002",
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
