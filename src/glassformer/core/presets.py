"""The campaign, run and network files that ship with the package, and changes to them from the command line."""

import difflib
import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from glassformer.core.campaign import Campaign
from glassformer.core.errors import SettingsError
from glassformer.core.network_settings import (
    NAMES,
    ContinuousFilterSettings,
    MessagePassingSettings,
    NetworkSettings,
    ParticleNetSettings,
)
from glassformer.core.settings import check_settings, read_toml

CAMPAIGNS, RUNS, NETWORKS, STUDIES = "campaigns", "runs", "networks", "studies"


def preset(kind: str, name: str) -> Path:
    """Return the path of the file called `name` that ships with the package; `kind` is one of the four above."""
    return Path(str(resources.files("glassformer").joinpath("presets", kind, f"{name}.toml")))


def campaign_presets() -> dict[str, str]:
    """Return the names of the campaigns that ship with the package, and the first sentence of each."""
    return _shipped(CAMPAIGNS)


def network_presets() -> dict[str, str]:
    """Return the names of the networks that ship with the package, and the first sentence of each."""
    return _shipped(NETWORKS)


def study_presets() -> dict[str, str]:
    """Return the names of the studies that ship with the package, and the first sentence of each."""
    return _shipped(STUDIES)


def load_network(source: str) -> NetworkSettings:
    """Return the network that `source` names: one that ships with the package, or a TOML file.

    Raises `SettingsError`.
    """
    presets = list(network_presets())
    path = preset(NETWORKS, source) if source in presets else Path(source)
    if not path.exists():
        close = difflib.get_close_matches(source, presets, n=1, cutoff=0.5)
        raise SettingsError(
            f"there is no network file {source}, and none of that name ships with glassformer"
            + (f"; did you mean '{close[0]}'?" if close else ""),
            f"Those that do: {', '.join(presets)} (glassformer networks).",
        )
    values = read_toml(path)
    name = values.get("name", "particlenet")
    # By name and not by trying all: so a message is about the keys of the network that is meant.
    if name == "particlenet":
        return check_settings(values, ParticleNetSettings, str(path))
    if name == "message-passing":
        return check_settings(values, MessagePassingSettings, str(path))
    if name == "continuous-filter":
        return check_settings(values, ContinuousFilterSettings, str(path))
    raise SettingsError(f"{path}: name: got {name!r}; expected one of {', '.join(NAMES)}", "Mend the file.")


def find_campaign(source: str) -> Path:
    """Return the campaign file that `source` names: a file, or one that ships with the package.

    Raises `SettingsError` if it is neither.
    """
    if source in campaign_presets():
        return preset(CAMPAIGNS, source)
    path = Path(source)
    if not path.exists():
        raise SettingsError(
            f"there is no campaign file {source}, and none of that name ships with glassformer",
            f"Those that do: {', '.join(campaign_presets())} (glassformer simulate --list).",
        )
    return path


def load_campaign(source: str, changes: Sequence[str] = (), only: Sequence[str] = ()) -> Campaign:
    """Return the campaign that `source` names, with `changes` such as 'particles=1000' or 'schedule.until=20'.

    A change inside `state_points` goes to each of them. `only` are the labels, or the beginnings of the labels, of the
    state points to keep. `equilibration.start_from` counts from the campaign file's folder.
    Raises `SettingsError`.
    """
    path = find_campaign(source)
    values = read_toml(path)
    _absolute_start(values, path.resolve().parent)
    for change in changes:
        _apply(values, change)
    _absolute_start(values, Path.cwd())
    campaign = check_settings(values, Campaign, str(path))
    if not only:
        return campaign
    labels = [point.label for point in campaign.state_points]
    strange = [part for part in only if not any(label.startswith(part) for label in labels)]
    if strange:
        raise SettingsError(f"{source} has no state point {strange[0]}", f"It has: {', '.join(labels)}.")
    kept = [point for point in campaign.state_points if point.label.startswith(tuple(only))]
    return campaign.model_copy(update={"state_points": tuple(kept)})


def _absolute_start(values: dict[str, Any], base: Path) -> None:
    equilibration = values.get("equilibration")
    if isinstance(equilibration, dict) and isinstance(equilibration.get("start_from"), str):
        equilibration["start_from"] = str(base / equilibration["start_from"])


def _apply(values: dict[str, Any], change: str) -> None:
    place, sign, text = change.partition("=")
    if not sign or not place.strip():
        raise SettingsError(f"got --set {change}; expected KEY=VALUE", "For example --set particles=1000.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        # A bare word is a text: engine=lammps.
        value = text.strip()
    *path, last = place.strip().split(".")
    tables: list[dict[str, Any]] = [values]
    for number, part in enumerate(path):
        inside = [table.setdefault(part, {}) for table in tables]
        found: list[Any] = [one for value in inside for one in (value if isinstance(value, list) else [value])]
        if not all(isinstance(one, dict) for one in found):
            raise SettingsError(f"got --set {change}; '{'.'.join(path[: number + 1])}' is no table", "Mend the key.")
        tables = found
    for table in tables:
        table[last] = value
    _refuse_if_overridden(values, change, place.strip())


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
    return {path.stem: _first_sentence(path.read_text(encoding="utf-8")) for path in paths}


def _first_sentence(text: str) -> str:
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return " ".join(lines).partition(". ")[0].removesuffix(".") + "."
