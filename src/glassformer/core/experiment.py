"""The study file: which networks to train on which state points, at which scale, and what each is to answer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from glassformer.core.errors import SettingsError
from glassformer.core.layout import names_state_point
from glassformer.core.presets import RUNS, STUDIES, find, load_network, named
from glassformer.core.run import Run
from glassformer.core.settings import Settings, check_settings, read_toml

ScaleName = Literal["demo", "small", "full"]
Changes = dict[str, Any]
Names = Annotated[tuple[str, ...], Field(min_length=1)]


class Scale(Settings):
    """What a scale simulates and how it trains: `campaign` and `cooling` are campaigns, `run` changes the base run.

    Groups of experiments in `every_fold` train all folds, whatever `run` says of the others.
    """

    campaign: str
    cooling: str = ""
    every_fold: tuple[str, ...] = ()
    run: Changes = Field(default_factory=dict)


class Experiment(Settings):
    """One training: on the state points that `train` names, by label or its first parts, tested on all there are.

    `network`: a network that ships, or a TOML file, in the place of the run's. `run` changes the base run, after the
    scale has and with that network. `compare`: the experiment to read it against.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    group: str
    title: str
    train: Names
    compare: str = ""
    network: str = ""
    run: Changes = Field(default_factory=dict)

    def trains_on(self, label: str) -> bool:
        """Tell whether the state point of this label is one of those to train on."""
        return any(names_state_point(wanted, label) for wanted in self.train)


class Study(Settings):
    """Experiments that belong together, and the base run that each of them changes."""

    title: str
    run: str
    scales: Annotated[dict[ScaleName, Scale], Field(min_length=1)]
    experiments: Annotated[tuple[Experiment, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_are_known(self) -> "Study":
        names = [experiment.name for experiment in self.experiments]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two experiments are called {min(twice)}")
        unknown = {experiment.compare for experiment in self.experiments} - {*names, ""}
        if unknown:
            raise ValueError(f"compare: there is no experiment {min(unknown)}")
        return self

    def at(self, scale: str) -> Scale:
        """Return the scale called `scale`. Raises `SettingsError` if there is none."""
        if scale not in self.scales:
            raise SettingsError(f"got scale '{scale}'; expected {' or '.join(self.scales)}", "Choose one of these.")
        return self.scales[scale]

    def chosen(self, only: Sequence[str]) -> list[Experiment]:
        """Return the experiments that `only` names, by name or by group; all of them if it is empty.

        Raises `SettingsError` for a name that none has.
        """
        names = [one.name for one in self.experiments]
        # A name means that experiment alone, also where a group is called the same.
        groups = {one.group for one in self.experiments} - set(names)
        strange = [name for name in only if name not in {*names, *groups}]
        if strange:
            raise SettingsError(f"there is no experiment '{strange[0]}'", f"The experiments are: {', '.join(names)}.")
        return [
            one
            for one in self.experiments
            if not only or one.name in only or (one.group in only and one.group in groups)
        ]

    def runs(self, scale: str, only: Sequence[str] = ()) -> list[tuple[Experiment, Run]]:
        """Return the chosen experiments with their runs: the base run, changed by the scale, then by the experiment.

        Raises `SettingsError`.
        """
        base = read_toml(find(RUNS, self.run))
        return [(one, self._run(base, scale, one)) for one in self.chosen(only)]

    def _run(self, base: Changes, scale: str, experiment: Experiment) -> Run:
        values = merged(base, self.at(scale).run)
        if experiment.network:
            values["network"] = load_network(experiment.network).model_dump(mode="json")
        values = merged(values, experiment.run)
        if experiment.group in self.at(scale).every_fold:
            # A table of its own: what is merged still shares those that nothing changed.
            split = values.get("split", {})
            values["split"] = {key: value for key, value in split.items() if key != "trained_folds"}
        return check_settings(values, Run, f"experiment {experiment.name} at scale {scale}")


def load_study(source: str) -> Study:
    """Return the study that `source` names: one that ships with the package, or a TOML file. Raises `SettingsError`."""
    path = find(STUDIES, source)
    values = read_toml(path)
    _from_its_folder(values, path.resolve().parent)
    study = check_settings(values, Study, *named(STUDIES, source))
    for scale in study.scales:
        study.runs(scale)
    return study


def _from_its_folder(values: Changes, base: Path) -> None:
    """Let runs, networks and campaigns that are files, not names, count from the study file's folder."""
    if isinstance(values.get("run"), str) and values["run"].endswith(".toml"):
        values["run"] = str(base / values["run"])
    experiments = values.get("experiments")
    for experiment in experiments if isinstance(experiments, list) else ():
        network = experiment.get("network") if isinstance(experiment, dict) else None
        if isinstance(network, str) and network.endswith(".toml"):
            experiment["network"] = str(base / network)
    scales = values.get("scales")
    for scale in scales.values() if isinstance(scales, dict) else ():
        for key in ("campaign", "cooling"):
            source = scale.get(key) if isinstance(scale, dict) else None
            if isinstance(source, str) and source.endswith(".toml"):
                scale[key] = str(base / source)


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with `changes`, table by table: what `changes` does not name stays."""
    result = dict(values)
    for key, change in changes.items():
        inside = result.get(key)
        result[key] = merged(inside, change) if isinstance(inside, Mapping) and isinstance(change, Mapping) else change
    return result
