"""Commands as a user types them: what they print, what they write, and how they refuse."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean

import h5py
import pytest
from typer.testing import CliRunner

from glassformer.cli.app import app
from glassformer.cli.console import CONTINUE, StageProgress, duration
from glassformer.cli.demo import run_demo
from glassformer.core.recipe import Recipe, RecipeTarget

CAMPAIGN = """
seed = 11
particles = 200
cutoff = "uniform"
configurations = 4
engine = "lammps"
draws = 2
particle_times = [1.065]

[schedule]
first = 1
count = 20
last = 400
until = 2.0

[equilibration]
hold_in_tau_alpha = 0.01
most_windows = 40
stages = [
    { temperature = 0.5495, pressure = 0.4888, duration = 0.5 },
    { temperature = "target", duration = 0.5, ramp = true },
]

[[state_points]]
temperature = 0.5
pressure = 1.55
hold_time = 0.5

[[state_points]]
temperature = 0.56
pressure = 0.17
hold_time = 0.5
"""

RUN = """
seed = 3
[targets]
times = [1.065, "last"]
[split]
folds = 2
[network]
neighbors = 6
blocks = [[8, 8], [8, 8]]
fully_connected = [8]
[training]
epochs = 3
batch_size = 2
"""

STRUCTURE_AWARE = """
seed = 3
[targets]
times = [1.065, "last"]
[split]
folds = 2
[network]
name = "continuous-filter"
inputs = ["species", "inherent-energy"]
cutoff = 1.5
radial_functions = 4
steps = 1
width = 4
head = "system"
fully_connected = [4]
[training]
epochs = 2
batch_size = 2
"""

# Of few columns: it is about files, not physics.
PROPENSITIES = Recipe(
    name="tiny",
    targets=(RecipeTarget(temperature=0.5, times=(1.065,)), RecipeTarget(temperature=0.56, times=(1.065,))),
    density_spread=0.1,
    descriptors={"reach": 2.0, "degrees": [4, 6], "harmonic": [1.5], "fine_generations": 0, "generations": 1},
)


def glassformer(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "glassformer", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "80"} | environment,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Path) -> Path:
    """A folder with campaign.toml, run.toml, data/, training/ and report/, made by the commands."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "campaign.toml").write_text(CAMPAIGN)
    (folder / "run.toml").write_text(RUN)
    done = glassformer("simulate", folder / "campaign.toml", "--out", folder / "data", "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert "8 configurations simulated" in done.stdout
    train = "train", folder / "run.toml", folder / "data", "--out", folder / "training", "--threads", 1, "--json"
    done = glassformer(*train)
    assert done.returncode == 0, done.stderr
    (folder / "trained.json").write_text(done.stdout)
    (folder / "progress.txt").write_text(done.stderr)
    done = glassformer("report", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.long
def test_the_file_gives_the_same_data_as_the_library(folder: Path, tiny_dataset: Path) -> None:
    for path in sorted(tiny_dataset.glob("*/*.h5")):
        with h5py.File(path) as one, h5py.File(folder / "data" / path.parent.name / path.name) as two:
            assert (one["configuration/positions"][()] == two["configuration/positions"][()]).all()


def test_help_loads_neither_torch_nor_matplotlib() -> None:
    code = "import sys; sys.argv = ['glassformer', '--help']\nfrom glassformer.cli.app import main\n"
    code += "try:\n    main()\nexcept SystemExit:\n    print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("False False")
    for command in ("demo", "simulate", "train", "predict", "evaluate", "report", "info", "doctor"):
        assert command in done.stdout


def test_completion_names_commands_and_options_without_loading_torch() -> None:
    code = "import sys\nfrom glassformer.cli.app import main\n"
    code += "try:\n    main()\nfinally:\n    print('torch' in sys.modules)"
    for words, place, wanted in (("glassformer prop", 1, "propensity"), ("glassformer train --net", 2, "--network")):
        asked = {"_GLASSFORMER_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(place)}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ | asked
        )
        assert done.stdout.split() == [wanted, "False"], done.stderr
    assert "_GLASSFORMER_COMPLETE=complete_bash" in glassformer("--show-completion", SHELL="/bin/bash").stdout


@pytest.mark.long
@pytest.mark.parametrize("place", [0, 2, 3])
def test_quiet_leaves_only_results_and_errors(place: int, tiny_dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_dataset, tmp_path / "data")
    words: list[object] = ["quench", tmp_path / "data"]
    words[place:place] = ["--quiet"] if place < 3 else []
    done = glassformer(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "inherent structures found" in done.stdout
    assert ("100%" in done.stdout) == (place == 3)
    failed = glassformer("quench", tmp_path / "absent", "--quiet")
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: ")


@pytest.mark.long
def test_predict_evaluate_info(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.h5"
    done = glassformer("predict", folder / "training" / "fold-0" / "model.safetensors", folder / "data", "--out", out)
    assert "8 configurations predicted, 4 of them seen in training" in done.stdout.replace("\n", " "), done.stderr
    done = glassformer("evaluate", out, "--json")
    scores = json.loads(done.stdout)
    assert scores["left_out"] == 4
    assert {row["state_point"] for row in scores["rows"]} == {"T0.50_P1.55", "T0.56_P0.17", "all"}
    done = glassformer("evaluate", out)
    assert "T0.50_P1.55" in done.stdout
    assert "4 configurations were seen in training and are not scored" in done.stdout
    done = glassformer("info", folder / "data", "--json")
    assert [row["configurations"] for row in json.loads(done.stdout)] == [4, 4]
    assert "T0.56_P0.17" in glassformer("info", folder / "data").stdout


@pytest.mark.long
def test_train_as_json_names_files_and_scores_and_leaves_progress_to_stderr(folder: Path) -> None:
    trained = json.loads((folder / "trained.json").read_text())
    assert [Path(path) for path in trained["models"]] == sorted(folder.glob("training/fold-*/model.safetensors"))
    assert len(trained["models"]) == 2
    scores = json.loads(glassformer("evaluate", trained["predictions"], "--json").stdout)
    assert trained["scores"] == scores
    assert "100%" in (folder / "progress.txt").read_text()


@pytest.mark.long
def test_tables_fit_a_narrow_terminal(folder: Path) -> None:
    done = glassformer("evaluate", folder / "training" / "predictions.h5", COLUMNS="80")
    lines = done.stdout.splitlines()
    # One line per row, nothing cut: six rows of ten cells under a heading of two lines.
    assert [len(line.split()) for line in lines[2:8]] == [10] * 6
    assert "…" not in done.stdout
    assert max(map(len, lines)) <= 80


def test_the_report_stands_alone(folder: Path) -> None:
    page = (folder / "report" / "index.html").read_text()
    assert page.count("<svg") == 4
    assert "T = 0.50, P = 1.55" in page
    # Nothing is loaded from elsewhere, and no part of the template is left over.
    for foreign in ('src="', 'href="http', "@import", "{{", "{%"):
        assert foreign not in page.replace('xlink:href="#', "").replace('src="data:', "")
    for name in ("msd", "scattering", "predictions", "training"):
        for suffix in ("svg", "png"):
            assert (folder / "report" / "figures" / f"{name}.{suffix}").stat().st_size > 5000


def test_the_report_holds_the_scores(folder: Path) -> None:
    page = (folder / "report" / "index.html").read_text()
    scores = json.loads(glassformer("evaluate", folder / "training" / "predictions.h5", "--json").stdout)
    for row in scores["rows"]:
        score = row["models"]["network"]
        assert f"{score['mae']:.3f} ± {score['mae_error']:.3f}" in page


PARTICLE_NETWORK = """
head = "particle"
neighbors = 6
blocks = [[8, 8]]
fully_connected = [8]
"""


@pytest.mark.long
def test_another_network_and_two_processes(folder: Path, tmp_path: Path) -> None:
    """The run's network is replaced by a file; two processes train it, and the screen shows it once."""
    (tmp_path / "network.toml").write_text(PARTICLE_NETWORK)
    (tmp_path / "run.toml").write_text(RUN.replace('[1.065, "last"]', "[1.065]"))
    done = glassformer(
        "train", tmp_path / "run.toml", folder / "data", "--out", tmp_path / "out", "--threads", 2, "--processes", 2,
        "--network", tmp_path / "network.toml",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.count("train 100%") == 1
    assert "validation MAE" in done.stdout
    assert "(state-point mean " in done.stdout
    shown = glassformer("evaluate", tmp_path / "out" / "predictions.h5")
    assert shown.stdout in done.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    words = " ".join(shown.stdout.split())
    assert "PCC: Pearson's correlation of predicted and simulated values" in words
    assert all(heading in words for heading in ("species", "Spearman", "ceiling", "ratio"))
    scores = json.loads(glassformer("evaluate", tmp_path / "out" / "predictions.h5", "--json").stdout)
    assert [set(row["particles"]) for row in scores["rows"]] == [{"A"}] * 3
    assert json.loads((tmp_path / "out" / "run.json").read_text())["network"]["head"] == "particle"


@pytest.mark.long
def test_a_leak_is_told_in_plain_words(folder: Path, tmp_path: Path) -> None:
    leaking = RUN.replace("[split]", 'draws = "each"\n[split]\nby = "draw"')
    (tmp_path / "run.toml").write_text(leaking)
    done = glassformer("train", tmp_path / "run.toml", folder / "data", "--out", tmp_path / "out", "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert "LEAKED: the split was by draw" in done.stdout
    assert "LEAKED" not in glassformer("evaluate", folder / "training" / "predictions.h5").stdout


@pytest.mark.long
def test_shipped_runs_and_networks_are_found_by_name(folder: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")
    refused(glassformer("train", "demo", folder / "data", *out), "was not observed at t = 1.63")
    refused(glassformer("train", "default", folder / "data", *out), "how far each particle went until t = 2")
    refused(glassformer("train", "thesys", folder / "data", *out), "there is no run file thesys")
    network = ("--network", "particlenet-glas")
    refused(glassformer("train", "thesis", folder / "data", *out, *network), "did you mean 'particlenet-glass'?")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_ctrl_c_ends_every_process_of_a_training(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "long.toml").write_text(RUN.replace("epochs = 3", "epochs = 100000"))
    command = ("train", tmp_path / "long.toml", folder / "data", "--out", tmp_path / "out")
    process = subprocess.Popen(
        [sys.executable, "-m", "glassformer", *map(str, command), "--threads", "2", "--processes", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 90
    while not (tmp_path / "out" / "fold-0" / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert errors.strip().splitlines() == ["error: stopped", CONTINUE]
    # The last to go is Python's own resource tracker, which sees that it is alone.
    deadline = time.monotonic() + 10
    while (running := is_running(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running
    assert (tmp_path / "out" / "fold-0" / "kept.ckpt").exists()


def is_running(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


class Clock:
    """Time that passes when it is told to."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


def test_rate_and_time_left_are_those_of_this_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 120 epochs 80 are there. Twenty in 20 s are one a second and leave twenty: not 5 a second and 4 s."""
    clock = Clock()
    monkeypatch.setattr("glassformer.cli.console.time", clock)
    stages = StageProgress()
    stages.start("train", 120, "epochs")
    stages.expect(-80)
    clock.now += 10
    stages.advance(10, "fold 3 of 4")
    clock.now += 10
    stages.advance(10)
    assert capsys.readouterr().out == "train  50%  20 s left, 1.0 epochs/s; fold 3 of 4\n"
    # Training stops early: the rest will not be done, and that is the end.
    stages.expect(-20)
    assert capsys.readouterr().out == "train 100%  took 20 s, 1.0 epochs/s; fold 3 of 4\n"


def test_compilation_in_the_first_step_is_not_extrapolated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 100 steps of 1 s each the first takes 30 s more: after 31 s nothing is known, 30 s later 69 s are left."""
    clock = Clock()
    monkeypatch.setattr("glassformer.cli.console.time", clock)
    stages = StageProgress()
    stages.start("cages", 100, "")
    clock.now += 31
    stages.advance(1)
    assert capsys.readouterr().out == "cages   1%  \n"
    for _ in range(31):
        clock.now += 1
        stages.advance(1)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines[:-1] if "left" in line] == []
    clock.now += 10
    stages.advance(10)
    assert capsys.readouterr().out == "cages  42%  58 s left\n"


def refused(done: subprocess.CompletedProcess[str], message: str) -> None:
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("particles = 200", "particels = 200", "unknown key particels; did you mean 'particles'?"),
        (
            "temperature = 0.5\n",
            "temperature = -0.5\n",
            "state_points[0].temperature: got -0.5; expected greater than 0",
        ),
        ("particles = 200", "particles = 203", "particles = 203 gives no 80:20 mixture"),
        ("seed = 11", "seed 11", "is not TOML"),
    ],
)
def test_bad_campaigns_write_nothing(old: str, new: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(CAMPAIGN.replace(old, new, 1))
    refused(glassformer("simulate", tmp_path / "bad.toml", "--out", tmp_path / "data"), message)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.toml"]


@pytest.mark.long
def test_bad_runs_write_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(RUN.replace("neighbors = 6", "neighbors = 200"))
    refused(glassformer("train", tmp_path / "bad.toml", folder / "data", "--out", tmp_path / "out"), "expected k < N")
    (tmp_path / "bad.toml").write_text(RUN.replace("1.065", "1.5"))
    refused(glassformer("train", tmp_path / "bad.toml", folder / "data", "--out", tmp_path / "out"), "not observed at")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.toml"]


@pytest.mark.long
def test_bad_files_are_named(folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(folder / "data", data)
    victim = data / "T0.50_P1.55" / "c0002.h5"
    victim.write_bytes(victim.read_bytes()[:3000])
    refused(glassformer("info", data), "c0002.h5 is not a whole HDF5 file")
    refused(glassformer("simulate", folder / "campaign.toml", "--out", data), "c0002.h5 is not a whole HDF5 file")
    (tmp_path / "empty").mkdir()
    refused(glassformer("info", tmp_path / "empty"), "is empty")
    refused(glassformer("predict", victim, folder / "data", "--out", tmp_path / "p.h5"), "c0002.h5 is damaged")
    refused(glassformer("evaluate", folder / "data" / "T0.50_P1.55" / "c0000.h5"), "is not a prediction file")
    assert not (tmp_path / "p.h5").exists()


@pytest.mark.long
def test_a_folder_with_everything_in_it_is_verified(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "all")
    done = glassformer("verify", tmp_path / "all", "--json", "--workers", 1)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["whole"], found["files"], found["campaign"]) == (True, 8, "data: whole")
    # Predictions and settings, and a model and a history of each fold.
    assert found["others"] == 6
    assert found["without_checksum"] == []
    damaged = tmp_path / "all" / "training" / "fold-1" / "model.safetensors"
    whole = bytearray(damaged.read_bytes())
    whole[-1] ^= 1
    damaged.write_bytes(whole)
    done = glassformer("verify", tmp_path / "all" / "training", "--workers", 1)
    assert done.returncode == 1
    assert "fold-1/model.safetensors" in done.stdout
    assert "0 samples and 6 other files, 1 damaged" in done.stdout
    assert "run the command that wrote them again" in done.stderr
    refused(glassformer("repair", tmp_path / "all" / "training"), "is no dataset")
    refused(glassformer("verify", tmp_path / "all" / "report"), "there is nothing in")


FULL_DISK = """
mount -t tmpfs -o size=120k tmpfs "$1" 2>/dev/null || ulimit -f 20
shift
"$@"
code=$?
find "$DISK" -name "*.tmp" -o -name "c*.h5"
exit $code
"""


def test_a_full_disk_is_told_and_nothing_is_left_half_written(folder: Path, tmp_path: Path) -> None:
    """A real small file system, in a mount namespace of its own, where that is allowed; a limit on file sizes else."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = [sys.executable, "-m", "glassformer", "simulate", folder / "campaign.toml", "--out", disk / "data"]
    shell = ["bash", "-c", FULL_DISK, "full-disk", disk, *command]
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0:
        shell = ["unshare", "-m", *shell]
    done = subprocess.run(
        list(map(str, shell)), capture_output=True, text=True, check=False, env=os.environ | {"DISK": str(disk)}
    )
    refused(done, "cannot write")
    assert ".tmp" not in done.stdout


@pytest.mark.long
@pytest.mark.parametrize("wait", [0.3, 3.0])
def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(wait: float, tmp_path: Path) -> None:
    (tmp_path / "long.toml").write_text(CAMPAIGN.replace("hold_time = 0.5", "hold_time = 500.0"))
    process = subprocess.Popen(
        [sys.executable, "-m", "glassformer", "simulate", "long.toml", "--out", "data"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not (tmp_path / "data" / ".lock").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(wait)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert errors.strip().splitlines() == ["error: stopped", CONTINUE]


def test_doctor_finds_this_machine_well() -> None:
    done = glassformer("doctor")
    assert done.returncode == 0, done.stdout
    assert "LAMMPS" in done.stdout
    assert "ran 10 steps" in done.stdout


def test_usage_errors_have_exit_code_2() -> None:
    assert glassformer("simulate").returncode == 2
    assert glassformer("fly").returncode == 2
    assert glassformer("simulate", "absent.toml", "--out", "x").returncode == 2


@pytest.mark.long
def test_the_demo_from_nothing_and_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Bond orders look as far as r = 3, less than half the box.
    (tmp_path / "campaign.toml").write_text(CAMPAIGN.replace("particles = 200", "particles = 300"))
    (tmp_path / "run.toml").write_text(RUN)
    (tmp_path / "second.toml").write_text(STRUCTURE_AWARE)
    files, results = [tmp_path / f"{name}.toml" for name in ("campaign", "run", "second")], []
    for _ in range(2):
        run_demo(tmp_path / "demo", *files, PROPENSITIES, workers=2)
        results.append((tmp_path / "demo" / "results.json").read_bytes())
    printed = capsys.readouterr().out
    assert results[0] == results[1]
    assert "held / tau_alpha" in printed
    assert "(mean)" in printed
    assert "8 of 8 configurations exist already" in printed
    assert str(tmp_path / "demo" / "report" / "index.html") in printed.replace("\n", "")
    scores = json.loads(results[0])
    words, row = " ".join(printed.split()), scores["propensity"][0]
    assert "8 of 8 configurations are shown to be in equilibrium" in words
    assert f"have a Pearson correlation of {row['ridge']['pcc_mean']:.2f} at T0.50_P1.55" in words
    assert f"(best single descriptor: {max(row['baselines'].values()):.2f}" in words
    for part, model, text in (
        ("scores", "network", "{} for ParticleNet"),
        ("scores", "state_point_mean", "{} for the mean of the state point"),
        ("scores", "density_fit", "{} for the density alone"),
        ("structure_aware", "network", "{} for a structure-aware network"),
    ):
        errors = [row["models"] for row in scores[part]["rows"] if row["state_point"] != "all"]
        assert text.format(f"{fmean(error[model]['mae'] for error in errors):.3f}") in words
    for line in [line for line in printed.splitlines() if line.startswith("  glassformer ")]:
        # What is suggested exists: a command that knows its options.
        _, command, *rest = line.split()
        told = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
        assert all(option in told for option in rest if option.startswith("--")), line
    assert printed.count("  glassformer ") == 4
    assert {row["label"] for row in scores["data"]} == {"T0.50_P1.55", "T0.56_P0.17"}
    assert len(scores["scores"]["rows"]) == 6
    assert [(row["state_point"], row["species"]) for row in scores["propensity"]] == [
        (point, species) for point in ("T0.50_P1.55", "T0.56_P0.17") for species in "AB"
    ]
    assert all(len(row["by_configuration"]) == 4 for row in scores["propensity"])
    assert "best one-number baseline" in " ".join(printed.split())
    assert printed.count("the propensity model of T0.56_P0.17 exists already and is kept") == 1
    page = (tmp_path / "demo" / "report" / "index.html").read_text()
    assert "Which particles will move?" in page
    assert "<th>structure-<br>aware<br>network</th>" in page
    for part in ("scores", "structure_aware"):
        first = scores[part]["rows"][0]["models"]["network"]
        assert f"{first['mae']:.3f} ± {first['mae_error']:.3f}" in page


@pytest.mark.parametrize(("seconds", "text"), [(4.4, "4 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")])
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text
