"""Files that people edit: any line endings, a byte order mark, and encodings that are told by name."""

import codecs
import json
from pathlib import Path

import pytest

from glassformer.core.errors import SettingsError
from glassformer.core.presets import load_campaign, load_network, preset
from glassformer.core.run import load_run
from glassformer.simulate.status import campaign_status
from tests.conftest import TINY_CAMPAIGN
from tests.unit.test_cli import glassformer, refused

KINDS = {"campaigns": load_campaign, "runs": load_run, "networks": load_network}
NAMES = {"campaigns": "demo", "runs": "demo", "networks": "bapst2020"}


def saved(tmp_path: Path, kind: str, encoding: str, newline: str = "\n") -> Path:
    path = tmp_path / "my.toml"
    path.write_bytes(preset(kind, NAMES[kind]).read_text().replace("\n", newline).encode(encoding))
    return path


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_byte_order_mark_changes_nothing(kind: str, newline: str, tmp_path: Path) -> None:
    assert KINDS[kind](str(saved(tmp_path, kind, "utf-8-sig", newline))) == KINDS[kind](NAMES[kind])  # type: ignore[operator]


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("utf-16", "my.toml is UTF-16 text; expected UTF-8"),
        ("utf-32", "my.toml is UTF-32 text; expected UTF-8"),
        ("utf-16-le", "my.toml holds zero bytes: it is UTF-16 text or not text at all"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_another_encoding_is_named(kind: str, encoding: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        KINDS[kind](str(saved(tmp_path, kind, encoding)))  # type: ignore[operator]
    assert message in caught.value.problem
    assert caught.value.remedy == "Save it again with the encoding UTF-8."


def test_the_byte_that_is_not_utf_8_is_found(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_bytes("seed = 1\n# Müller\n".encode("latin-1"))
    with pytest.raises(SettingsError, match="is not UTF-8 text: line 2, byte 4 holds 0xfc"):
        load_campaign(str(tmp_path / "my.toml"))


def test_an_edited_campaign_json_may_have_a_mark(tmp_path: Path) -> None:
    (tmp_path / "campaign.json").write_bytes(codecs.BOM_UTF8 + json.dumps(TINY_CAMPAIGN).encode())
    assert len(campaign_status(tmp_path).points) == 2


def test_the_commands_read_and_show_such_files(tmp_path: Path) -> None:
    path = saved(tmp_path, "campaigns", "utf-8-sig", "\r\n")
    assert glassformer("simulate", path, "--show").stdout == preset("campaigns", "demo").read_text()
    refused(glassformer("plan", saved(tmp_path, "campaigns", "utf-16")), "is UTF-16 text")
