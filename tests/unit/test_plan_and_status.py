"""What a campaign will cost, and how it stands."""

import json
import math
import shutil
from pathlib import Path

import pytest
import typer

from glassformer.cli.app import app, status
from glassformer.cli.console import console
from glassformer.cli.tables import print_plan
from glassformer.core.arrays import ISOCONFIGURATIONAL
from glassformer.core.campaign import Campaign
from glassformer.core.errors import DatasetError
from glassformer.core.json_files import write_json
from glassformer.core.presets import load_campaign
from glassformer.core.progress import Silent
from glassformer.core.runs import exclusive
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import list_dataset
from glassformer.dataset.mixtures import mixture_of
from glassformer.dataset.sample import read_sample, write_sample
from glassformer.simulate import plan as module
from glassformer.simulate import rates as measured
from glassformer.simulate.campaign import run_campaign, tasks
from glassformer.simulate.plan import Cost, Plan, cost_at, lengths_of_windows, plan_campaign, sample_bytes
from glassformer.simulate.rates import Rates
from glassformer.simulate.stages import fewest_steps, most_steps
from glassformer.simulate.status import campaign_status
from glassformer.simulate.unfinished import Unfinished
from tests.conftest import TINY_CAMPAIGN, synthetic_sample


@pytest.fixture
def known_rates(monkeypatch: pytest.MonkeyPatch) -> Rates:
    rates = Rates("LAMMPS", 1000.0, 500.0)
    monkeypatch.setattr(module, "measure_rates", lambda campaign, progress: rates)
    return rates


def test_the_cost_is_steps_over_rate(tiny_campaign: Campaign, known_rates: Rates) -> None:
    found = plan_campaign(tiny_campaign, None, 2, Silent())
    for cost, point in zip(found.costs, tiny_campaign.state_points, strict=True):
        assert (cost.configurations, cost.draws) == (4, 8)
        assert cost.equilibration_hours == pytest.approx(4 * fewest_steps(tiny_campaign, point) / 1000 / 3600)
        assert cost.most_equilibration_hours == pytest.approx(4 * most_steps(tiny_campaign, point) / 1000 / 3600)
        # The last observation is at step 400.
        assert cost.draw_hours == pytest.approx(8 * 400 / 500 / 3600)
    least, most = found.core_hours
    assert least == pytest.approx(sum(cost.equilibration_hours + cost.draw_hours for cost in found.costs))
    assert found.wall_hours == (least / 2, most / 2)
    # A configuration takes one core: of more cores some stay idle.
    longest = max(cost.equilibration_hours + cost.draw_hours for cost in found.costs) / 4
    many = plan_campaign(tiny_campaign, None, 100, Silent())
    assert many.wall_hours[0] == many.longest_hours[0] == pytest.approx(longest)
    assert many.wall_hours[1] > many.wall_hours[0]


def test_windows_have_lengths_of_measured_relaxation_times(
    known_rates: Rates, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_width", 200)
    found = plan_campaign(load_campaign("thesis"), None, 2, Silent())
    cold = found.costs[0]
    # tau_alpha is 2,800 to 4,100 at T = 0.44; by the thesis's estimate it would be 120,000.
    assert cold.window == pytest.approx(5 * math.exp(0.25 / 0.03), rel=1e-5)
    steps = 400 * 2 * cold.window / 0.001
    # Cooling comes before the windows.
    assert steps < cold.equilibration_hours * 3600 * known_rates.equilibration < 1.6 * steps
    print_plan(found)
    assert "(5 relaxation times, estimated as exp(0.25 / (T - 0.41)))" in " ".join(capsys.readouterr().out.split())
    small = plan_campaign(load_campaign("thesis-small"), None, 2, Silent())
    assert (small.windows, small.costs[0].window) == ("hold_time", 800.0)
    further = load_campaign("further-draws")
    assert (lengths_of_windows(further), cost_at(further, further.state_points[0], [], known_rates).window) == ("", 0)


def test_a_busy_machine_is_told(tiny_campaign: Campaign, known_rates: Rates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (7.0, 1.0, 1.0))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert "load 7.0 on 2 cores" in plan_campaign(tiny_campaign, None, 2, Silent()).warnings[-1]
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert not any("busy" in text for text in plan_campaign(tiny_campaign, None, 2, Silent()).warnings)


@pytest.mark.long
def test_the_search_for_an_inherent_structure_is_timed(tiny_campaign: Campaign) -> None:
    few = measured.measure_quench(tiny_campaign, Silent())
    assert 0 < few < 30
    # Scaled from the size at which it is measured.
    large = tiny_campaign.model_copy(update={"particles": 4 * measured.MEASURED_PARTICLES})
    assert measured.measure_quench(large, Silent()) / 4 == measured._quench_seconds(
        mixture_of(large.mixture), measured.MEASURED_PARTICLES, large.equilibration.start_density, False
    )


def test_what_is_there_is_not_counted(tiny_campaign: Campaign, tiny_dataset: Path, known_rates: Rates) -> None:
    more = tiny_campaign.model_copy(update={"draws": 5, "configurations": 5})
    found = plan_campaign(more, tiny_dataset, 2, Silent())
    for cost, point in zip(found.costs, tiny_campaign.state_points, strict=True):
        assert (cost.configurations, cost.draws) == (5, 4 * 3 + 5)
        assert cost.equilibration_hours == pytest.approx(fewest_steps(tiny_campaign, point) / 1000 / 3600)
    nothing = plan_campaign(tiny_campaign, tiny_dataset, 2, Silent())
    assert nothing.core_hours == (0, 0)
    assert nothing.bytes == 0


def test_the_bytes_are_those_of_the_files(tiny_campaign: Campaign, tiny_dataset: Path, tmp_path: Path) -> None:
    size = next(tiny_dataset.glob("*/*.h5")).stat().st_size
    # HDF5's own needs and the record of the equilibration come on top.
    assert 0 < size - sample_bytes(tiny_campaign) < 40_000
    sample = read_sample(next(tiny_dataset.glob("*/*.h5")))
    rows = [spec.name for spec in ISOCONFIGURATIONAL if spec.kind == "draw" and not spec.on_request]
    assert {"seeds", "msd", "self_scattering", "quartic", "overlap"} <= set(rows)
    by_draw = sum(getattr(sample.ensemble, name)[0].nbytes for name in rows)
    more = tiny_campaign.model_copy(update={"draws": tiny_campaign.draws + 1})
    assert sample_bytes(more) - sample_bytes(tiny_campaign) == by_draw
    kept = tiny_campaign.model_copy(update={"keep_displacements": True})
    assert sample_bytes(kept) - sample_bytes(tiny_campaign) == 2 * 1 * 200 * 3 * 4


def test_the_rates_are_measured(tiny_campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "SECONDS", 0.05)
    rates = measured.measure_rates(tiny_campaign, Silent())
    assert rates.engine == "LAMMPS"
    assert 100 < rates.equilibration < 1e6
    lockstep = tiny_campaign.model_copy(update={"engine": "lockstep", "draws": 16})
    together = measured.measure_rates(lockstep, Silent())
    assert together.engine == "lockstep"
    assert together.draws > 0
    assert math.isfinite(together.draws)


def test_a_finished_campaign(tiny_dataset: Path) -> None:
    found = campaign_status(tiny_dataset)
    assert not found.running
    assert [(p.label, p.asked, p.done, p.in_equilibrium, p.begun, p.missing) for p in found.points] == [
        ("T0.50_P1.55", 4, 4, 4, (), 0),
        ("T0.56_P0.17", 4, 4, 4, (), 0),
    ]


@pytest.mark.long
def test_a_campaign_on_its_way(tmp_path: Path) -> None:
    few = check_settings(TINY_CAMPAIGN | {"configurations": 1}, Campaign, "few")
    run_campaign(few, tmp_path, Silent(), 2)
    more = few.model_copy(update={"configurations": 3, "draws": 3})
    (tmp_path / "campaign.json").write_text(more.model_dump_json())
    first, second = (task for task in tasks(more, tmp_path) if task.point.temperature == 0.5 and task.index < 2)
    Unfinished(second.path, second.parameter_hash).save("configuration", {})
    Unfinished(second.path, second.parameter_hash).save("draws-0-0", {})
    # Left by a vector that has grown since: the same draw.
    Unfinished(second.path, "older").save("draws-0-1-running", {})
    Unfinished(second.path, "older").save("draws-0-1", {})
    with exclusive(tmp_path):
        found = campaign_status(tmp_path)
    assert found.running
    cold, hot = found.points
    assert cold.begun == ("c0000: 2 of 3 draws", "c0001: following draws, 2 of 3 finished")
    assert (cold.done, cold.missing) == (0, 1)
    assert (hot.done, len(hot.begun), hot.missing) == (0, 1, 2)
    assert first.path.exists()


def test_status_writes_nothing(tiny_dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_dataset, tmp_path / "copy", ignore=shutil.ignore_patterns(".lock"))
    assert not campaign_status(tmp_path / "copy").running
    assert not (tmp_path / "copy" / ".lock").exists()


@pytest.mark.long
def test_a_part_of_a_campaign_leaves_the_rest_on_record(tmp_path: Path) -> None:
    few = check_settings(TINY_CAMPAIGN | {"configurations": 1}, Campaign, "few")
    run_campaign(few, tmp_path, Silent(), 2)
    run_campaign(few.model_copy(update={"state_points": few.state_points[1:]}), tmp_path, Silent(), 2)
    assert {point.label for point in campaign_status(tmp_path).points} == {"T0.50_P1.55", "T0.56_P0.17"}


def test_no_campaign_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no dataset folder"):
        campaign_status(tmp_path / "absent")
    with pytest.raises(DatasetError, match=r"does not state its campaign.*campaign\.json; it is missing"):
        campaign_status(tmp_path)
    (tmp_path / "campaign.json.damaged").touch()
    with pytest.raises(DatasetError, match=r"a repair set it aside as campaign\.json\.damaged"):
        campaign_status(tmp_path)
    (tmp_path / "campaign.json").write_text('{"seed": 1}')
    with pytest.raises(DatasetError, match="is not a campaign of this version"):
        campaign_status(tmp_path)


@pytest.mark.long
def test_all_damage_is_named_and_counts_as_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    campaign = check_settings(TINY_CAMPAIGN | {"draws": 3}, Campaign, "tiny")
    write_json(tmp_path / "campaign.json", campaign.model_dump(mode="json"))
    folder = tmp_path / "T0.50_P1.55"
    # The second holds the third, and the fourth leads nowhere.
    for number, held in enumerate((0, 2)):
        write_sample(folder / f"c{number:04d}.h5", synthetic_sample(held, particles=50))
    (folder / "c0002.h5").write_bytes(b"short")
    (folder / "c0003.h5").symlink_to("nowhere.h5")
    found = campaign_status(tmp_path).points[0]
    assert (found.done, found.missing, found.begun) == (1, 0, ())
    assert [line.partition(":")[0] for line in found.damaged] == ["c0001", "c0002", "c0003"]
    assert "holds the sample c0002 of T0.50_P1.55, not c0001" in found.damaged[0]
    with pytest.raises(typer.Exit) as ended:
        status(tmp_path, False, False)
    assert ended.value.exit_code == 1
    told = capsys.readouterr()
    assert "3 damaged samples" in told.out
    assert f"glassformer repair {tmp_path} --recompute" in told.err
    # So does what lists a dataset.
    with pytest.raises(DatasetError, match=r"2 of 4 samples of .* cannot be used") as caught:
        list_dataset(tmp_path)
    assert "c0002.h5 is not a whole HDF5 file" in caught.value.problem
    assert "c0003.h5: it is a link to nowhere.h5, which does not exist" in caught.value.problem
    assert f"glassformer repair {tmp_path} --recompute" in caught.value.remedy


def test_a_plan_on_a_device_counts_its_hours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_width", 200)
    cost = Cost("T0.50", 4, 80, 1.0, 1.0, 3.0, 1000)
    print_plan(Plan(Rates("cuda", 2000.0, 9000.0, 0, {"LAMMPS": 3.0}), (cost,), 2))
    text = " ".join(capsys.readouterr().out.split())
    assert "equilibration, device-hours" in text
    assert "this device: 2,000 steps/s in equilibration, 9,000 draw steps/s (cuda)" in text
    assert "on this device." in text
    assert "shortest way first: cuda, 3 device-hours; LAMMPS, 9,000 core-hours" in text
    assert "core:" not in text


def test_the_commands(tiny_dataset: Path, capsys: pytest.CaptureFixture[str], known_rates: Rates) -> None:
    app(["plan", "thesis", "--workers", "2", "--json"], standalone_mode=False)
    planned = json.loads(capsys.readouterr().out)
    assert len(planned["costs"]) == 7
    rates = {"engine": "LAMMPS", "equilibration": 1000.0, "draws": 500.0, "measured_particles": 0, "others": {}}
    assert planned["rates"] == rates
    app(["plan", "demo", "--set", "configurations=3", "--only", "T0.50"], standalone_mode=False)
    text = capsys.readouterr().out
    assert "T0.50_P1.55" in text
    assert "T0.56" not in text
    assert "core-hours" in text
    assert "shortest way first: LAMMPS" in " ".join(text.split())
    app(["status", str(tiny_dataset)], standalone_mode=False)
    assert "No run is in progress" in capsys.readouterr().out
    app(["status", str(tiny_dataset), "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["state_points"][0]["done"] == 4
