"""Studies: which experiments there are, and what each changes in the base run."""

from pathlib import Path

import pytest

from glassformer.core.errors import SettingsError
from glassformer.core.experiment import Study, load_study, merged
from glassformer.core.presets import load_campaign, load_network, network_presets, study_presets
from glassformer.core.settings import check_settings
from glassformer.simulate.schedule import logfreq3, observation_steps
from tests.unit.test_cli import glassformer

STUDY = {
    "title": "Two",
    "run": "thesis",
    "scales": {"demo": {"campaign": "demo", "every_fold": ["b"], "run": {"split": {"folds": 3, "trained_folds": 1}}}},
    "experiments": [
        {"name": "first", "group": "a", "title": "the first", "train": ["T0.44"]},
        {"name": "second", "group": "b", "title": "the second", "train": ["T0.44"], "compare": "first",
         "run": {"network": {"neighbors": 7}, "training": {"learning_rate": 0.5}}},
    ],
}  # fmt: skip


def study(**changes: object) -> Study:
    return check_settings(STUDY | changes, Study, "two.toml")


def test_an_experiment_changes_what_the_scale_has_changed_of_the_base_run() -> None:
    (_, first), (_, second) = study().runs("demo")
    assert first.split.folds == second.split.folds == 3
    assert (first.split.trained_folds, second.split.trained_folds) == (1, None)
    assert (first.network.neighbors, second.network.neighbors) == (20, 7)
    assert (first.training.learning_rate, second.training.learning_rate) == (1e-3, 0.5)
    # What neither changes is the thesis's.
    assert (second.training.epochs, second.training.batch_size, second.training.late_from_epoch) == (30, 16, 10)
    assert first.network.blocks == second.network.blocks == ((64,) * 3, (128,) * 3, (256,) * 3)


def test_merged_goes_into_tables_and_leaves_its_arguments_alone() -> None:
    values = {"a": {"b": 1, "c": 2}, "d": [1]}
    assert merged(values, {"a": {"c": 3}, "d": [2], "e": 4}) == {"a": {"b": 1, "c": 3}, "d": [2], "e": 4}
    assert values == {"a": {"b": 1, "c": 2}, "d": [1]}


def test_only_takes_names_and_groups_and_names_those_there_are() -> None:
    assert [one.name for one in study().chosen(["b"])] == ["second"]
    assert [one.name for one in study().chosen(["first"])] == ["first"]
    assert [one.name for one in study().chosen([])] == ["first", "second"]
    both = [{"name": name, "group": "first", "title": "t", "train": ["T0.44"]} for name in ("first", "other")]
    assert [one.name for one in study(experiments=both).chosen(["first"])] == ["first"]
    with pytest.raises(SettingsError, match="no experiment 'third'") as caught:
        study().chosen(["third"])
    assert "first, second" in caught.value.remedy


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"experiments": [STUDY["experiments"][0]] * 2}, "two experiments are called first"),  # type: ignore[index]
        ({"experiments": [STUDY["experiments"][1]]}, "there is no experiment first"),  # type: ignore[index]
        ({"scales": {"huge": {"campaign": "demo"}}}, "demo"),
        ({"runs": "thesis"}, "unknown key runs"),
    ],
)
def test_a_bad_study_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        study(**changes)


def test_a_run_that_makes_no_sense_names_its_experiment_when_the_study_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(
        'title = "x"\nrun = "thesis"\nscales.small.campaign = "demo"\n[[experiments]]\nname = "odd"\ngroup = "g"\n'
        'title = "t"\ntrain = ["T0.44"]\nrun = { training = { epochs = -1 } }\n'
    )
    with pytest.raises(SettingsError, match=r"experiment odd at scale small: training\.epochs: got -1"):
        load_study(str(path))


def test_the_studies_that_ship_are_those_of_the_thesis() -> None:
    assert set(study_presets()) == {"thesis", "audit", "networks"}
    runs = {experiment.name: (experiment, run) for experiment, run in load_study("thesis").runs("full")}
    training, base = {"T0.44", "T0.47", "T0.50", "T0.56"}, runs["four"][1]
    assert set(runs["four"][0].train) == training
    assert {one.train for name, (one, _) in runs.items() if name.startswith("one-")} == {(name,) for name in training}
    assert set(runs["four-0.45"][0].train) == training - {"T0.44"} | {"T0.45"}
    rates = base.training.learning_rate, base.training.late_learning_rate, base.training.late_from_epoch
    assert (base.training.batch_size, base.training.epochs, base.training.loss) == (16, 30, "mse")
    assert rates == (1e-3, 1e-4, 10)
    # 80 % and 20 %.
    assert (base.split.folds, base.split.trained_folds) == (5, 1)
    assert {run.network.neighbors for _, run in runs.values()} == {5, 10, 20}
    assert len({(run.network.aggregation, run.network.global_pool) for _, run in runs.values()}) == 4
    assert {run.training.augmentation for _, run in runs.values()} == {"none", "cubic-rotations", "symmetries"}


def test_every_leak_of_the_audit_is_there_and_the_control_has_none() -> None:
    for scale in ("demo", "small", "full"):
        runs = {one.name: run for one, run in load_study("audit").runs(scale)}
        control = runs["none"]
        assert (control.split.by, control.network.inputs) == ("configuration", ("species",))
        assert (control.network.first_graph, control.network.edge_vectors) == ("periodic", True)
        assert runs["draws"].model_copy(update={"split": control.split}) == control
        assert runs["velocities"].network.inputs == ("species", "velocity")
        assert runs["coordinates"].network.inputs == ("species", "position")
        assert runs["coordinates"].network.first_graph == "open"
        assert all(run.targets.draws == "each" for run in runs.values())


def test_all_networks_that_ship_are_compared_in_equal_time() -> None:
    """The same targets, folds and training for each, and its own network, without what gives the temperature away."""
    loaded = load_study("networks")
    for scale in loaded.scales:
        runs = {one.network: run for one, run in loaded.runs(scale)}
        assert set(runs) == set(network_presets())
        first = runs["continuous-filter"]
        assert first.training.seconds > 0
        for name, run in runs.items():
            assert (run.targets, run.split, run.training) == (first.targets, first.split, first.training), name
            assert not {"velocity", "position"} & set(run.network.inputs), name
            shipped = load_network(name).model_dump(exclude={"head", "inputs"})
            assert run.network.model_dump(exclude={"head", "inputs"}) == shipped


@pytest.mark.parametrize("study_name", ["thesis", "audit", "networks"])
def test_the_data_of_every_scale_hold_its_state_points_and_times(study_name: str) -> None:
    loaded = load_study(study_name)
    for scale, settings in loaded.scales.items():
        campaign = load_campaign(settings.campaign)
        labels = [point.label for point in campaign.state_points]
        for experiment, run in loaded.runs(scale):
            assert all(any(label.startswith(name) for label in labels) for name in experiment.train)
            last = observation_steps(campaign)[-1] * campaign.time_step
            times = [last if time == "last" else time for time in run.targets.times]
            assert times == pytest.approx(campaign.particle_times)


def test_the_thesis_s_plateau_time_is_entry_100_of_its_200() -> None:
    assert logfreq3(1, 200, 100_000)[100] * 0.005 == pytest.approx(1.63)


@pytest.mark.long
def test_the_command_lists_studies_and_experiments_and_refuses_in_one_line() -> None:
    assert "thesis" in glassformer("experiment", "--list").stdout
    listed = glassformer("experiment", "thesis", "--list").stdout
    assert max(map(len, listed.splitlines())) <= 80
    assert "particle-structure" in listed
    for arguments, message in (
        (["thesis", "--scale", "huge"], "got scale 'huge'; expected demo or small or full"),
        (["thesi"], "there is no study file thesi"),
        (["thesis", "--only", "for"], "there is no experiment 'for'"),
        ([], "no study was given"),
    ):
        done = glassformer("experiment", *arguments)
        assert (done.returncode, message in done.stderr, done.stdout) == (2, True, "")


def test_every_fold_of_one_group_leaves_the_others_theirs(tmp_path: Path) -> None:
    """Also where the base run has no table of its own to change."""
    (tmp_path / "run.toml").write_text("seed = 1")
    names = [("a", "b"), ("c", "d"), ("e", "b")]
    experiments = [{"name": name, "group": group, "title": "t", "train": ["T0.44"]} for name, group in names]
    folds = {"split": {"folds": 3, "trained_folds": 1}}
    scales = {"demo": {"campaign": "demo", "every_fold": ["b"], "run": folds}}
    changed = study(run=str(tmp_path / "run.toml"), experiments=experiments, scales=scales)
    for _ in range(2):
        assert [run.split.trained_folds for _, run in changed.runs("demo")] == [None, 1, None]
