"""The published scores, the package's own and those of prediction files side by side."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from glassformer.baselines.shipped_models import load_model
from glassformer.cli.app import app
from glassformer.cli.console import console
from glassformer.core.errors import PredictionError, SettingsError
from glassformer.core.settings import load_settings
from glassformer.dataset.predictions import Predictions, write_predictions
from glassformer.evaluate.evaluation import evaluate
from glassformer.evaluate.leaderboard import Results, entry_of, own, published, ranked, times_of
from tests.unit.test_particle_scores import many_particles

# Printed in Nat. Rev. Phys. 7, 91 (2025): rows of times, columns of models.
PRINTED = """
0.13 .949 .684 .392 .896 .878
1.3 .739 .847 .796 .672 .872
13 .734 .901 .768 .681 .915
130 .697 .826 .725 .708 .858
412 .734 .802 .737 .749 .839
1300 .748 .801 .761 .785 .834
4120 .752 .782 .756 .791 .817
13000 .691 .706 .677 .731 .753
"""


def propensities(**changes: object) -> Predictions:
    """Predictions of the leaderboard's liquid, at t = 4120."""
    plain = many_particles()
    usual = {
        "quantity": "propensity", "propensity_draws": plain.msd_draws, "density": np.full(4, 1.2003),
        "state_points": ("T0.44_rho1.20",) * 4, "times": np.array([4119.7]),
    }  # fmt: skip
    return replace(plain, **(usual | changes))


def output(*words: str, width: int = 100, monkeypatch: pytest.MonkeyPatch | None = None) -> str:
    if monkeypatch is not None:
        monkeypatch.setattr(console, "_width", width)
    result = CliRunner().invoke(app, ["leaderboard", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_the_published_table() -> None:
    entries = published().entries
    assert [entry.name for entry in entries] == ["BOTAN", "CAGE", "GlassMLP", "SE(3)", "EIGNN-cage"]
    assert [entry.training_configurations for entry in entries] == [400, 100, 100, 100, 100]
    table = np.array([line.split() for line in PRINTED.split("\n") if line], float)
    for entry, column in zip(entries, table[:, 1:].T, strict=True):
        assert entry.times == tuple(table[:, 0])
        assert entry.scores == tuple(column)
        assert (entry.kind, entry.test_configurations) == ("static", 100)


def test_the_own_entry_that_ships() -> None:
    entry, with_ends, caged, plateau = own().entries
    assert (entry.name, entry.kind, entry.training_configurations) == ("ridge, inherent", "static", 8)
    assert (with_ends.name, with_ends.kind, with_ends.times) == ("ridge + network, ends", "static", (4120,))
    assert (caged.name, caged.kind, caged.times) == ("ridge, cage positions", "static", (1.3, 13, 4120))
    assert (plateau.name, plateau.kind, plateau.times) == ("plateau, with network", "static", (1.3, 13))
    assert (entry.times, entry.scores, entry.errors, entry.ceilings) == ((4120,), (0.807,), (0.013,), (0.912,))


@pytest.mark.parametrize(
    ("number", "model"),
    [(0, "ka-t0.44-t4120-fast"), (1, "ka-t0.44-t4120"), (2, "ka-isochore"), (3, "ka-t0.44-t13")],
)
def test_own_entries_are_those_of_the_cards(number: int, model: str) -> None:
    entry = own().entries[number]
    of_a = [one for one in load_model(model).card.scores if (one["species"], one["temperature"]) == ("A", 0.44)]
    assert tuple(one["time"] for one in of_a) == entry.times
    for name, known in (("pcc_mean", entry.scores), ("pcc_error", entry.errors), ("ceiling", entry.ceilings)):
        assert [one[name] for one in of_a] == pytest.approx(known, abs=6e-4)


def test_an_entry_of_a_file_has_the_scores_of_evaluate() -> None:
    predictions = propensities(roles=("test", "train", "test", "test"))
    entry = entry_of(predictions, "mine", "static", 8)
    score = evaluate(predictions).rows[0].particles["A"]
    assert entry.scores == (score.pcc_mean,)
    assert entry.errors == (score.pcc_error,)
    assert entry.ceilings == (pytest.approx(0.9),)
    assert (entry.test_configurations, entry.training_configurations) == (3, 8)
    # Its time is that of the published scores, within rounding.
    assert entry.score_at(4120) == score.pcc_mean
    assert len(times_of([*published().entries, entry])) == 8
    one = entry_of(propensities(roles=("test", "train", "train", "train")), "mine", "static", None)
    assert one.errors == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"density": np.full(4, 1.15)}, "has configurations of density 1.15; the leaderboard is of the Kob-Andersen"),
        ({"state_points": ("T0.50_rho1.20",) * 4}, "has configurations of T0.50_rho1.20; the leaderboard"),
        ({"quantity": "squared-displacement", "propensity_draws": None}, "predicts the squared-displacement of part"),
        ({"particle_prediction": None}, "predicts the propensity of configurations; expected propensities of part"),
        ({"roles": ("train",) * 4}, "holds no configuration with draws that training had not seen"),
        ({"roles": ("leaked",) * 4}, "holds no configuration with draws that training had not seen"),
        ({"species_names": ("Ni", "P"), "species": "Ni"}, "is of a mixture of Ni, P"),
        ({"particle_species": np.ones(4000, np.uint8)}, "holds no predictions that can be correlated for A"),
    ],
)
def test_files_of_something_else_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(PredictionError, match=message):
        entry_of(propensities(**changes), "mine", "static", None)


def test_labels_of_ones_own_choice_are_taken() -> None:
    assert entry_of(propensities(state_points=("Thursday",) * 4), "mine", "static", None).scores


def test_classes_are_never_ranked_together(tmp_path: Path) -> None:
    write_predictions(tmp_path / "fast.h5", propensities())
    static = json.loads(output(str(tmp_path / "fast.h5"), "--trained-on", "8", "--json"))["classes"]
    short = json.loads(output(str(tmp_path / "fast.h5"), "--short-dynamics", "--json"))["classes"]
    assert static["short dynamics"] == []
    assert [entry["name"] for entry in static["static"]][:3] == [
        "fast",
        "ridge + network, ends",
        "ridge, cage positions",
    ]
    assert static["static"][0]["own"] is True
    assert static["static"][0]["training_configurations"] == 8
    assert [entry["name"] for entry in short["short dynamics"]] == ["fast"]
    assert len(short["static"]) == 9
    at_4120 = [dict(zip(entry["times"], entry["scores"], strict=True)) for entry in short["static"]]
    scores = [one.get(4120, 0) for one in at_4120]
    assert scores == sorted(scores, reverse=True)


def test_entries_without_the_time_of_the_ranking_come_last() -> None:
    early = entry_of(propensities(times=np.array([13.0])), "early", "static", None)
    assert ranked([early, *published().entries], "static")[-1].name == "early"


@pytest.mark.parametrize("width", [60, 100])
def test_the_table_fits_the_terminal_and_warns(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = output(width=width, monkeypatch=monkeypatch)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    assert "more draws raise every score" in words
    assert "measured on other configurations than GlassBench's" in words
    assert "static: reads the structure" in words
    assert "short dynamics: reads averages over short trajectories no entries" in words
    assert "ceiling .912 (t = 4120)" in words
    assert ".807(13)" in words
    rows = [line for line in text.splitlines() if line.startswith("BOTAN ")]
    assert len(rows) == (1 if width == 100 else 2)
    assert " ".join(" ".join(row.split()[1:]) for row in rows) == "400 100 .949 .739 .734 .697 .734 .748 .752 .691"


def test_mistakes_in_a_file_of_entries_are_named(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        'source = "mine"\n[[entries]]\nname = "x"\nclass = "dynamic"\ntest_configurations = 10\ntimes = [1]\n'
        "scores = [0.5]\n"
    )
    with pytest.raises(SettingsError, match="got 'dynamic'; expected 'static' or 'short dynamics'"):
        load_settings(tmp_path / "own.toml", Results)
    text = (tmp_path / "own.toml").read_text().replace("dynamic", "static").replace("times = [1]", "times = [1, 2]")
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(SettingsError, match="scores has 1 values for 2 times; expected one for each"):
        load_settings(tmp_path / "own.toml", Results)
