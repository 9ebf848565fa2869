"""Files that are damaged in any way give results or typed errors; longer: python -m tests.fuzz.readers."""

from pathlib import Path

import pytest


def test_valid_files_are_read(tmp_path: Path) -> None:
    from glassformer.dataset.readers.contents import Contents
    from tests.fuzz.corpus import corpus, read

    for name, contents in corpus().items():
        assert isinstance(read(contents, name, tmp_path), Contents), name


@pytest.mark.long
def test_damaged_files_give_results_or_typed_errors(tmp_path: Path) -> None:
    pytest.importorskip("hypothesis")
    from tests.fuzz.changes import fuzz

    fuzz(tmp_path, examples=400, derandomize=True)


@pytest.mark.parametrize(
    "contents", [b"", b"\0", b"\xff\xfe", b"\x1f\x8b", b"PK\x03\x04", b"\x80\x04", b"\xdf\x65" * 4]
)
@pytest.mark.parametrize("name", ["a.lammpstrj", "a.data", "a.xyz", "a.gsd", "a.npz", "a.pickle", "a.xyz.gz", "a"])
def test_what_only_begins_like_a_file_is_an_error(contents: bytes, name: str, tmp_path: Path) -> None:
    from glassformer.core.errors import GlassformerError
    from tests.fuzz.corpus import read

    assert isinstance(read(contents, name, tmp_path), GlassformerError)
