"""What a person sees: tables in any width, texts that are printed as they are, bars, numbers with their nouns."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.progress import Progress

from glassformer.cli import bench_tables, tables
from glassformer.cli import console as module
from glassformer.cli import experiment as experiment_module
from glassformer.cli.baselines import _print as print_baselines
from glassformer.cli.console import (
    StageProgress,
    console,
    print_columns,
    print_error,
    print_note,
    print_remark,
    print_table,
    progress,
    set_quiet,
)
from glassformer.cli.networks import print_networks
from glassformer.cli.propensity_training import print_scores
from glassformer.core.errors import SettingsError
from glassformer.core.words import counted
from glassformer.dataset.summary import summarise
from glassformer.evaluate.heterogeneity import Lengths, Susceptibility
from glassformer.evaluate.propensity_baselines import BaselineScore
from glassformer.evaluate.propensity_scores import PropensityScore
from glassformer.evaluate.uncertainty import UncertaintyScore
from glassformer.simulate.plan import Cost, Plan
from glassformer.simulate.rates import Rates
from glassformer.simulate.status import PointStatus, Status
from tests.conftest import synthetic_sample

# Markup, an end of markup without a start, and a name of an emoji: rich hides, refuses or replaces them.
ODD = "[red]T[/bold]:smile:"


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that returns what was printed, each run of white space as one space."""
    monkeypatch.setattr(console, "_width", 200)
    return lambda: " ".join(capsys.readouterr().out.split())


def rates() -> Rates:
    return Rates(ODD, 1000.0, 500.0)


def in_a_plan() -> None:
    tables.print_plan(Plan(rates(), (Cost(ODD, 1, 16, 1.0, 2.0, 1.0, 1000),), 1))


def in_a_status() -> None:
    tables.print_status(Status(False, (PointStatus(ODD, 1, 0, 0, (f"{ODD}: following",)),)))


def in_a_summary() -> None:
    (summary,) = summarise([synthetic_sample()])
    odd = SimpleNamespace(shown="", **{name: getattr(summary, name) for name in summary.__dataclass_fields__})
    odd.label, odd.crystalline_fraction = ODD, 0.5
    tables.print_summary([odd])  # type: ignore[list-item]


def in_fits() -> None:
    tables.print_fits([{"fit": "kww", "state_point": ODD, "failed": ODD}, {"fit": ODD, "state_point": ODD}])


def in_a_comparison() -> None:
    one = SimpleNamespace(
        label=ODD,
        species=("A", "B"),
        times=[1.0],
        largest=(1.0, 2.0),
        when=(1.0, 2.0),
        density=1.2,
        held_density=1.2,
        published_density=None,
    )
    tables.print_published_comparison([one])  # type: ignore[list-item]


def in_an_evaluation() -> None:
    score = SimpleNamespace(mae=0.1, r2=0.5)
    particles = {"A": PropensityScore(0.1, 0.1, 0.2, 0.3, 0.9, 0.2, 2)}
    tables_of_particles = {
        "particles": particles,
        "uncertainty": {"A": UncertaintyScore(0.7, 0.9, 1.0, 0.2, 2)},
        "chi_4": {"A": Susceptibility(1.0, 0.1, 2.0, 0.1, 0.5, 2)},
        "lengths": {"A": Lengths(1.0, 0.1, 2.0, 0.1, 2)},
    }
    models = {"network": score, "state_point_mean": score, "density_fit": score}
    row = SimpleNamespace(
        state_point=ODD, time=1.0, configurations=2, models=models, r2_ceiling=0.9, **tables_of_particles
    )
    found = SimpleNamespace(rows=[row], leaked=True, label=ODD, left_out=1, without_draws=0, notices=())
    tables.print_evaluation(found)  # type: ignore[arg-type]


def in_networks() -> None:
    measured = SimpleNamespace(threads=1, predict_seconds=1.0, predict_bytes=1e6, train_seconds=1.0, train_bytes=1e6)
    cost = SimpleNamespace(
        name=ODD, meaning=ODD, head="system", parameters=1, operations=1e9, particles=200, measured=measured
    )
    print_networks([cost])  # type: ignore[list-item]


def in_a_study() -> None:
    one = SimpleNamespace(name=ODD, title=ODD, train=(ODD,))
    study = SimpleNamespace(runs=lambda scale, only: [(one, None)])
    experiment_module.print_study(study, "demo", [])  # type: ignore[arg-type]


def in_gpu_speeds() -> None:
    speed = SimpleNamespace(
        device=ODD, configuration=ODD, draws=1, particles=200, configurations=1, atom_steps_per_second=1e6, least=1e6,
        greatest=1e6, energy_drift=1e-5, share_of_limit=0.5,
    )  # fmt: skip
    bench_tables.print_gpu_speeds([speed])  # type: ignore[list-item]


def in_progress() -> None:
    stages = StageProgress()
    stages.start(ODD, 1, ODD)
    stages.advance(1, ODD)
    stages.say(ODD)
    stages.stop()


@pytest.mark.parametrize(
    "show",
    [
        in_a_plan, in_a_status, in_a_summary, in_fits, in_a_comparison, in_an_evaluation, in_networks, in_a_study,
        in_gpu_speeds, in_progress,
    ],
)  # fmt: skip
def test_labels_are_printed_as_they_are(show: Any, printed: Any) -> None:
    show()
    assert ODD in printed()


def test_a_bar_shows_labels_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    bars: list[Progress] = []
    monkeypatch.setattr(StageProgress, "__init__", terminal(StageProgress.__init__))
    monkeypatch.setattr(module, "Progress", lambda *args, **kw: bars.append(Progress(*args, **kw)) or bars[-1])
    in_progress()
    with console.capture() as shown:
        console.print(bars[0].make_tasks_table(bars[0].tasks))
    assert ODD in shown.get()


def terminal(init: Any) -> Any:
    def on_a_terminal(self: StageProgress) -> None:
        init(self)
        self._plain = False

    return on_a_terminal


def test_errors_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(SettingsError(ODD, ODD))
    assert capsys.readouterr().err == f"error: {ODD}\n{ODD}\n"


def test_notes_are_left_out_where_only_results_are_wanted(
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: set_quiet(False))
    for quiet in (True, False):
        set_quiet(quiet)
        print_note(ODD)
        print_remark(ODD)
        with progress() as stages:
            stages.say(ODD)
            stages.say("warning: odd")
            stages.say("T0.50/c0001 failed: odd")
        shown = capsys.readouterr()
        problems = "warning: odd\nT0.50/c0001 failed: odd\n"
        assert (shown.out, shown.err) == (("", problems) if quiet else (f"{ODD}\n{ODD}\n{problems}", f"note: {ODD}\n"))


@pytest.mark.parametrize("columns", ["0", "5", "80x24"])
@pytest.mark.parametrize("command", [("simulate", "--list"), ("simulate", "--help")])
def test_a_width_that_cannot_be_is_not_believed(command: tuple[str, ...], columns: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "glassformer", *command],
        capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": columns, "LINES": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "campaign" in done.stdout
    assert 60 < max(map(len, done.stdout.splitlines())) <= 80


HEADINGS = ["state point", "t", "MAE", "MAE difference", "std. error", "R2 within"]
ROWS = [["T0.50_P1.55", "19.59", "0.151", "+0.012", "0.003", "-0.12"]] * 2


@pytest.mark.parametrize("width", [20, 40, 54, 60, 80])
def test_tables_lose_nothing_in_a_narrow_terminal(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_width", width)
    print_table(HEADINGS, ROWS)
    text = capsys.readouterr().out
    assert "…" not in text
    for word in [word for heading in HEADINGS for word in heading.split()] + ROWS[0]:
        assert word in text.split(), (word, text)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("show", [in_a_plan, in_a_status, in_a_summary, in_a_comparison, in_an_evaluation])
def test_the_commands_tables_fit(
    show: Any, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_width", width)
    show()
    text = capsys.readouterr().out
    assert "…" not in text
    # Errors are named.
    assert " +- " not in text.splitlines()[0]


def test_an_error_in_a_heading_has_a_name() -> None:
    for path in sorted(Path(module.__file__).parent.glob("*.py")):
        assert '"+-"' not in path.read_text(), path


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (1, ("core",), "1 core"),
        (2, ("core",), "2 cores"),
        (0, ("training",), "0 trainings"),
        (4096, ("particle",), "4,096 particles"),
        (1, ("study", "studies"), "1 study"),
        (3, ("study", "studies"), "3 studies"),
    ],
)
def test_numbers_agree_with_their_nouns(number: int, words: tuple[str, ...], text: str) -> None:
    assert counted(number, *words) == text


@pytest.mark.parametrize("show", [in_a_plan, in_an_evaluation, in_networks, in_gpu_speeds])
def test_one_is_not_many(show: Any, printed: Any) -> None:
    show()
    text = printed()
    for wrong in ("1 cores", "1 configurations", "1 threads", "1 draws", "1 particles"):
        assert f" {wrong}" not in text


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


def test_a_bar_is_full_only_when_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    stages = StageProgress()
    stages.start("simulate", 1000.0, "")
    clock.now += 100
    stages.advance(999.0, "c0001 done, 1 to go")
    clock.now += 100
    stages.advance(1.0, "c0002 done")
    first, last = capsys.readouterr().out.splitlines()
    # One step alone, which may have been compilation, tells nothing of the time that is left.
    assert first == "simulate  99%  c0001 done, 1 to go"
    assert last == "simulate 100%  took 3 min 20 s; c0002 done"
    assert np.isclose(stages._done, 1000.0)


@pytest.mark.parametrize(("width", "tables"), [(120, 1), (80, 2), (66, 5)])
def test_baselines_stay_a_table_in_a_narrow_terminal(
    width: int, tables: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_width", width)
    score = PropensityScore(0.123, 0.456, 0.789, 0.234, 0.567, 0.891, 8)
    print_baselines([BaselineScore("T0.44_D1.20", 4120.0, "A", "coarse-grained potential", score)] * 2)
    text = capsys.readouterr().out
    rows = [line for line in text.splitlines() if line.startswith("T0.44_D1.20")]
    assert len(rows) == 2 * tables
    assert all("coarse-grained potential" in row for row in rows)
    for word in ("Pearson", "ratio", "0.123", "0.456", "0.234", "0.567", "0.891"):
        assert word in text
    assert max(map(len, text.splitlines())) <= width


def test_a_table_too_wide_for_one_number_becomes_lists(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_width", 20)
    print_columns(["name", "Pearson", "Spearman"], [["a-name-of-many-letters", "0.1", "0.2"]])
    assert "  Pearson   0.1" in capsys.readouterr().out


def test_the_scores_of_a_card_name_the_ratio_and_the_error_of_means(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_width", 80)
    one = {"temperature": 0.44, "time": 4120.0, "species": "A", "pcc_mean": 0.81, "pcc_error": 0.01, "ceiling": 0.9}
    print_scores(({**one, "ratio": 0.9, "pcc_pooled": 0.84, "mean_error": 0.033, "n_configurations": 10},))
    print_scores(({**one, "ratio": 0.9, "pcc_pooled": 0.84, "n_configurations": 10},))
    headings, row, *rest = capsys.readouterr().out.splitlines()
    assert headings.split()[-6:] == ["ceiling", "ratio", "pooled", "mean", "error", "configs"]
    assert row.split()[-5:] == ["0.900", "0.900", "0.840", "0.033", "10"]
    assert any(line.split()[-2:] == ["-", "10"] for line in rest)


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (1234.0, "1,234 steps/s"),
        (2.04, "2.0 steps/s"),
        (0.4, "2.5 s per step"),
        (0.038, "26 s per step"),
        (0.005, "3 min 20 s per step"),
    ],
)
def test_slow_work_says_the_time_of_each(rate: float, text: str) -> None:
    assert module._speed(rate, "steps") == text


@pytest.mark.parametrize("known", [True, False])
def test_scores_of_means_are_left_out_where_there_are_no_baselines(known: bool, printed: Any) -> None:
    score, unknown = SimpleNamespace(mae=0.1, r2=-103.0), SimpleNamespace(mae=float("nan"), r2=float("nan"))
    baseline = score if known else unknown
    particles = {"A": PropensityScore(0.1, 0.1, 0.2, 0.3, 0.9, 0.2, 2)}
    row = SimpleNamespace(
        state_point="T0.44", time=1.0, configurations=2, r2_ceiling=0.9, particles=particles, uncertainty={}, chi_4={},
        lengths={}, models={"network": score, "state_point_mean": baseline, "density_fit": baseline},
    )  # fmt: skip
    found = SimpleNamespace(rows=[row], leaked=False, label="ln p", left_out=0, without_draws=0, notices=())
    tables.print_evaluation(found)  # type: ignore[arg-type]
    text = printed()
    assert "PCC" in text
    assert ("MAE" in text) == ("-103" in text) == known


@pytest.mark.parametrize("columns", [40, 80])
def test_a_card_fits_the_terminal(columns: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "glassformer", "propensity", "--card", "--model", "ka-t0.44-t13"],
        capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": str(columns)},
    )  # fmt: skip
    assert "limits: Kob-Andersen" in " ".join(done.stdout.split())
    assert max(map(len, done.stdout.splitlines())) <= columns
