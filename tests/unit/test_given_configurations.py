"""Campaigns that take configurations as they are, without holding."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glassformer.cli import tables
from glassformer.core.campaign import Campaign
from glassformer.core.errors import ConfigurationError, DatasetError, SettingsError
from glassformer.core.progress import Silent
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.mixtures import shipped
from glassformer.dataset.starts import Start
from glassformer.dataset.summary import summarise
from glassformer.physics.configuration import Configuration
from glassformer.simulate import campaign as campaign_module
from glassformer.simulate.campaign import run_campaign
from glassformer.simulate.plan import plan_campaign
from glassformer.simulate.status import campaign_status
from tests.conftest import TINY_CAMPAIGN


def campaign(start: Path | None, **changes: object) -> Campaign:
    values = TINY_CAMPAIGN | {
        "configurations": 2,
        "equilibration": {"as_given": True} | ({} if start is None else {"start_from": str(start)}),
        "state_points": [{"temperature": 0.5, "pressure": 1.55}],
    }
    return check_settings(values | changes, Campaign, "campaign")


@pytest.fixture(scope="module")
def starts(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("starts")
    (folder / "T0.50_P1.55").symlink_to(tiny_dataset / "T0.50_P1.55")
    return folder


def test_configurations_are_taken_as_they_are(starts: Path, tmp_path: Path) -> None:
    settings = campaign(starts)
    assert run_campaign(settings, tmp_path / "data", Silent(), 1) == 2
    given, made = read_dataset(starts)[:2], read_dataset(tmp_path / "data")
    for old, new in zip(given, made, strict=True):
        np.testing.assert_array_equal(new.configuration.positions, old.configuration.positions)
        assert new.configuration.fingerprint == old.configuration.fingerprint
        assert new.equilibration is None
        assert new.facts.equilibrated is None
        assert new.facts.protocol == "given configuration, as it is"
        # The same seed draws the same velocities.
        np.testing.assert_array_equal(new.dynamics.msd, old.dynamics.msd)


def test_their_equilibrium_was_not_examined(
    starts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_dataset: Path
) -> None:
    run_campaign(campaign(starts), tmp_path / "data", Silent(), 1)
    (row,) = summarise(read_dataset(tmp_path / "data"))
    tables.print_summary([row])
    assert "not examined" in capsys.readouterr().out
    status = campaign_status(tmp_path / "data")
    assert status.as_json()["state_points"][0]["in_equilibrium"] is None
    assert (row.as_json()["examined"], row.as_json()["in_equilibrium"]) == (0, 0)
    tables.print_status(status)
    assert "not examined" in capsys.readouterr().out
    tables.print_summary(summarise(read_dataset(tiny_dataset)))
    tables.print_status(campaign_status(tiny_dataset))
    assert "not examined" not in capsys.readouterr().out
    assert (row.shown, replace(row, examined=1, in_equilibrium=1).shown) == ("not examined", "1 of 1 examined")


def test_they_cost_no_equilibration(starts: Path) -> None:
    planned = plan_campaign(campaign(starts), None, 1, Silent())
    assert sum(cost.equilibration_hours for cost in planned.costs) == 0


def test_another_density_is_refused(starts: Path, tmp_path: Path) -> None:
    point = [{"temperature": 0.5, "density": 1.3}]
    with pytest.raises(ConfigurationError, match=r"density 1\.1.* at density 1\.3"):
        run_campaign(campaign(starts, state_points=point), tmp_path / "data", Silent(), 1)


def test_a_composition_that_is_near_enough_may_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # 27 boxes of 4096 particles, 3277 of them A: whole numbers nearest to 80 % of all would be others.
    species = np.tile(shipped("kob-andersen").assign(4096), 27)
    positions = np.random.default_rng(0).uniform(0, 45.0, (len(species), 3))
    start = Start(Configuration(positions, species, np.full(3, 45.0)))
    monkeypatch.setattr(campaign_module, "read_starts", lambda folder: [start])
    changes: dict[str, object] = {"configurations": 1, "cutoff": "uniform"}
    settings = campaign(tmp_path, particles=len(species), **changes)
    assert campaign_module._read_starts(settings, tmp_path) == [start]
    with pytest.raises(DatasetError, match="holds a configuration of 88479 A and 22113 B"):
        campaign_module._read_starts(campaign(tmp_path, particles=4096, **changes), tmp_path)
    other = Start(replace(start.configuration, species=np.roll(species, 1) * 0))
    monkeypatch.setattr(campaign_module, "read_starts", lambda folder: [other])
    with pytest.raises(DatasetError, match="got 110592 A particles of 110592"):
        campaign_module._read_starts(settings, tmp_path)


def test_there_must_be_something_to_take() -> None:
    with pytest.raises(SettingsError, match="start_from"):
        campaign(None)


def test_hashes_of_other_campaigns_stay_as_they_were() -> None:
    settings = check_settings(TINY_CAMPAIGN, Campaign, "campaign")
    assert "as_given" not in settings.sample_parameters(settings.state_points[0])["equilibration"]
