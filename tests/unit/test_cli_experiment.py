"""The experiment command as a user types it: from nothing to the report, and how it refuses."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from glassformer.cli.study_cost import OVERHEAD, _of_trainings, print_total, study_cost, training_hours
from glassformer.core.errors import DatasetError
from glassformer.core.experiment import load_study
from glassformer.core.layout import OutFolder, TrainingFolder
from glassformer.core.presets import load_campaign, load_network
from glassformer.core.progress import Silent
from glassformer.evaluate.results import read_result, write_result
from glassformer.report.trained import read_histories
from glassformer.train.network_costs import estimate_training
from tests.unit.test_cli import CAMPAIGN, glassformer

pytestmark = pytest.mark.long

STUDY = """
title = "Tiny"
run = "thesis"

[scales.demo]
campaign = "campaign.toml"
every_fold = ["four"]

[scales.demo.run]
targets = { times = [1.065] }
split = { folds = 2, trained_folds = 1 }
network = { neighbors = 6, blocks = [[8, 8]], fully_connected = [8] }
training = { epochs = 2, batch_size = 2, late_from_epoch = 1 }

[[experiments]]
name = "cold"
group = "one"
title = "the cold one"
train = ["T0.50"]

[[experiments]]
name = "both"
group = "four"
title = "both together"
train = ["T0.50", "T0.56"]
run = { network = { head = "particle" } }

[[experiments]]
name = "none"
group = "audit"
title = "no leak"
train = ["T0.50", "T0.56"]
run = { targets = { draws = "each" } }

[[experiments]]
name = "slow"
group = "rate"
title = "a low learning rate"
train = ["T0.50"]
compare = "cold"
run = { training = { learning_rate = 1e-4 } }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with study.toml and campaign.toml, and with out/ as the command makes it."""
    folder = tmp_path_factory.mktemp("experiment")
    (folder / "campaign.toml").write_text(CAMPAIGN)
    (folder / "study.toml").write_text(STUDY)
    done = glassformer("experiment", folder / "study.toml", "--out", folder / "out", "--workers", 2)
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout)
    # Other tests change what they find.
    shutil.copytree(folder / "out", folder / "untouched")
    return folder


def test_the_terminal_says_what_was_done_and_what_came_out(folder: Path) -> None:
    said = (folder / "stdout").read_text()
    assert "both: done (both together)" in said
    assert re.search(r"cold +1.065 +held out +\d", said)
    assert re.search(r"cold +1.065 +elsewhere +\d", said)
    # Of networks that were trained at all state points there is nothing elsewhere.
    assert not re.search(r"both +1.065 +elsewhere", said)
    assert re.search(r"none +1.065( +-?[0-9.]+){4}", said)
    # Each beside the density alone, and beside what it is a variation of.
    assert re.search(r"cold +1.065 +held out( +[0-9.]+){2} +[+-][0-9.]+ +[0-9.]+", said)
    assert re.search(r"slow +cold +1.065 +held out +[+-][0-9.]+ +[0-9.]+ +2\n", said)
    assert re.search(r"slow +cold +1.065 +elsewhere +[+-][0-9.]+ +[0-9.]+ +4\n", said)


def test_the_page_stands_alone_and_holds_the_scores(folder: Path) -> None:
    page = (folder / "out" / "report" / "index.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', page)
    assert "nan" not in re.sub(r"data:[^\"]*|<svg.*?</svg>", "", page, flags=re.DOTALL).lower()
    for name in ("cold", "both", "slow"):
        for row in read_result(folder / "out" / "training" / name / "result.json").rows:
            assert f"{row.scores['network'].mae:.3f} ± {row.mae_error:.3f}" in page
            assert f"<td>{row.label_mean:.4g}</td>" in page
    assert "no leak" in page
    assert "What makes a difference" in page
    assert "†" not in page
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_every_figure_is_there_as_pdf_png_and_svg(folder: Path) -> None:
    figures = folder / "out" / "report" / "figures"
    names = {path.stem for path in figures.glob("*.svg")}
    assert {"band", "species", "linear", "scattering", "distribution", "errors", "ratio"} <= names
    assert {f"{one}-{what}" for one in ("cold", "both") for what in ("curves", "training", "histogram-t1.065")} <= names
    for suffix in ("pdf", "png"):
        assert {path.stem for path in figures.glob(f"*.{suffix}")} == names
    assert (figures / "animation.gif").read_bytes()[:6] == b"GIF89a"


def test_the_numbers_are_those_of_the_experiments(folder: Path) -> None:
    values = json.loads((folder / "out" / "results.json").read_text())
    assert values["scale"] == "demo"
    for one in values["experiments"]:
        file = folder / "out" / "training" / one["name"] / "result.json"
        assert one | {"sha256": json.loads(file.read_text())["sha256"]} == json.loads(file.read_text())
    assert [one["name"] for one in values["experiments"]] == ["cold", "both", "none", "slow"]
    assert [one["folds"] for one in values["experiments"]] == [1, 2, 1, 1]


def test_a_second_run_with_only_keeps_the_rest(folder: Path) -> None:
    model = folder / "out" / "training" / "cold" / "fold-0" / "model.safetensors"
    before = model.stat().st_mtime_ns
    shutil.rmtree(folder / "out" / "training" / "slow")
    # One that was trained, or tested, on other data.
    other = folder / "out" / "training" / "both" / "result.json"
    write_result(other, replace(read_result(other), data="0" * 16))
    done = glassformer("experiment", folder / "study.toml", "--out", folder / "out", "--only", "rate")
    assert done.returncode == 0, done.stderr
    assert "slow: done (a low learning rate)" in done.stdout
    # Beside one that was not run now.
    assert re.search(r"slow +cold +1.065 +held out", done.stdout)
    assert "cold: done (the cold one)" not in done.stdout
    assert model.stat().st_mtime_ns == before
    page = (folder / "out" / "report" / "index.html").read_text()
    assert "the cold one" in page
    assert "cold†" not in page
    assert page.count("both†") == 1
    assert "† Trained or tested on other data" in page
    # What was not run again is still among the numbers.
    assert len(json.loads((folder / "out" / "results.json").read_text())["experiments"]) == 4


def test_a_history_that_marks_no_epoch_is_named(folder: Path, tmp_path: Path) -> None:
    """As an older version wrote it."""
    shutil.copytree(folder / "out" / "training" / "cold", tmp_path / "cold")
    path = tmp_path / "cold" / "fold-0" / "history.json"
    assert read_histories(TrainingFolder(tmp_path / "cold"))
    lines = json.loads(path.read_text())["epochs"]
    path.write_text(json.dumps([{k: v for k, v in line.items() if k != "kept"} for line in lines]))
    with pytest.raises(DatasetError, match=r"is not a training history: .kept. is missing"):
        read_histories(TrainingFolder(tmp_path / "cold"))


def test_a_dry_run_tells_the_cost_and_writes_nothing(folder: Path, tmp_path: Path) -> None:
    done = glassformer("experiment", folder / "study.toml", "--out", tmp_path / "out", "--dry-run", "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "core-hours" in done.stdout or "minutes" in done.stdout
    for stage in ("campaign: equilibration", "campaign: draws", "inherent structures", "4 trainings"):
        assert re.search(rf"{stage} +[\d.e-]+( to [\d.e-]+)? core-hours +[\d.e-]+( to [\d.e-]+)? \w+\n", done.stdout)
    said = " ".join(done.stdout.split())
    assert re.search(r"Total: [\d.]+( to [\d.]+)? core-hours, [\d.]+ \w+; .* on 1 core\.", said)
    assert "Shortest way here: equilibration in LAMMPS; draws: " in said
    assert "With any number of cores (--parsl): at least" in said
    assert "With a GPU: run this command where there is one" in said
    assert not (tmp_path / "out").exists()


def test_the_cost_as_json_is_the_sum_of_its_stages(folder: Path, tmp_path: Path) -> None:
    words = "experiment", folder / "study.toml", "--out", tmp_path / "out", "--json", "--workers", 1
    done = glassformer(*words, "--dry-run")
    assert done.returncode == 0, done.stderr
    cost = json.loads(done.stdout)
    names = [stage["name"].rpartition(": ")[2] for stage in cost["stages"]]
    assert names == ["equilibration", "draws", "inherent structures", "4 trainings"]
    assert all(stage["hours"][0] > 0 for stage in cost["stages"])
    total = [sum(stage["hours"][end] for stage in cost["stages"]) for end in (0, 1)]
    assert cost["total"]["core_hours"] == pytest.approx(total)
    # One core does one after the other.
    assert cost["total"]["wall_hours"] == pytest.approx(total)
    assert cost["total"]["longest_hours"][1] < total[1]
    # Of all stages, that one alone runs nowhere else.
    assert [stage["longest_hours"] == stage["wall_hours"] for stage in cost["stages"]] == [False, False, True, False]
    (plan,) = cost["plans"].values()
    assert plan["core_hours"] == pytest.approx([sum(one["hours"][end] for one in cost["stages"][:2]) for end in (0, 1)])
    refused = glassformer(*words)
    assert (refused.returncode, "got --json without --dry-run" in refused.stderr) == (2, True)


def test_what_is_finished_costs_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = study_cost(load_study(str(folder / "study.toml")), "demo", [], folder / "untouched", 2, Silent())
    assert (done.wall_hours, done.bytes, done.trainings, done.finished) == ((0, 0), 0, 0, 4)
    print_total(done)
    assert "4 finished trainings not counted" in " ".join(capsys.readouterr().out.split())


def test_results_that_are_not_kept_are_no_finished_trainings(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "untouched", tmp_path / "out")
    study, out = load_study(str(folder / "study.toml")), OutFolder(tmp_path / "out")
    out.training("cold").result.write_text("{")
    both = out.training("both").result
    write_result(both, replace(read_result(both), identity="0" * 16))
    done = study_cost(study, "demo", [], out.path, 2, Silent())
    assert (done.trainings, done.finished, done.outdated) == (2, 2, 2)
    assert done.wall_hours[0] > 0
    print_total(done)
    said = " ".join(capsys.readouterr().out.split())
    assert "2 finished trainings not counted. 2 results not counted as finished: data are missing or differ" in said
    # Every training sees data that are missing, or is tested on them.
    next(out.data.glob("*/*.h5")).unlink()
    done = study_cost(study, "demo", ["audit", "rate"], out.path, 2, Silent())
    assert (done.trainings, done.finished, done.outdated) == (2, 0, 2)


def test_a_device_s_hours_are_not_those_of_cores(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = study_cost(load_study(str(folder / "study.toml")), "demo", [], folder / "untouched", 2, Silent())
    trainings = _of_trainings([3.0, 1.0], 2, torch.device("cuda"))
    assert trainings.hours == trainings.wall_hours == trainings.longest_hours == (4, 4)
    both = replace(done, stages=(*done.stages[:-1], replace(done.stages[-1], hours=(8, 9)), trainings), device="a GPU")
    print_total(both)
    said = " ".join(capsys.readouterr().out.split())
    assert "Total: 4 device-hours and 8 to 9 core-hours, 0 bytes; 4 hours on 2 cores and a GPU." in said
    assert "With a GPU" not in said


def test_a_study_that_cannot_be_run_writes_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "campaign.toml").write_text(CAMPAIGN)
    for old, new, message in (
        ('train = ["T0.50"]', 'train = ["T0.44"]', "T0.44"),
        ("neighbors = 6", "neighbours = 6", "neighbors"),
        ('campaign = "campaign.toml"', 'campaign = "missing.toml"', "there is no campaign file"),
        ("times = [1.065]", "times = [1.1]", "1.1"),
    ):
        (tmp_path / "study.toml").write_text(STUDY.replace(old, new))
        done = glassformer("experiment", tmp_path / "study.toml", "--out", tmp_path / "out")
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr
        assert not (tmp_path / "out" / "data").exists()


def test_each_network_is_estimated_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of the four experiments train the same network, on a few particles."""
    measured = []
    monkeypatch.setattr(
        "glassformer.train.network_costs.estimate_training",
        lambda network, particles, device: measured.append(network) or 0.01,
    )
    study = load_study(str(folder / "study.toml"))
    campaign = load_campaign(str(folder / "campaign.toml"))
    cpu = torch.device("cpu")
    hours = training_hours(study.runs("demo"), campaign, Silent(), cpu)
    assert len(measured) == 2
    # Epochs x configurations x networks: one of two folds of 4, two of 8, one of 8 x 2 draws, one of 4.
    trained = [2 * 0.5 * number for number in (4, 2 * 8, 16, 4)]
    assert hours == pytest.approx([OVERHEAD * 0.01 * number / 3600 for number in trained])
    # A training takes one core, and no less time than it takes there.
    assert _of_trainings(hours, 2, cpu).wall_hours[0] == pytest.approx(sum(hours) / 2)
    assert _of_trainings(hours, 4, cpu).wall_hours[0] == pytest.approx(max(hours))


def test_an_estimate_is_measured_on_few_particles() -> None:
    settings = load_network("particlenet-glass")
    few, many = (estimate_training(settings, particles) for particles in (250, 2500))
    assert 0 < few < many
    assert many / few == pytest.approx(10, rel=0.9)


def test_a_study_through_parsl_is_the_same(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("parsl", reason="needs Parsl: pip install 'glassformer[parsl]'")
    words = ["experiment", folder / "study.toml", "--out", "out", "--parsl", "workstation"]
    typed = [sys.executable, "-m", "glassformer", *map(str, words)]
    done = subprocess.run(typed, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for path in (folder / "untouched").glob("data/*/*.h5"):
        assert (tmp_path / "out" / path.relative_to(folder / "untouched")).read_bytes() == path.read_bytes()
    for name in ("cold", "both", "none", "slow"):
        ours, theirs = tmp_path / "out" / "training" / name, folder / "untouched" / "training" / name
        known = sorted(path.relative_to(theirs) for path in theirs.rglob("*") if path.is_file())
        assert sorted(path.relative_to(ours) for path in ours.rglob("*") if path.is_file()) == known
        for path in known:
            assert (ours / path).read_bytes() == (theirs / path).read_bytes(), path


def test_a_study_through_parsl_stops_in_time_and_leaves_nothing_held(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("parsl", reason="needs Parsl: pip install 'glassformer[parsl]'")
    shutil.copy(folder / "campaign.toml", tmp_path)
    (tmp_path / "study.toml").write_text(STUDY.replace("epochs = 2,", "epochs = 100000,"))
    shutil.copytree(folder / "untouched" / "data", tmp_path / "out" / "data")
    words = [
        "experiment",
        "study.toml",
        "--out",
        "out",
        "--only",
        "cold",
        "--parsl",
        "workstation",
        "--walltime",
        "40s",
    ]
    typed = [sys.executable, "-m", "glassformer", *words]
    done = subprocess.run(typed, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 75, done.stderr
    assert "Run the same command again to continue" in done.stderr
    assert "Traceback" not in done.stderr
    # The training had begun: its last epoch is there, and its lock is free.
    assert list((tmp_path / "out" / "training").rglob("*"))
    assert not list((tmp_path / "out").rglob(".*lock"))
