"""Campaigns by name, and changes from the command line."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from glassformer.baselines.shipped_models import load_model
from glassformer.cli.app import app
from glassformer.core.errors import SettingsError
from glassformer.core.presets import campaign_presets, load_campaign, load_network, network_presets, preset


def test_they_are_listed_with_what_they_are() -> None:
    found = campaign_presets()
    assert {"demo", "thesis", "thesis-as-run", "isochore", "cooling"} <= set(found)
    assert all(30 < len(text) < 220 and text.endswith(".") for text in found.values())


def test_a_model_that_does_not_exist_is_answered_with_the_closest_name() -> None:
    with pytest.raises(SettingsError, match=r"no model of that name ships .*; did you mean 'ka-t0.44-t4120'\?"):
        load_model("ka-t0.44-t412")


def test_the_list_of_models_says_what_they_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rows = CliRunner().invoke(app, ["propensity", "--list"]).output.splitlines()
    assert [re.split(r"  +", row.strip())[::4] for row in rows[:5]] == [
        ["model", "reads"], ["ka-isochore", "cage positions"], ["ka-t0.44-t13", "cage positions"],
        ["ka-t0.44-t4120-fast", "inherent structure"], ["ka-t0.44-t4120", "cage positions"],
    ]  # fmt: skip


def test_a_file_and_a_name_give_the_same() -> None:
    assert load_campaign("demo") == load_campaign(str(preset("campaigns", "demo")))


def test_changes_reach_every_depth() -> None:
    changes = ["particles=500", "schedule.until=5", "engine=lammps", "state_points.hold_time=3", "seed = 9"]
    found = load_campaign("demo", [*changes, "particle_times=[1.0, 2.0]", "equilibration.box=mean-density"])
    assert found.particles == 500
    assert found.schedule.until == 5
    assert found.engine == "lammps"
    assert found.seed == 9
    assert found.particle_times == (1.0, 2.0)
    assert found.equilibration.box == "mean-density"
    assert [point.hold_time for point in found.state_points] == [3, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("particles", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("particels=3", "did you mean 'particles'"),
        ("schedule.untl=3", "did you mean 'until'"),
        ("seed.deeper=3", "'seed' is not a table"),
        ("seed.x.y=1", "'seed' is not a table"),
        ("particle_times.a.b=3", "'particle_times' is not a table"),
        ("draws=many", "draws: got 'many'"),
        ("state_points.2.until=5", "'state_points' has 2 entries, counted from 0"),
        ("state_points[0].untl=5", "--set state_points[0].untl=5: unknown key state_points[0].untl"),
        ("schedule.0.until=5", "'schedule' is not a list"),
        ("0.until=5", "unknown key 0"),
    ],
)
def test_mistakes_in_changes_are_named(change: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_campaign("demo", [change])
    assert message in caught.value.problem


def test_a_number_names_one_entry_of_a_list() -> None:
    changes = [
        "state_points.0.until=5",
        "state_points[1].particle_times=[1.0, 2.0]",
        "equilibration.stages.0.duration=3",
    ]
    first, second = (found := load_campaign("demo", changes)).state_points
    assert (first.until, second.until) == (5.0, None)
    assert (first.particle_times, second.particle_times) == (None, (1.0, 2.0))
    assert found.equilibration.stages[0].duration == 3
    assert (
        load_campaign("further-draws", ["state_points.0.particle_times.0=1.5"]).state_points[0].particle_times[0] == 1.5
    )
    # One of two points keeps the end that all have, which may then be changed.
    assert load_campaign("demo", ["state_points.0.until=5", "schedule.until=7"]).schedule.until == 7


def test_state_points_are_chosen_by_their_labels() -> None:
    assert [point.label for point in load_campaign("thesis", only=["T0.50", "T0.44_P2.93"]).state_points] == [
        "T0.44_P2.93",
        "T0.50_P1.55",
    ]
    with pytest.raises(SettingsError, match=r"thesis has no state point T0\.51"):
        load_campaign("thesis", only=["T0.51"])


def test_an_unknown_campaign_is_told_which_there_are() -> None:
    with pytest.raises(SettingsError, match="there is no campaign file thesys") as caught:
        load_campaign("thesys")
    assert "thesis-as-run" in caught.value.remedy


def test_starts_count_from_the_campaign_s_folder_and_those_of_the_command_line_from_here(tmp_path: Path) -> None:
    path = tmp_path / "campaign.toml"
    text = preset("campaigns", "demo").read_text()
    path.write_text(text.replace("[equilibration]", '[equilibration]\nstart_from = "starts"'))
    assert load_campaign(str(path)).equilibration.start_from == str(tmp_path / "starts")
    changed = load_campaign(str(path), ["equilibration.start_from=other"])
    assert changed.equilibration.start_from == str(Path.cwd() / "other")


@pytest.mark.parametrize("change", ["schedule.until=20", "particle_times=[1.0]"])
def test_a_change_that_would_change_nothing_is_refused(change: str) -> None:
    with pytest.raises(SettingsError, match="every state point has its own") as caught:
        load_campaign("isochore", [change])
    assert "--set state_points." in caught.value.remedy


SEVEN = [(0.44, 2.93), (0.45, 2.70), (0.47, 2.24), (0.49, 1.78), (0.50, 1.55), (0.52, 1.09), (0.56, 0.17)]


@pytest.mark.parametrize("name", ["thesis", "thesis-as-run", "thesis-small", "thesis-demo"])
def test_the_thesis_s_campaigns_have_its_seven_state_points(name: str) -> None:
    assert [(point.temperature, point.pressure) for point in load_campaign(name).state_points] == SEVEN


@pytest.mark.parametrize("name", ["thesis", "thesis-as-run"])
def test_the_thesis_s_size(name: str) -> None:
    found = load_campaign(name)
    assert (found.particles, found.configurations, found.draws) == (4096, 400, 20)
    look = load_campaign(name, ["configurations=1"], ["T0.50"])
    assert (look.configurations, len(look.state_points)) == (1, 1)


NUMBER_WORDS = {"two": 2, "four": 4, "seven": 7}


@pytest.mark.parametrize("name", campaign_presets())
def test_first_sentences_say_what_campaigns_hold(name: str) -> None:
    found, text = load_campaign(name), campaign_presets()[name]
    assert re.search(rf"\bN = {found.particles}\b", text)
    if held := re.search(r"(\d+) configurations x (\d+) draws", text):
        assert (int(held[1]), int(held[2])) == (found.configurations, found.draws)
    if points := re.search(r"\b(two|four|seven)\b.*state points\b", text.lower()):
        # 'Two of the thesis's seven state points'.
        assert NUMBER_WORDS[points[1]] == len(found.state_points)
    if until := re.search(r"\bt = (\d+)\b", text):
        assert found.schedule.until == float(until[1])


@pytest.mark.parametrize("name", network_presets())
def test_first_sentences_say_what_networks_are(name: str) -> None:
    found, text = load_network(name), network_presets()[name]
    assert ("per particle" in text) == (found.head == "particle")
    for word in ("species", "type", "position", "velocity"):
        assert word not in text or word in found.inputs
