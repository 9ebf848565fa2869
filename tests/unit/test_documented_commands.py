"""Every command, option and shipped name that the documents and the package's own texts mention exists."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer import rich_utils
from typer.main import get_command
from typer.testing import CliRunner

from glassformer.cli.app import app
from glassformer.cli.examples import EXAMPLES
from glassformer.core.presets import campaign_presets, network_presets, recipe_presets, run_presets, study_presets

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/**/*.md"))]
SOURCES = [*sorted((ROOT / "src").rglob("*.py")), *sorted((ROOT / "src").rglob("*.toml"))]
SHIPPED = {
    "CAMPAIGN": campaign_presets,
    "RUN": lambda: run_presets() | recipe_presets(),
    "NETWORK": network_presets,
    "STUDY": study_presets,
}
COMMANDS: Any = get_command(app).commands  # type: ignore[attr-defined]
OPTIONS = {
    option
    for command in [*COMMANDS.values(), *COMMANDS["bench"].commands.values()]
    for parameter in command.params
    for option in parameter.opts
}

GENERAL = {option for parameter in get_command(app).params for option in parameter.opts} | {"--help"}


def quoted(text: str) -> Iterator[str]:
    """Code between backticks, and the lines of fenced blocks."""
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for block in fenced:
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"(?<!`)`([^`]+)`(?!`)", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def commands(path: Path) -> Iterator[str]:
    """What `path` tells to type after `glassformer`, also where it leaves that word out: `train --network NAME`."""
    for code in quoted(path.read_text(encoding="utf-8")):
        # Names in braces are filled in where a message is made.
        line = re.sub(r"\{[^}]*\}", "NAME", " ".join(code.split()))
        found = re.match(r"(?:\$ )?(?:\S*/)?(?:python -m )?glassformer ((?:[a-z]|--).*)", line)
        if found:
            yield found[1]
        elif line.split(" ")[0] in COMMANDS and " --" in line:
            yield line


def mistake(line: str) -> str:
    """Return what is wrong with a command line, or nothing."""
    line = re.split(r" (?:#|>|&&|\|) ?", line)[0].replace("[", "").replace("]", "").replace("...", "")
    name, *words = shlex.split(line)
    if name.startswith("--"):
        if name != "--quiet":
            return "" if name in GENERAL else f"no option {name}"
        name, *words = words
    if name not in COMMANDS:
        return f"no command {name}"
    command = COMMANDS[name]
    if hasattr(command, "commands") and words and not words[0].startswith("-"):
        name, *words = words
        if name not in command.commands:
            return f"no command {name}"
        command = command.commands[name]
    return wrong_words(command, words)


def wrong_words(command: Any, words: list[str]) -> str:
    options = {option: parameter for parameter in command.params for option in parameter.opts}
    places = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    while words:
        word = words.pop(0)
        if word.startswith("--"):
            option = options.get(word.partition("=")[0])
            if option is None and word not in ("--help", "--quiet"):
                return f"no option {word}"
            # A flag takes no value; others may be mentioned without theirs.
            if option is not None and not option.is_flag and "=" not in word and words and words[0][:1] != "-":
                words.pop(0)
            continue
        if not places:
            return f"no place for {word}"
        place = places[0] if places[0].nargs < 0 else places.pop(0)
        names = SHIPPED.get(place.metavar or "")
        if names is not None and re.fullmatch(r"[a-z][a-z0-9-]*", word) and word not in names():
            return f"no {place.metavar} called {word}"
    return ""


@pytest.mark.parametrize("path", [*DOCUMENTS, *SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_told_to_type_exists(path: Path) -> None:
    wrong = [f"{line}: {found}" for line in commands(path) if (found := mistake(line))]
    assert wrong == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_options_that_are_mentioned_alone_exist(path: Path) -> None:
    mentioned = {code.split()[0].partition("=")[0] for code in quoted(path.read_text()) if code.startswith("--")}
    assert mentioned - OPTIONS - GENERAL == set()


def test_the_documents_are_read() -> None:
    found = [line for path in DOCUMENTS for line in commands(path)]
    assert len(found) > 30
    assert "networks NAME --show" in found


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("simulate thesis --out DATASET", ""),
        ("simulate thesys --out DATASET", "no CAMPAIGN called thesys"),
        ("networks NAME --shaw", "no option --shaw"),
        ("bench train-step [--json]", ""),
        ("bench trainstep", "no command trainstep"),
        ("fly", "no command fly"),
        ("info one two", "no place for two"),
        ("experiment thesis --only four --only rate   # some of them", ""),
        ("simulate isochore --show > my.toml", ""),
    ],
)
def test_mistakes_are_found(line: str, wrong: str) -> None:
    assert mistake(line) == wrong


def every_command() -> list[tuple[str, Any]]:
    group = COMMANDS["bench"]
    return [
        *((name, command) for name, command in COMMANDS.items() if command is not group),
        *((f"bench {name}", command) for name, command in group.commands.items()),
    ]


@pytest.mark.parametrize(("name", "command"), every_command(), ids=lambda one: one if isinstance(one, str) else "")
def test_every_option_says_what_it_is(name: str, command: Any) -> None:
    assert re.match(r"[A-Z].*\.$", command.help.strip(), re.DOTALL)
    for parameter in command.params:
        assert parameter.metavar is not None, (name, parameter.name)
        assert (parameter.metavar == "") == bool(getattr(parameter, "is_flag", False)), (name, parameter.name)
        assert len(parameter.help) > 8, (name, parameter.name)
        assert parameter.help.endswith("."), (name, parameter.name)
        assert not getattr(parameter, "secondary_opts", []), (name, parameter.name)


NAMES = [*COMMANDS, *(f"bench {name}" for name in COMMANDS["bench"].commands)]


def test_every_command_has_an_example() -> None:
    assert sorted(EXAMPLES) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("columns", [80, 40])
def test_the_help_of_a_command_ends_with_an_example_that_can_be_typed(
    name: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    # Of this width typer reads the environment only once.
    monkeypatch.setattr(rich_utils, "MAX_WIDTH", columns)
    done = CliRunner().invoke(app, [*name.split(), "--help"])
    assert done.exit_code == 0
    # The name of a command has no place to break it.
    assert max(len(line) for line in done.output.splitlines() if not line.startswith("Usage: ")) <= columns
    _, _, shown = " ".join(done.output.split()).rpartition("Example: glassformer ")
    # Lines may break at hyphens, too.
    assert shown.replace("- ", "-") == EXAMPLES[name]
    assert mistake(EXAMPLES[name]) == ""
    command = COMMANDS["bench"].commands[name.split()[1]] if " " in name else COMMANDS[name]
    # No option is shown without its end.
    assert [
        option for one in command.params for option in one.opts if option[0] == "-" and option not in done.output
    ] == []
    # Click itself takes it, with every value of the right type.
    words = shlex.split(EXAMPLES[name].partition(" >")[0])[len(name.split()) :]
    assert command.make_context(name, words)


@pytest.mark.parametrize("columns", [80, 40])
def test_the_help_of_the_whole_cuts_nothing(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(rich_utils, "MAX_WIDTH", columns)
    done = CliRunner().invoke(app, ["--help"])
    assert max(map(len, done.output.splitlines())) <= columns
    assert [name for name in [*GENERAL, *COMMANDS] if name not in done.output] == []
    assert "…" not in done.output
    assert "..." not in done.output.replace("[ARGS]...", "")
    # At both widths the first paragraph of each help, and no other.
    told = " ".join(done.output.split())
    further = [(one.help or "").partition("\n\n")[2].split("\n")[0] for one in COMMANDS.values()]
    assert [text for text in further if text and text[:20] in told] == []
