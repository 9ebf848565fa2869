"""Trajectories written by LAMMPS, analysed: against what LAMMPS computes itself, and one dump against another."""

import csv
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassformer.cli.analyse import analyse
from glassformer.core.errors import DatasetError, GlassformerError, SettingsError
from glassformer.core.progress import Silent
from glassformer.dataset.readers.read import read_file
from glassformer.dataset.readers.species import assign_species
from glassformer.evaluate.analysis import BIN
from glassformer.evaluate.trajectory import (
    COLUMNS,
    STATIC,
    Motion,
    drift,
    make_trajectory_tables,
    msd,
    pair_correlation,
    relaxation_times,
    structure,
)
from glassformer.evaluate.trajectory_file import Clock, motion_of, read_followed
from glassformer.observables.time_averages import time_averages
from glassformer.observables.time_origins import Lag, spread_in_time
from glassformer.physics.configuration import Configuration
from glassformer.report.trajectory import analyse_trajectory
from glassformer.simulate.lammps import Lammps
from tests.liquids import kob_andersen, mixture, unit_masses
from tests.unit.test_cli import glassformer
from tests.unit.test_report_words import text_of

NAMES, WAVE_NUMBERS, TIME_STEP = ("A", "B"), (7.25, 5.5), 0.005
BOX, PARTICLES, STEPS, EVERY = np.array([5.2, 5.8, 6.9]), 250, 2000, 10
DIGITS = "format float %22.16g"


def start() -> Configuration:
    """Particles on some places of a lattice in a box of three different edges."""
    places = np.ceil(BOX / 0.9).astype(int)
    grid = np.stack(np.meshgrid(*[np.arange(number) for number in places], indexing="ij"), -1).reshape(-1, 3)
    chosen = np.random.default_rng(1).permutation(len(grid))[:PARTICLES]
    return Configuration((grid[chosen] + 0.5) * BOX / places, mixture(PARTICLES), BOX)


def commands(folder: Path) -> list[str]:
    """Dumps of every kind, and LAMMPS's own MSD, F_s and g(r)."""
    found = [f"group {name} type {kind}" for kind, name in ((1, "a"), (2, "b"))]
    found += [f"compute m{name} {name} msd com no" for name in "ab"]
    found.append("compute d all displace/atom")
    for name, wave in zip("ab", WAVE_NUMBERS, strict=True):
        terms = "+".join(f"cos({wave}*c_d[{axis}])" for axis in (1, 2, 3))
        found += [f"variable f{name} atom ({terms})/3", f"compute f{name} {name} reduce ave v_f{name}"]
    found.append(
        f"fix curves all ave/time {EVERY} 1 {EVERY} c_ma[4] c_mb[4] c_fa c_fb file {folder}/curves format ' %.16g'"
    )
    found += ["comm_modify cutoff 2.9", "compute g all rdf 120 1 1 1 2 2 2 cutoff 2.4"]
    found.append(f"fix g all ave/time {EVERY} 1 {EVERY} c_g[*] file {folder}/rdf mode vector format ' %.16g'")
    columns = {
        "flags": "id type x y z ix iy iz", "unwrapped": "id type xu yu zu", "wrapped": "id type x y z",
        "scaled": "id type xs ys zs ix iy iz",
    }  # fmt: skip
    for name, what in columns.items():
        found += [f"dump {name} all custom {EVERY} {folder}/{name}.lammpstrj {what}", f"dump_modify {name} {DIGITS}"]
    found.append(f"dump sparse all custom 1000 {folder}/sparse.lammpstrj id type x y z")
    found += ["variable log equal logfreq(10,9,10)", f"dump log all custom 1 {folder}/log.lammpstrj id type xu yu zu"]
    return [*found, f"dump_modify log every v_log first yes {DIGITS}"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hot liquid of 250 particles, simulated for t = 10 by LAMMPS."""
    folder = tmp_path_factory.mktemp("run")
    with Lammps(start(), kob_andersen("scaled"), TIME_STEP, unit_masses(3, PARTICLES, 1.2)) as engine:
        engine.minimise()
        engine._commands("velocity all create 1.2 4711 mom yes")
        engine.begin_nvt((1.2, 1.2), 600, 0.5)
        engine.advance(600)
        engine._commands("reset_timestep 0")
        engine.begin_nve(STEPS)
        engine._commands(*commands(folder), f"run {STEPS}")
    return folder


def motion(path: Path, every: int = 1, **changes: object) -> Motion:
    contents = assign_species(read_file(path), NAMES, "1=A,2=B")
    trajectory = contents.trajectory
    assert trajectory.steps is not None
    thinned = replace(
        trajectory, positions=trajectory.positions[::every], boxes=trajectory.boxes[::every],
        steps=trajectory.steps[::every],
    )  # fmt: skip
    return motion_of(replace(contents, trajectory=thinned), NAMES, WAVE_NUMBERS, Clock(time_step=TIME_STEP))


def table(path: Path) -> dict[str, np.ndarray]:
    with path.open() as stream:
        names, *lines = csv.reader(stream)
    return dict(zip(names, np.array(lines, float).T, strict=True))


@pytest.mark.parametrize("dump", ["flags", "unwrapped", "wrapped", "scaled"])
def test_msd_and_scattering_equal_lammps(run: Path, dump: str) -> None:
    found, steps = motion(run / f"{dump}.lammpstrj"), np.loadtxt(run / "curves")
    assert found.times.tolist() == pytest.approx((steps[:, 0] * TIME_STEP).tolist())
    # From the first frame alone, as LAMMPS does it.
    later = np.array([1, 2, 5, 30, 100, 200])
    lags = [Lag(found.times[frame], np.array([0]), np.array([frame]), np.array([0])) for frame in later]
    averages = time_averages(found.track, lags)
    np.testing.assert_allclose(averages.msd, steps[later, 1:3], rtol=1e-9)
    np.testing.assert_allclose(averages.self_scattering, steps[later, 3:5], atol=1e-9)
    # Some have left the box: without images this would be another curve.
    assert (np.floor(found.track.fractions) != np.floor(found.track.fractions[0])).any(2).mean() > 0.1


def test_averages_over_origins_are_those_of_lammps_own_coordinates(run: Path) -> None:
    found = motion(run / "wrapped.lammpstrj")
    columns, places = msd(found), read_file(run / "unwrapped.lammpstrj").trajectory.positions
    a, b = found.track.species == 0, found.track.species == 1
    for row in range(0, len(columns["time"]), 4):
        frames = round(columns["time"][row] / (EVERY * TIME_STEP))
        squares = ((places[frames:] - places[:-frames]) ** 2).sum(2)
        assert columns["origins"][row] == len(squares)
        assert columns["msd_a"][row] == pytest.approx(squares[:, a].mean(), rel=1e-9)
        assert columns["msd_b"][row] == pytest.approx(squares[:, b].mean(), rel=1e-9)


def test_g_of_r_equals_lammps(run: Path) -> None:
    found = motion(run / "flags.lammpstrj")
    columns = pair_correlation(found)
    blocks = np.array([line.split() for line in (run / "rdf").read_text().splitlines() if line[0] != "#"], dtype=object)
    frames = np.array([row for row in blocks if len(row) > 2], float).reshape(-1, 120, 8)
    assert len(frames) == len(found.times)
    mean = frames[spread_in_time(found.times, 32).first].mean(0)
    np.testing.assert_allclose(columns["r"][:120], mean[:, 1], atol=1e-12)
    assert columns["r"][1] - columns["r"][0] == pytest.approx(BIN)
    for name, column in (("g_aa", 2), ("g_ab", 4), ("g_bb", 6)):
        np.testing.assert_allclose(columns[name][:120], mean[:, column], rtol=1e-6, atol=1e-9)
        assert columns[name].max() > 1.5


def test_structure_factors_are_means_over_frames(run: Path) -> None:
    found = motion(run / "flags.lammpstrj", 20)
    columns = structure(found)
    numbers = np.stack(np.meshgrid(*[np.arange(-9, 10)] * 3, indexing="ij"), -1).reshape(-1, 3)
    length = np.sqrt(((2 * np.pi * numbers / BOX) ** 2).sum(1))
    for shell in (1, 8):
        chosen = np.rint(length / length[length > 0].min()) == shell
        waves = np.exp(2j * np.pi * found.track.fractions @ numbers[chosen].T)
        expected = (np.abs(waves.sum(1)) ** 2).mean() / PARTICLES
        row = shell - 1
        assert columns["k"][row] == pytest.approx(length[chosen].mean())
        assert columns["s"][row] == pytest.approx(expected, rel=1e-9)
        assert columns["s_aa"][row] + 2 * columns["s_ab"][row] + columns["s_bb"][row] == pytest.approx(expected)


@pytest.mark.parametrize("dump", ["unwrapped", "wrapped", "scaled"])
def test_every_dump_of_a_run_gives_the_same_tables(run: Path, dump: str) -> None:
    names = ["msd", "scattering", "non-gaussian", "overlap", "rdf", "van-hove", "distinct", "collective"]
    tables = [
        make_trajectory_tables(motion(run / f"{kind}.lammpstrj", 4), names, Silent())[0] for kind in ("flags", dump)
    ]
    for name in names:
        assert tables[0][name].keys() == tables[1][name].keys()
        for column, values in tables[0][name].items():
            np.testing.assert_allclose(tables[1][name][column], values, rtol=1e-7, atol=1e-7, err_msg=column)


def test_linear_and_logarithmic_dumps_of_a_run_agree(run: Path) -> None:
    logarithmic, linear = motion(run / "log.lammpstrj"), motion(run / "flags.lammpstrj")
    assert logarithmic.times[:4].tolist() == pytest.approx([0, 0.05, 0.1, 0.15])
    assert {0.5, 1.0, 5.0, 10.0} <= {round(time, 9) for time in logarithmic.times}
    few, many = msd(logarithmic), msd(linear)
    assert few["time"][-1] == pytest.approx(10)
    compared = 0
    for time, value in zip(few["time"], few["msd_a"], strict=True):
        same = np.flatnonzero(np.abs(many["time"] - time) < 1e-9)
        if len(same) and np.isfinite(many["msd_a_error"][same[0]]):
            compared += 1
            assert value == pytest.approx(many["msd_a"][same[0]], rel=0.15)
    assert compared >= 6
    # A few origins are no blocks.
    assert np.isnan(few["msd_a_error"][few["origins"] < 6]).all()


def test_wrapped_frames_too_far_apart_are_refused(run: Path) -> None:
    with pytest.raises(DatasetError, match=r"wrapped into the box, and between frames \d+ and \d+") as caught:
        motion(run / "sparse.lammpstrj")
    assert "ix iy iz" in caught.value.remedy
    assert "--observables rdf,structure" in caught.value.remedy
    # With their images the same frames are good.
    assert len(motion(run / "flags.lammpstrj", 50).times) == 5


def test_particles_without_numbers_are_not_followed(run: Path) -> None:
    contents = assign_species(read_file(run / "flags.lammpstrj"), NAMES, "1=A,2=B")
    strangers = replace(contents, trajectory=replace(contents.trajectory, followed=False))
    with pytest.raises(DatasetError, match="no particle can be followed"):
        motion_of(strangers, NAMES, WAVE_NUMBERS, Clock(time_step=TIME_STEP))
    structures = motion_of(strangers, NAMES, WAVE_NUMBERS, Clock(), dynamics=False)
    assert pair_correlation(structures)["g_aa"].max() > 1.5


def test_times_come_from_steps_or_the_user(run: Path) -> None:
    contents = assign_species(read_file(run / "flags.lammpstrj"), NAMES, "1=A,2=B")

    def times(clock: Clock, **changes: object) -> list[float]:
        changed = replace(contents, trajectory=replace(contents.trajectory, **changes))  # type: ignore[arg-type]
        return motion_of(changed, NAMES, WAVE_NUMBERS, clock).times[:3].tolist()

    assert times(Clock(time_step=0.002)) == pytest.approx([0, 0.02, 0.04])
    assert times(Clock(frame_time=3.0), steps=None) == [0, 3, 6]
    assert times(Clock(), times=100 + np.arange(201.0)) == [0, 1, 2]
    with pytest.raises(DatasetError, match="has the steps of its frames but not their times"):
        times(Clock())
    with pytest.raises(DatasetError, match="neither times nor steps"):
        times(Clock(), steps=None)
    with pytest.raises(DatasetError, match="does not hold the steps"):
        times(Clock(time_step=0.002), steps=None)


def test_a_centre_that_drifts_is_noticed(run: Path) -> None:
    found = motion(run / "flags.lammpstrj")
    # LAMMPS conserves the momentum, which was zero.
    assert drift(found) == 0
    moved = replace(found.track, fractions=found.track.fractions + 0.1 * found.times[:, None, None])
    drifting = replace(found, track=moved)
    assert drift(drifting) > 0.9
    still = replace(drifting, track=moved.without_drift())
    assert drift(still) == 0
    np.testing.assert_allclose(still.averages.msd, found.averages.msd, rtol=1e-6)


def test_relaxation_times_say_why_they_are_missing(run: Path) -> None:
    found = motion(run / "flags.lammpstrj")
    rows = relaxation_times(found)
    assert [row["fit"] for row in rows] == ["F_s of A at 1/e", "F_s of B at 1/e"]
    assert 0.3 < rows[0]["tau_alpha"] < 5
    assert 0 < rows[0]["tau_alpha_error"] < 0.5
    slow = replace(found, track=replace(found.track, wave_numbers=np.array([0.5, 0.5])))
    assert "stays above 1/e until t = " in relaxation_times(slow)[0]["failed"]


@pytest.mark.long
def test_everything_is_written_and_drawn(run: Path, tmp_path: Path) -> None:
    found = motion(run / "flags.lammpstrj", 4)
    fits = analyse_trajectory(found, list(COLUMNS), tmp_path, Silent(), required=True)
    assert {path.name for path in tmp_path.iterdir()} == {*COLUMNS, "fits.csv"}
    for name in COLUMNS:
        columns = table(tmp_path / name / "flags.csv")
        assert len(columns) >= 3
        assert all((tmp_path / name / f"{name}.{suffix}").stat().st_size > 1000 for suffix in ("pdf", "png"))
    assert fits[0]["fit"] == "F_s of A at 1/e"
    with pytest.raises(SettingsError, match="no observable 'propensity' of a trajectory"):
        analyse_trajectory(found, ["propensity"], tmp_path, Silent())


def test_what_a_trajectory_is_too_short_for_is_left_out_or_refused(run: Path, tmp_path: Path) -> None:
    short = motion(run / "flags.lammpstrj", 50)

    class Said(Silent):
        lines: Sequence[str] = ()

        def say(self, text: str) -> None:
            self.lines = [*self.lines, text]

    said = Said()
    analyse_trajectory(short, ["msd", "chi4"], tmp_path, said)
    assert said.lines == [
        "chi4: left out: all values are undefined; it needs a trajectory several times as long as the shortest"
        " time between frames"
    ]
    with pytest.raises(DatasetError, match="all values are undefined"):
        analyse_trajectory(short, ["chi4"], tmp_path, Silent(), required=True)


@pytest.mark.long
def test_the_command(run: Path, tmp_path: Path) -> None:
    source = tmp_path / "run.lammpstrj"
    source.write_bytes((run / "wrapped.lammpstrj").read_bytes())
    done = glassformer(
        "analyse", source, "--time-step", TIME_STEP, "--mixture", "kob-andersen", "--species", "1=A,2=B",
        "--observables", "msd,scattering", "--report", tmp_path / "page.html",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "201 frames of 250 particles (200 A, 50 B)" in done.stdout
    assert "F_s and F at k = 7.25 (A), 5.5 (B)" in done.stdout
    assert "F_s of A at 1/e, run: tau_alpha = " in done.stdout
    text = text_of(tmp_path / "page.html")
    assert "201 frames of 250 particles (200 A, 50 B), averaged over time origins or frames." in text
    assert "of the particles of each species. Bands: standard error, from blocks of time." in text
    assert "F_s of A at 1/e run tau_alpha 0." in text
    assert "k = 7.25 / σ_AA (A), k = 5.5 / σ_AA (B)" in text
    columns = table(tmp_path / "run-analysis" / "msd" / "run.csv")
    np.testing.assert_allclose(columns["msd_a"], msd(motion(run / "flags.lammpstrj"))["msd_a"], rtol=1e-6)


@pytest.mark.parametrize(
    ("problem", "options"),
    [
        ("has the steps of its frames but not their times", {}),
        ("got --time-step 0; expected a positive number", {"time_step": 0.0}),
        ("there is no observable 'volume' of a trajectory", {"time_step": 0.005, "observables": "volume"}),
        ("expected 2 positive numbers, for A, B", {"time_step": 0.005, "wave_numbers": "7"}),
        ("got --report page.pdf; expected a name that ends with .html", {"report": Path("page.pdf")}),
        ("got --compare and a trajectory", {"time_step": 0.005, "compare": Path()}),
        ("the kob-andersen 80:20 mixture", {"mixture": "kob-andersen", "species": "1=B,2=A"}),
        ("is 3-dimensional; the kob-andersen-2d mixture", {"mixture": "kob-andersen-2d"}),
        ("there is no mixture", {"mixture": "kob-anderson"}),
    ],
)
def test_what_the_command_refuses(run: Path, tmp_path: Path, problem: str, options: dict[str, Any]) -> None:
    out = tmp_path / "out"
    with pytest.raises(GlassformerError) as caught:
        analyse(run / "wrapped.lammpstrj", out=out, **options)
    assert problem in caught.value.problem
    assert caught.value.exit_code == 2
    assert not out.exists()


def test_options_of_trajectories_are_for_files(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"got the dataset .* and an option of trajectories"):
        analyse(tmp_path, time_step=0.005)


@pytest.mark.long
def test_the_guide(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command of the page does what the page says."""
    guide = (Path(__file__).parents[2] / "docs" / "guide" / "lammps-dump.md").read_text()
    assert "dump d all custom 100 run.lammpstrj id type x y z ix iy iz" in guide
    lines = re.search(r"```bash\n(.*?)```", guide, re.DOTALL)
    assert lines is not None
    frames = (run / "flags.lammpstrj").read_text().split("ITEM: TIMESTEP\n")[1:]
    (tmp_path / "run.lammpstrj").write_text("".join(f"ITEM: TIMESTEP\n{frame}" for frame in frames[::5]))
    monkeypatch.chdir(tmp_path)
    for line in lines[1].splitlines():
        done = glassformer(*shlex.split(line)[1:])
        assert done.returncode == 0, (line, done.stderr)
    folders = re.findall(r"^\| (`[^|]*`) \|", guide, re.MULTILINE)
    assert {name for row in folders for name in re.findall("`(.*?)`", row)} == set(COLUMNS)
    assert {path.name for path in Path("run-analysis").iterdir()} == {*COLUMNS, "fits.csv"}
    assert {path.name for path in Path("some").iterdir()} == {"msd", "chi4"}
    assert {path.name for path in Path("structure").iterdir()} == set(STATIC)


@pytest.mark.long
def test_species_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    # Their columns would have the same names.
    lines = [f"{kind} {place} 0.{place} 0.5" for place, kind in enumerate("AAaa")]
    header = ["4", 'Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3 Time=0']
    path = tmp_path / "run.xyz"
    path.write_text("\n".join([*header, *lines, header[0], header[1].replace("Time=0", "Time=1"), *lines, ""]))
    with pytest.raises(DatasetError, match="got the species A, a, which differ only in upper and lower case") as caught:
        read_followed(path)
    assert caught.value.remedy == "Name them differently: --species A=A,a=B."
    assert read_followed(path, species="A=A,a=B").names == ("A", "B")


def test_one_frame_has_a_structure_and_no_dynamics(run: Path, tmp_path: Path) -> None:
    lines = (run / "flags.lammpstrj").read_text().splitlines(keepends=True)
    source = tmp_path / "one.lammpstrj"
    source.write_text("".join(lines[: PARTICLES + 9]))
    done = glassformer("analyse", source)
    assert done.returncode == 0, done.stderr
    assert "Only rdf and structure" in done.stdout
    assert {path.name for path in (tmp_path / "one-analysis").iterdir()} == set(STATIC)
    columns = table(tmp_path / "one-analysis" / "rdf" / "one.csv")
    assert columns["g_aa"].max() > 1.5
    assert np.isnan(columns["g_aa_error"]).all()
    with pytest.raises(DatasetError, match="holds one frame"):
        analyse(source, "msd")


def test_a_file_that_is_not_there_is_no_dataset(tmp_path: Path) -> None:
    for options in ((), ("--time-step", "0.005")):
        done = subprocess.run(
            [sys.executable, "-m", "glassformer", "analyse", str(tmp_path / "absent.lammpstrj"), *options],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert "there is no file or folder" in done.stderr
        assert "simulate" not in done.stderr
