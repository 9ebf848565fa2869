"""The campaign, run and network files that ship with the package, and changes to them from the command line."""

import copy
import difflib
import re
import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from glassformer.core.campaign import Campaign
from glassformer.core.errors import SettingsError
from glassformer.core.layout import MODEL_SUFFIX, names_state_point
from glassformer.core.mixture import MixtureSettings
from glassformer.core.network_kinds import DEFAULT, OwnNetworkSettings, is_own
from glassformer.core.network_kinds import NAMES as NAMES_OF_NETWORKS
from glassformer.core.network_kinds import NETWORKS as KINDS_OF_NETWORK
from glassformer.core.network_settings import NetworkSettings
from glassformer.core.recipe import Recipe, is_recipe_table
from glassformer.core.settings import CORRECT_THE_FILE, Problem, check_settings, checked, read_toml
from glassformer.core.text import read_text
from glassformer.core.words import counted

CAMPAIGNS, RUNS, NETWORKS, STUDIES, MIXTURES = "campaigns", "runs", "networks", "studies", "mixtures"
RECIPES, MODELS = "recipes", "models"


# How a file of each kind is called, and the command that lists and shows those that ship.
_KINDS = {
    CAMPAIGNS: ("campaign", "glassformer simulate", " --list"),
    RUNS: ("run", "glassformer train", " --list"),
    NETWORKS: ("network", "glassformer networks", ""),
    STUDIES: ("study", "glassformer experiment", " --list"),
    MIXTURES: ("mixture", "glassformer mixtures", ""),
    RECIPES: ("recipe", "glassformer train", " --list"),
}


def preset(kind: str, name: str) -> Path:
    """Return the path of the file called `name` that ships with the package; `kind` is one of the four above."""
    return Path(str(resources.files("glassformer").joinpath("presets", kind, f"{name}.toml")))


def campaign_presets() -> dict[str, str]:
    """Return the names of the campaigns that ship with the package, and the first sentence of each."""
    return _shipped(CAMPAIGNS)


def run_presets() -> dict[str, str]:
    """Return the names of the runs that ship with the package, and the first sentence of each."""
    return _shipped(RUNS)


def network_presets() -> dict[str, str]:
    """Return the names of the networks that ship with the package, and the first sentence of each."""
    return _shipped(NETWORKS)


def study_presets() -> dict[str, str]:
    """Return the names of the studies that ship with the package, and the first sentence of each."""
    return _shipped(STUDIES)


def mixture_presets() -> dict[str, str]:
    """Return the names of the mixtures that ship with the package, and the first sentence of each."""
    return _shipped(MIXTURES)


def recipe_presets() -> dict[str, str]:
    """Return the names of the recipes that ship with the package, and the first sentence of each."""
    return _shipped(RECIPES)


def load_recipe(source: str) -> Recipe:
    """Return the recipe that `source` names: one that ships with the package, or a TOML file.

    Raises `SettingsError`.
    """
    path = find(RECIPES, source)
    where, remedy = named(RECIPES, source)
    return check_settings({"name": path.stem} | read_toml(path), Recipe, where, remedy)


def is_recipe(source: str) -> bool:
    """Tell whether `source` names a recipe that ships, or a file that is one."""
    path = Path(source)
    return source in _shipped(RECIPES) or (path.is_file() and is_recipe_table(read_toml(path)))


def shipped_models() -> dict[str, Path]:
    """Return the propensity models that ship with the package, by name."""
    folder = Path(str(resources.files("glassformer").joinpath("presets", MODELS)))
    return {path.stem: path for path in sorted(folder.glob(f"*{MODEL_SUFFIX}"))}


def load_mixture(source: str) -> MixtureSettings:
    """Return the mixture that `source` names: one that ships with the package, or a TOML file.

    Raises `SettingsError`.
    """
    path = find(MIXTURES, source)
    where, remedy = named(MIXTURES, source)
    return check_settings({"name": path.stem} | read_toml(path), MixtureSettings, where, remedy)


def find(kind: str, source: str) -> Path:
    """Return the file that `source` names: one that ships with the package, by its name, or a file.

    Raises `SettingsError` if it is neither.
    """
    shipped = list(_shipped(kind))
    if source in shipped:
        return preset(kind, source)
    path = Path(source)
    if not path.exists():
        noun, command, listing = _KINDS[kind]
        # `train` takes both, and knows only by the name which is meant.
        recipes = list(_shipped(RECIPES)) if kind == RUNS else []
        close = difflib.get_close_matches(source, [*shipped, *recipes], n=1, cutoff=0.5)
        raise SettingsError(
            f"there is no {noun} file {source}, and no {noun} of that name ships with glassformer"
            + (f"; did you mean '{close[0]}'?" if close else ""),
            f"These ship: {', '.join(shipped)}"
            + (f"; recipes of propensity models: {', '.join(recipes)}" if recipes else "")
            + f" ({command}{listing}).",
        )
    return path


def named(kind: str, source: str) -> tuple[str, str]:
    """Return how messages call what `source` names, and what to do about a mistake in it.

    Nobody should edit a file inside the package: what ships is copied first.
    """
    if source not in _shipped(kind):
        return source, CORRECT_THE_FILE
    noun, command, _ = _KINDS[kind]
    return f"{noun} {source}", f"Change a copy of it: {command} {source} --show > my.toml."


def load_network(source: str) -> NetworkSettings:
    """Return the network that `source` names: one that ships with the package, a TOML file, or a network from outside.

    The last is 'package.module:Class', or the name under which an installed package offers it; its settings are then
    the usual ones. Raises `SettingsError`.
    """
    if is_own(source) and not Path(source).exists():
        return OwnNetworkSettings(name=source)
    values = read_toml(find(NETWORKS, source))
    where, remedy = named(NETWORKS, source)
    name = values.get("name", DEFAULT)
    if is_own(name):
        return check_settings(values, OwnNetworkSettings, where, remedy)
    if not isinstance(name, str) or name not in KINDS_OF_NETWORK:
        raise SettingsError(f"{where}: name: got {name!r}; expected one of {NAMES_OF_NETWORKS}", remedy)
    # By name and not by trying all: so a message is about the keys of the network that is meant.
    return check_settings(values, KINDS_OF_NETWORK[name].settings, where, remedy)


def load_campaign(source: str, changes: Sequence[str] = (), only: Sequence[str] = ()) -> Campaign:
    """Return the campaign that `source` names, with `changes` such as 'particles=1000' or 'schedule.until=20'.

    A change inside `state_points` goes to each of them, one inside `state_points.0` to the first alone. `only` are the
    labels, or the beginnings of the labels, of the state points to keep. `equilibration.start_from`, and a `mixture`
    that is a file, count from the campaign file's folder.
    Raises `SettingsError`.
    """
    path = find(CAMPAIGNS, source)
    where, remedy = named(CAMPAIGNS, source)
    values = read_toml(path)
    _absolute_start(values, path.resolve().parent)
    _mixture_of_file(values, path.resolve().parent)
    changed = copy.deepcopy(values)
    for change in changes:
        _apply(changed, change)
    _absolute_start(changed, Path.cwd())
    _mixture_of_file(changed, Path.cwd())
    found = checked(changed, Campaign)
    if isinstance(found, list):
        # Mistakes of the file itself come first; what is wrong only now is a matter of the changes.
        check_settings(values if changes else changed, Campaign, where, remedy)
        raise SettingsError(
            "\n".join(f"{_given(problem, changes)}: {problem.text}" for problem in found),
            "Correct the option --set and run the same command again.",
        )
    if not only:
        return found
    labels = [point.label for point in found.state_points]
    chosen = {part: _chosen(labels, part) for part in only}
    strange = [part for part in only if not chosen[part]]
    if strange:
        raise SettingsError(f"{source} has no state point {strange[0]}", f"It has: {', '.join(labels)}.")
    kept = [point for point in found.state_points if any(point.label in some for some in chosen.values())]
    return found.model_copy(update={"state_points": tuple(kept)})


def _chosen(labels: Sequence[str], part: str) -> list[str]:
    """Return the labels that `part` names, or else those that begin with it."""
    named = [label for label in labels if names_state_point(part, label)]
    return named or [label for label in labels if label.startswith(part)]


def _given(problem: Problem, changes: Sequence[str]) -> str:
    """Return the changes to which `problem` is due, as they were given: those at its place, or else all."""
    at_its_place = [change for change in changes if _share_a_place(_keys(change), problem.keys)]
    return " ".join(f"--set {change}" for change in at_its_place or changes)


def _share_a_place(one: Sequence[str], other: Sequence[str]) -> bool:
    """Tell whether one of the two places is inside the other, or both are the same."""
    return all(a == b for a, b in zip(one, other, strict=False)) and bool(one and other)


def _keys(change: str) -> list[str]:
    """Return the keys of the place that `change` names, without the numbers of entries."""
    return [part for part in _parts(change.partition("=")[0]) if not _is_number(part)]


def _parts(place: str) -> list[str]:
    """Return the parts of a place: 'state_points[0].until', or 'state_points.0.until', has three."""
    return re.sub(r"\[(\d+)\]", r".\1", place.strip()).split(".")


def _is_number(part: str) -> bool:
    return re.fullmatch(r"[0-9]{1,9}", part) is not None


def _absolute_start(values: dict[str, Any], base: Path) -> None:
    equilibration = values.get("equilibration")
    if isinstance(equilibration, dict) and isinstance(equilibration.get("start_from"), str):
        equilibration["start_from"] = str(base / equilibration["start_from"])


def _mixture_of_file(values: dict[str, Any], base: Path) -> None:
    """Put the table of a mixture's file in the place of the file's path, which counts from the folder `base`."""
    mixture = values.get("mixture")
    if isinstance(mixture, str) and mixture not in _shipped(MIXTURES) and (base / mixture).is_file():
        values["mixture"] = load_mixture(str(base / mixture)).model_dump()


def _apply(values: dict[str, Any], change: str) -> None:
    place, sign, text = change.partition("=")
    if not sign or not place.strip():
        raise SettingsError(f"got --set {change}; expected KEY=VALUE", "For example --set particles=1000.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        # A bare word is a text: engine=lammps.
        value = text.strip()
    except (ValueError, RecursionError):
        raise SettingsError(
            f"got --set {place}=... with a value of {len(text)} characters that cannot be read", "Correct the value."
        ) from None
    *path, last = _parts(place)
    found: list[Any] = [values]
    for number, part in enumerate(path):
        found = [_inside(table, part) for table in _at(found, part, change, path[:number])]
    for table in _at(found, last, change, path):
        table[int(last) if isinstance(table, list) else last] = value
    _refuse_if_overridden(values, change, place.strip())


def _at(found: list[Any], part: str, change: str, path: Sequence[str]) -> list[Any]:
    """Return the lists or tables in which `part` is looked up.

    `found`: what is at `path`. A number is looked up in lists, a name in tables and in the tables of lists. Raises
    `SettingsError` if there is no such place.
    """
    where = ".".join(path)
    if path and _is_number(part):
        if not all(isinstance(one, list) for one in found):
            raise SettingsError(f"got --set {change}; '{where}' is not a list", f"Leave .{part} out.")
        short = min(map(len, found), default=0)
        if int(part) >= short:
            entries = counted(short, "entry", "entries")
            raise SettingsError(f"got --set {change}; '{where}' has {entries}, counted from 0", "Correct the number.")
        return found
    tables = [one for value in found for one in (value if isinstance(value, list) else [value])]
    if not all(isinstance(one, dict) for one in tables):
        raise SettingsError(f"got --set {change}; '{where}' is not a table", "Correct the key.")
    return tables


def _inside(table: Any, part: str) -> Any:
    """Return what is at `part` of a list or a table, which gets a table there if it has nothing."""
    return table[int(part)] if isinstance(table, list) else table.setdefault(part, {})


def _refuse_if_overridden(values: dict[str, Any], change: str, place: str) -> None:
    """Raise `SettingsError` if every state point has a value of its own in the place of the one that is changed."""
    own = {"schedule.until": "until", "particle_times": "particle_times"}.get(place)
    points = values.get("state_points")
    if own and isinstance(points, list) and points and all(own in point for point in points if isinstance(point, dict)):
        raise SettingsError(
            f"got --set {change}; but every state point has its own {own}",
            f"Change those: --set state_points.{own}=...",
        )


def _shipped(kind: str) -> dict[str, str]:
    paths = sorted(Path(str(resources.files("glassformer").joinpath("presets", kind))).glob("*.toml"))
    return {path.stem: _first_sentence(read_text(path)) for path in paths}


def _first_sentence(text: str) -> str:
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return " ".join(lines).replace("et al. ", "et al.\0").partition(". ")[0].replace("\0", " ").removesuffix(".") + "."
