"""Why a sample that a dataset holds does not belong to a campaign: the settings that differ, by name."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from glassformer.core.campaign import Campaign
from glassformer.core.differences import differences, listed
from glassformer.core.errors import DatasetError
from glassformer.core.json_files import read_json
from glassformer.core.layout import DatasetFolder
from glassformer.core.provenance import code_version
from glassformer.dataset.facts import Facts
from glassformer.dataset.places import stranger
from glassformer.simulate.draws import engine_used

if TYPE_CHECKING:
    from glassformer.simulate.sample_task import Task

HOLDER, ASKER = "the dataset", "this campaign"
# Settings of a campaign that a sample itself records.
RECORDED = ("time_step", "seed")


class OtherParametersError(DatasetError):
    """A sample that is whole, and was made with other parameters."""


def read_campaign(path: Path) -> Campaign | None:
    """Return the campaign in the file `path`, or None if it is one of another version.

    Raises `DatasetError` if there is no such file or it is damaged, and `StorageError`.
    """
    remedy = (
        f"Set the file aside: glassformer repair {path.parent}. Then run `glassformer simulate` with the campaign file:"
        " it writes it again, and simulates only what is missing."
    )
    values = read_json(path, DatasetError, "campaign", remedy)
    try:
        return Campaign.model_validate_json(json.dumps(values))
    except (ValidationError, RecursionError):
        return None


def earlier_campaign(dataset: Path) -> Campaign | None:
    """Return the campaign last run into `dataset`, or None if that is not known. Raises as `read_campaign` does."""
    path = DatasetFolder(dataset).campaign
    return read_campaign(path) if os.path.lexists(path) else None


def refuse(task: "Task", facts: Facts, protocol: str) -> DatasetError:
    """Return the error for the sample with `facts` in the place of `task`, which `protocol` would make."""
    elsewhere = stranger(task.path, facts.state_point, facts.index)
    if elsewhere:
        return DatasetError(
            f"{task.path} {elsewhere}: files were renamed or copied",
            "Put it in its place or, if that is taken, set it aside and simulate what is missing: glassformer repair"
            f" {task.path.parents[1]} --recompute.",
        )
    found = _settings(task, task.path.parents[1]) or _recorded(task, facts, protocol)
    engine = f"engine: {facts.engine} in {HOLDER}, {engine_used(task.campaign)} in {ASKER}"
    hint = ""
    if facts.engine is not None and not _same_engine(facts.engine, engine_used(task.campaign)):
        found.append(engine)
        # As it is written in a campaign; which processors can run lockstep decides 'auto'.
        name = _named(facts.engine)
        hint = f' (set engine = "{name}")'
    if not found:
        found = [f"glassformer: {facts.code_version} in {HOLDER}, {code_version()} in {ASKER}"]
    return OtherParametersError(
        f"{task.path} was made with other parameters: {listed(found)}",
        f"Choose another folder with --out, or set these as the dataset has them{hint}.",
    )


def refuse_another(earlier: Campaign, campaign: Campaign, dataset: Path) -> None:
    """Raise `DatasetError` if `earlier`, which other runs are simulating into `dataset`, is not this campaign.

    They may differ in state points, configurations and draws.
    """
    points = {point.label: point for point in earlier.state_points}
    engines = engine_used(earlier), engine_used(campaign)
    found = [] if engines[0] == engines[1] else [f"engine: {engines[0]} in {HOLDER}, {engines[1]} in {ASKER}"]
    for new in campaign.state_points:
        old = points.get(new.label)
        if old is None:
            continue
        theirs, ours = earlier.at(old).sample_parameters(old), campaign.at(new).sample_parameters(new)
        _say_once(theirs, ours)
        found += differences(theirs, ours, HOLDER, ASKER)
    if found:
        raise DatasetError(
            f"another run is writing to {dataset} with other parameters: {listed(found)}",
            "Choose another folder with --out, or the same settings.",
        )


def _settings(task: "Task", dataset: Path) -> list[str]:
    """Return how the campaign last run into `dataset` differs from that of `task` at its state point."""
    earlier = earlier_campaign(dataset)
    points = () if earlier is None else earlier.state_points
    point = next((one for one in points if one.label == task.point.label), None)
    if earlier is None or point is None:
        return []
    old, new = earlier.at(point).sample_parameters(point), task.campaign.sample_parameters(task.point)
    _say_once(old, new)
    return differences(old, new, HOLDER, ASKER)


def _say_once(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Leave out what a state point's own settings replace: it would be named a second time."""
    own = old["state_point"], new["state_point"]
    for one, parameters in zip(own, (old, new), strict=True):
        if any(table["particle_times"] is not None for table in own):
            parameters.pop("particle_times")
        if any(table["until"] is not None for table in own):
            parameters["schedule"].pop("until")
        parameters["state_points"] = {key: value for key, value in one.items() if value is not None}
        parameters.pop("state_point")


def _recorded(task: "Task", facts: Facts, protocol: str) -> list[str]:
    """Return how what the sample records of its making differs from what `task` would do."""
    old: dict[str, Any] = {"temperature": facts.temperature, "pressure": facts.pressure, "density": facts.density}
    new: Mapping[str, Any] = {name: getattr(task.point, name) for name in old}
    start = "random" if task.start is None else f"configuration {task.start.fingerprint}"
    old |= {name: getattr(facts, name) for name in RECORDED} | {"index": facts.index, "start": facts.start}
    new = {**new, **{name: getattr(task.campaign, name) for name in RECORDED}, "index": task.index, "start": start}
    old |= {"mixture": facts.mixture.physics | {"wave_numbers": facts.mixture.wave_numbers}}
    new |= {"mixture": task.campaign.mixture.physics | {"wave_numbers": task.campaign.mixture.wave_numbers}}
    return differences({**old, "protocol": facts.protocol}, {**new, "protocol": protocol}, HOLDER, ASKER)


def _named(engine: str) -> str:
    """Return the name in a campaign of the engine that a sample calls `engine`."""
    if "CUDA" in engine:
        return "cuda"
    return "lammps" if engine.startswith("LAMMPS") else "auto" if " and LAMMPS" in engine else "lockstep"


def _same_engine(made_by: str, asked: str) -> bool:
    """Tell whether the engines are the same, apart from where LAMMPS took over some draws and from the device."""
    made_by = made_by.partition(" (on ")[0]
    before, taken, after = made_by.partition(", which took over some draws")
    return asked == (before + ";" + after.partition(";")[2] if taken else made_by)
