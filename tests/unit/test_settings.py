"""Campaign and run files: every mistake is named, with what was expected."""

import copy
import tomllib
from pathlib import Path

import pytest

from glassformer.api.training import run_or_recipe
from glassformer.core.campaign import Campaign
from glassformer.core.errors import SettingsError
from glassformer.core.mixture import check_composition, shipped_mixture
from glassformer.core.presets import (
    CAMPAIGNS,
    RUNS,
    campaign_presets,
    is_recipe,
    load_campaign,
    load_recipe,
    preset,
    recipe_presets,
    run_presets,
)
from glassformer.core.recipe import is_recipe_table
from glassformer.core.run import Run, load_run
from glassformer.core.settings import check_settings, load_settings, read_toml
from glassformer.simulate.schedule import observation_steps
from glassformer.simulate.stages import fewest_steps
from tests.conftest import TINY_CAMPAIGN


def broken(**changes: object) -> dict[str, object]:
    return copy.deepcopy(TINY_CAMPAIGN) | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"particels": 100}, "unknown key particels; did you mean 'particles'?"),
        ({"equilibration": {"damping": 1.0}}, "unknown key equilibration.damping; did you mean 'damping_time'?"),
        (
            {"equilibration": {"stages": [{"temperature": "target", "duration": 1.0}]}},
            "the first stage has nothing before it",
        ),
        (
            {"equilibration": {"stages": [{"temperature": 1.0, "ramp": True, "increment": 0.1}]}},
            "give either ramp or increment",
        ),
        ({"zzz": 1}, "unknown key zzz; known keys: seed, particles"),
        ({"particles": 1001}, "particles = 1001 gives no 80:20 mixture"),
        ({"draws": 0}, "draws: got 0; expected greater than 0"),
        ({"time_step": float("nan")}, "time_step: got nan"),
        ({"time_step": 0.5}, "time_step: got 0.5; expected less than or equal to 0.02"),
        ({"cutoff": "2.5"}, "cutoff: got '2.5'; expected a mixture instead, such as mixture = \"kob-andersen\""),
        ({"mixture": "kob-andersen"}, "give a mixture and no cutoff: its table has the cutoff"),
        ({"cutoff": None, "mixture": "kob-anderson"}, "there is no mixture 'kob-anderson'; these ship: kob-andersen,"),
        ({"seed": "one"}, "seed: got 'one'"),
        ({"seed": 10**20}, "seed: got 100000000000000000000; expected less than 9223372036854775808"),
        ({"schedule": {"first": 1, "count": 300, "last": 200}}, "300 different steps do not fit between 1 and 200"),
        ({"state_points": []}, "state_points"),
    ],
)
def test_mistakes_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_settings(broken(**changes), Campaign, "file.toml")
    assert message in caught.value.problem
    assert caught.value.problem.startswith("file.toml: ")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (
            {"temperature": -0.5, "pressure": 1.0, "hold_time": 1.0},
            "state_points[0].temperature: got -0.5; expected greater",
        ),
        ({"temperature": 0.5, "hold_time": 1.0}, "give either pressure or density"),
        ({"temperature": 0.5, "pressure": 1.0, "density": 1.2, "hold_time": 1.0}, "give either pressure or density"),
        ({"temperature": 0.5, "presure": 1.0, "hold_time": 1.0}, "did you mean 'pressure'?"),
    ],
)
def test_mistakes_in_state_points_are_named(point: dict[str, float], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_settings(broken(state_points=[point]), Campaign, "file.toml")
    assert message in caught.value.problem


def test_a_state_point_may_not_stand_twice() -> None:
    point = {"temperature": 0.5, "pressure": 1.0, "hold_time": 1.0}
    with pytest.raises(SettingsError, match=r"T0\.50_P1\.00 is given twice"):
        check_settings(broken(state_points=[point, point]), Campaign, "file.toml")


def test_labels_tell_close_state_points_apart() -> None:
    points = [{"temperature": t, "density": 1.2, "hold_time": 1.0} for t in (0.44, 0.441, 0.4405)]
    campaign = check_settings(broken(state_points=points), Campaign, "file.toml")
    labels = [point.label for point in campaign.state_points]
    assert labels == ["T0.44_rho1.20", "T0.441_rho1.20", "T0.4405_rho1.20"]


@pytest.mark.parametrize("particles", [1000, 4096, 10_000, 200])
def test_allowed_compositions(particles: int) -> None:
    check_composition(shipped_mixture("kob-andersen"), particles)


def test_text_that_is_no_toml(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("name = ")
    with pytest.raises(SettingsError, match="is not TOML"):
        load_settings(path, Run)
    with pytest.raises(SettingsError, match="cannot read"):
        load_settings(tmp_path / "absent.toml", Run)


def test_number_of_samples_and_other_state_points_do_not_change_a_sample() -> None:
    few, many = (check_settings(broken(configurations=n), Campaign, "f") for n in (2, 9))
    assert few.sample_parameters(few.state_points[0]) == many.sample_parameters(many.state_points[0])
    other = check_settings(broken(seed=12), Campaign, "f")
    assert few.sample_parameters(few.state_points[0]) != other.sample_parameters(other.state_points[0])


@pytest.mark.parametrize("name", campaign_presets())
def test_shipped_campaigns_are_valid_and_can_be_begun(name: str, tmp_path: Path) -> None:
    campaign = load_campaign(name)
    assert all(observation_steps(campaign.at(point))[-1] > 0 for point in campaign.state_points)
    for point in campaign.state_points:
        assert (fewest_steps(campaign, point) > 0) != campaign.equilibration.as_given


SHIPPED_RUNS = sorted(path.stem for path in preset(RUNS, "demo").parent.glob("*.toml"))


@pytest.mark.parametrize("name", SHIPPED_RUNS)
def test_shipped_runs_are_valid_and_found_by_name(name: str) -> None:
    assert load_run(name) == load_settings(preset(RUNS, name), Run)


def test_the_shipped_runs_are_what_they_say() -> None:
    assert SHIPPED_RUNS == ["default", "demo", "demo-structure", "propensity-network", "thesis"]
    thesis = load_run("thesis").training
    assert (thesis.batch_size, thesis.epochs, thesis.optimizer, thesis.loss) == (16, 30, "adam", "mse")
    assert (thesis.learning_rate, thesis.late_from_epoch, thesis.late_learning_rate) == (1e-3, 10, 1e-4)
    assert load_run("default").network.head == "particle"


def test_a_network_may_be_replaced_by_name_or_file(tmp_path: Path) -> None:
    run = load_run("thesis", "particlenet-glass")
    assert run.network.neighbors == 20
    assert run.model_copy(update={"network": None}) == load_run("thesis").model_copy(update={"network": None})
    (tmp_path / "mine.toml").write_text('name = "message-passing"\ncutoff = 1.5')
    assert load_run("default", str(tmp_path / "mine.toml")).network.cutoff == 1.5
    with pytest.raises(SettingsError, match="velocities as input belong to a draw"):
        load_run("thesis", "particlenet")
    with pytest.raises(SettingsError, match="there is no network file nonsense"):
        load_run("thesis", "nonsense")


def test_a_run_that_is_neither_a_file_nor_ships_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no run file thesys") as caught:
        load_run("thesys")
    assert (
        caught.value.remedy
        == "These ship: default, demo-structure, demo, propensity-network, thesis; recipes of propensity models:"
        f" {', '.join(recipe_presets())} (glassformer train --list)."
    )
    with pytest.raises(SettingsError, match=r"did you mean 'propensity'\?"):
        load_run("propensty")
    with pytest.raises(SettingsError, match="there is no run file"):
        load_run(str(tmp_path / "absent.toml"))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"name": "message-passing", "cutof": 2.0}, "unknown key network.cutof; did you mean 'cutoff'?"),
        ({"name": "continuous-filter", "radial": 9}, "unknown key network.radial; did you mean 'radial_functions'?"),
        ({"neighbours": 9}, "unknown key network.neighbours; did you mean 'neighbors'?"),
        ({"name": "particlenet", "zzz": 9}, "unknown key network.zzz; known keys: inputs, head"),
        ({"name": "message-passing", "neighbors": 9}, "unknown key network.neighbors; known keys: inputs, head"),
        ({"name": "message-passing", "cutoff": -1}, "network.cutoff: got -1; expected greater than 0"),
        ({"name": "transformer"}, "network: expected name to be one of particlenet, message-passing"),
    ],
)
def test_mistakes_in_a_network_are_named_by_its_own_keys(network: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_settings({"network": network}, Run, "run.toml")
    assert message in caught.value.problem
    assert len(caught.value.problem.splitlines()) == 1


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"network": {"inputs": ["type", "velocity"]}}, "velocities as input belong to a draw: expected targets.draws"),
        (
            {"network": {"head": "particle"}, "targets": {"draws": "each"}},
            "a particle head learns means over draws",
        ),
        ({"split": {"by": "draw"}}, 'split.by = "draw" deals out single draws'),
        ({"targets": {"species": "B"}}, "a system head learns MSD_A, nothing else"),
        ({"targets": {"quantity": "propensity"}}, "a system head learns MSD_A, nothing else"),
        (
            {"training": {"epochs": 3, "frozen_norms_from_epoch": 3}},
            "got frozen_norms_from_epoch = 3; expected less than epochs = 3",
        ),
        ({"training": {"keep": "last", "early_stopping": 2}}, 'expected keep = "best" with it'),
        (
            {"training": {"schedule": "cosine", "epochs": 3, "warmup_epochs": 3}},
            "got warmup_epochs = 3; expected less than epochs = 3",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_named(tables: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_settings(tables, Run, "run.toml")
    assert message in caught.value.problem


def test_one_mistake_is_told_once() -> None:
    with pytest.raises(SettingsError) as caught:
        check_settings({"targets": {"times": [-1.0]}}, Run, "run.toml")
    assert caught.value.problem.splitlines() == ["run.toml: targets.times[0]: got -1.0; expected greater than 0"]


def test_only_takes_whole_parts_of_a_label_before_its_beginning(tmp_path: Path) -> None:
    more = "".join(f"[[state_points]]\ntemperature = {t}\npressure = {p}\n" for t, p in ((0.44, 2.93), (0.441, 2.91)))
    path = tmp_path / "campaign.toml"
    path.write_text(preset(CAMPAIGNS, "demo").read_text() + more)

    def chosen(part: str) -> list[str]:
        return [point.label for point in load_campaign(str(path), only=[part]).state_points]

    assert chosen("T0.44") == ["T0.44_P2.93"]
    assert chosen("T0.4") == ["T0.44_P2.93", "T0.441_P2.91"]


@pytest.mark.parametrize("text", ['raeds = "window"\n', 'raeds = "window"\ntargets = [{temperature=0.5, times=[1]}]\n'])
def test_a_mistyped_reads_is_still_a_recipe(text: str, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text(text)
    assert is_recipe(str(tmp_path / "my.toml"))
    with pytest.raises(SettingsError, match="unknown key raeds; did you mean 'reads'"):
        load_recipe(str(tmp_path / "my.toml"))
    with pytest.raises(SettingsError, match="unknown key raeds; did you mean 'reads'"):
        run_or_recipe(tomllib.loads(text))


def test_runs_are_no_recipes() -> None:
    assert [name for name in run_presets() if is_recipe_table(read_toml(preset(RUNS, name)))] == []
    assert not is_recipe_table({"seed": 1, "sed": 2, "network": {}})
