"""What the page says of a run: every sentence follows from its settings and its numbers."""

import html
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassformer.core.errors import DatasetError
from glassformer.core.json_files import write_json
from glassformer.core.layout import TrainingFolder
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.dataset.labels import msd_draws, particle_labels, pearson_ceilings, propensity_draws
from glassformer.dataset.predictions import Predictions, pad, write_predictions
from glassformer.dataset.sample import Sample, write_sample
from glassformer.report.build import build_report
from glassformer.report.naming import name_of, short_names
from glassformer.report.prediction import _levels
from glassformer.report.run_file import read_run
from tests.conftest import synthetic_sample, with_msd

COLD, HOT = "T0.50_P1.55", "T0.56_P0.17"


def dataset(points: Sequence[str] = (COLD, HOT), number: int = 4, draws: int = 3) -> list[Sample]:
    """Configurations that differ, the second state point three times as fast as the first."""
    samples = []
    for place, point in enumerate(points):
        for index in range(number):
            sample = synthetic_sample(index, point, draws)
            samples.append(with_msd(sample, sample.ensemble.msd * 3**place))
    return samples


def predictions(
    samples: Sequence[Sample], run: Run, error: float = 0.1, role: str = "test", names: Sequence[str] = ()
) -> Predictions:
    """What a network with errors of this size says of `samples`, in turn too much and too little."""
    targets = run.targets
    species = 1 if targets.species == "B" else 0
    times = np.array([time for time in targets.times if time != "last"], float)
    arrays = {"msd_draws": np.stack(pad([msd_draws(sample, times, species) for sample in samples]))}
    if targets.quantity == "propensity":
        arrays["propensity_draws"] = np.stack(pad([propensity_draws(sample, times, species) for sample in samples]))
    label = np.log(np.nanmean(arrays.get("propensity_draws", arrays["msd_draws"]), 1))
    points = [sample.facts.state_point for sample in samples]
    mean = np.stack([label[np.array(points) == point].mean(0) for point in points])
    found: dict[str, Any] = {
        "network": run.network.name, "parameter_hash": "h", "code_version": "v", "state_points": tuple(points),
        "configurations": tuple(names or (sample.identifier for sample in samples)), "times": times,
        "density": np.array([sample.configuration.density for sample in samples]), "quantity": targets.quantity,
        "species": "AB"[species], "prediction": label + error * (-1) ** np.arange(len(samples))[:, None],
        "state_point_mean": mean, "density_fit": mean + 0.05, "roles": (role,) * len(samples),
    }  # fmt: skip
    if run.network.head == "particle":
        truth = np.concatenate([particle_labels(sample, times, targets.quantity) for sample in samples])
        kinds = np.concatenate([sample.configuration.species for sample in samples])
        # Errors as large as what differs within a species of a configuration.
        groups = 2 * np.repeat(np.arange(len(samples)), [s.configuration.particles for s in samples]) + kinds
        spread = np.stack([truth[groups == group].std(0) for group in range(2 * len(samples))])[groups]
        said = truth + spread * np.random.default_rng(0).normal(size=truth.shape)
        learned = {"A": (0,), "B": (1,), "both": (0, 1)}[targets.species]
        said[~np.isin(kinds, learned)] = np.nan
        found |= {
            "particles": np.array([sample.configuration.particles for sample in samples]),
            "particle_species": kinds, "particle_label": truth.astype(np.float32),
            "particle_prediction": said.astype(np.float32),
            "particle_ceiling": np.stack([pearson_ceilings(sample, times, targets.quantity) for sample in samples]),
        }  # fmt: skip
    return Predictions(**(found | arrays))


def settings(**tables: Any) -> Run:
    return check_settings({"targets": {"times": [1.0, 2.0]}} | tables, Run, "test")


def written(folder: Path, samples: Sequence[Sample], made: Predictions, run: Run | None, folds: int = 2) -> Path:
    for sample in samples:
        write_sample(folder / "data" / f"{sample.identifier}.h5", sample)
    write_predictions(folder / "training" / "predictions.h5", made)
    if run is not None:
        values = {"parameter_hash": "h"} | run.model_dump(mode="json")
        write_json(folder / "training" / "run.json", values)
    for fold in range(folds):
        lines = [{"epoch": n, "train_loss": 1 / (n + 1), "val_mae": 0.5, "kept": n == 1} for n in range(2)]
        write_json(folder / "training" / f"fold-{fold}" / "history.json", {"epochs": lines})
    return folder


def text_of(page: Path) -> str:
    """The words of a page, without figures and tags."""
    whole = page.read_text(encoding="utf-8")
    whole = re.sub(r"<style>.*?</style>|<script.*?</script>|<!--.*?-->|<svg.*?</svg>", " ", whole, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", whole)).split()).replace("τ α", "τα")


def report(folder: Path, samples: Sequence[Sample], run: Run | None, made: Predictions, **more: Any) -> str:
    """Build a report in which no warning is given; return its words."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = text_of(build_report(written(folder, samples, made, run, **more)))
    # Whatever the run: no number that is none, no plural of one, no word broken by hand.
    for wrong in (r"\bnan\b", r"\b1 (configurations|draws|folds|state points)", "config- ?urations", "several random"):
        assert not re.search(wrong, text)
    return text


@pytest.mark.long
def test_a_high_r2_is_stated_only_as_a_number(tmp_path: Path) -> None:
    samples, run = dataset(), settings()
    good = report(tmp_path / "good", samples, run, predictions(samples, run, 0.05))
    bad = report(tmp_path / "bad", samples, run, predictions(samples, run, 3.0))
    assert "high R²" not in good + bad
    assert re.search(
        r"which tells them apart and does nothing else, has R² = (0\.9\d|1\.00), and the network (0\.9\d|1\.00)", good
    )
    assert re.search(r"and the network −\d", bad)
    assert "Its error is smaller than that of the state-point mean in no row" in bad
    best = report(tmp_path / "best", samples, run, predictions(samples, run, 1e-9))
    assert "in every row, and in every row by more than two standard errors of the difference" in best


def test_data_without_predictions_are_referred_to_analyse(tmp_path: Path) -> None:
    for sample in dataset([COLD]):
        write_sample(tmp_path / "data" / f"{sample.identifier}.h5", sample)
    with pytest.raises(DatasetError, match="holds a dataset, but no predictions") as caught:
        build_report(tmp_path)
    assert f"glassformer analyse {tmp_path / 'data'} --report page.html" in caught.value.remedy


@pytest.mark.long
def test_the_page_says_how_many_configurations_were_predicted(tmp_path: Path) -> None:
    samples, run = dataset(), settings()
    text = report(tmp_path / "all", samples, run, predictions(samples, run))
    assert "8 configurations of the Kob-Andersen mixture (N = 100, 80 % of the particles A) at 2 state points" in text
    assert "each followed along 3 random draws of the velocities" in text
    assert "Every prediction below is for a configuration that the network had not seen in training." in text
    text = report(tmp_path / "some", samples, run, predictions(samples[:5], run))
    assert "5 of them are predicted, by networks that had not seen them in training." in text


@pytest.mark.long
@pytest.mark.parametrize(
    ("network", "draws", "expected"),
    [
        ({}, "mean",
         ["reads the species, and the vectors to its 20 nearest neighbours", "neither temperature nor density"]),
        ({"inputs": ["species", "position"], "first_graph": "open", "edge_vectors": False}, "mean",
         ["absolute position, and which are its 20 nearest neighbours",
          "Absolute positions tell it the box, hence the density", "The temperature it has to read off the structure"]),
        ({"inputs": ["species", "velocity"]}, "each",
         ["species and velocity", "Velocities tell it the temperature. The density it has to read off",
          "look at the structure and the velocities of a liquid"]),
        ({"inputs": ["type", "velocity", "position"]}, "each",
         ["Velocities tell it the temperature and absolute positions tell it the box, hence the density."]),
        ({"inputs": ["species", "local-energy", "inherent-displacement"]}, "mean",
         ["species, potential energy and displacement to its place in the inherent structure"]),
        ({"name": "message-passing", "head": "system"}, "mean", ["the vectors to all neighbours within 2 σ"]),
        ({"name": "continuous-filter", "head": "system"}, "mean", ["the distances to all neighbours within 2.5 σ"]),
        ({"name": "equivariant", "head": "system", "inputs": ["species", "inherent-energy"]}, "mean",
         ["potential energy in the inherent structure", "all neighbours within 1.7 σ in the inherent structure"]),
    ],
)  # fmt: skip
def test_what_the_network_reads_is_what_the_run_says(
    network: dict[str, Any], draws: str, expected: list[str], tmp_path: Path
) -> None:
    samples = dataset()
    run = settings(network=network, targets={"times": [1.0, 2.0], "draws": draws})
    text = report(tmp_path, samples, run, predictions(samples, run))
    for sentence in expected:
        assert sentence in text
    gives_away = set(run.network.inputs) & {"position", "velocity"}
    assert ("It is told neither" in text) is not bool(gives_away)
    assert ("A network that reads velocities may exceed it." in text) is ("velocity" in gives_away)
    assert "neither velocities" not in text


@pytest.mark.long
@pytest.mark.parametrize("known", ["missing", "of another run", "of another version"])
def test_nothing_is_said_of_a_network_whose_run_is_unknown(known: str, tmp_path: Path) -> None:
    samples, run = dataset(), settings()
    folder = written(tmp_path, samples, predictions(samples, run), run)
    path = folder / "training" / "run.json"
    change = {"missing": {}, "of another run": {"parameter_hash": "g"}, "of another version": {"unheard": 1}}[known]
    path.unlink()
    if change:
        write_json(path, {"parameter_hash": "h"} | run.model_dump(mode="json") | change)
    assert read_run(TrainingFolder(folder / "training"), "h") is None
    text = text_of(build_report(folder))
    assert "the network reads" not in text
    assert "the settings of this run were not found beside its predictions" in text


def test_a_damaged_run_file_is_named(tmp_path: Path) -> None:
    samples, run = dataset(), settings()
    folder = written(tmp_path, samples, predictions(samples, run), run)
    path = folder / "training" / "run.json"
    path.write_text(path.read_text()[:50])
    with pytest.raises(DatasetError, match=r"run.json is not a run file: .*\nDelete it and train again"):
        build_report(folder)


def test_one_of_everything(tmp_path: Path) -> None:
    """One state point, one configuration, one draw, one target time, one fold."""
    samples = dataset([COLD], 1, 1)
    run = settings(targets={"times": [1.0]}, split={"folds": 2, "trained_folds": 1}, training={"keep": "last"})
    text = report(tmp_path, samples, run, predictions(samples, run), folds=1)
    assert "1 configuration of the Kob-Andersen mixture" in text
    assert "at one state point, followed along one random draw of the velocities" in text
    assert "all together" not in text
    assert "All configurations are of one state point" in text
    assert "A single configuration cannot tell" in text
    assert "The ceiling is n/a: it takes two draws" in text
    assert "Horizontal bars" not in text
    assert "Shaded" not in text
    assert "Thin lines" not in text
    assert "the time that the network predicts" in text
    assert "The line is the one fold trained. Dot: the epoch whose weights are kept, the last." in text
    assert "± of the density" not in text
    assert "1 fold" in text


@pytest.mark.long
@pytest.mark.parametrize("species", ["A", "B", "both"])
def test_particles_have_a_table_and_a_figure(species: str, tmp_path: Path) -> None:
    samples = dataset()
    run = settings(targets={"times": [1.0], "quantity": "propensity", "species": species}, network={"head": "particle"})
    made = predictions(samples, run)
    text = report(tmp_path, samples, run, made)
    letters = {"A": "A", "B": "B", "both": "AB"}[species]
    of = "B" if species == "B" else "A"
    assert f"mean absolute error of ln propensity of {of}" in text
    assert f"An error of 0.10 in ln propensity of {of} means that the predicted propensity of {of} is" in text
    assert "ln MSD" not in text
    assert "how far every particle will move" in text
    assert "Particle by particle" in text
    for letter in letters:
        # About 1 / sqrt(2), as the noise is as large as the truth.
        assert re.search(rf"T = 0\.50, P = 1\.55 1 {letter} 4 0\.[5-8]\d\d ± 0\.\d", text)
        assert re.search(rf"For {letter} the correlation is 0\.[5-8].* two standard errors in every row", text)
        assert (tmp_path / "report" / "figures" / f"particles-{letter}.png").stat().st_size > 5000
    names = {path.stem for path in (tmp_path / "report" / "figures").glob("particles-*.svg")}
    assert names == {f"particles-{letter}" for letter in letters}
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.count("<svg") == 4 + len(letters)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_a_system_head_has_no_particles(tmp_path: Path) -> None:
    samples, run = dataset(), settings()
    text = report(tmp_path, samples, run, predictions(samples, run))
    assert "Pearson" not in text
    assert "Particle by particle" not in text


def test_a_leak_is_told_in_the_report(tmp_path: Path) -> None:
    samples = dataset()
    run = settings(targets={"times": [1.0, 2.0], "draws": "each"}, split={"by": "draw"})
    names = [f"{sample.identifier}#0" for sample in samples]
    text = report(tmp_path, samples, run, predictions(samples, run, role="leaked", names=names))
    assert "These scores leak." in text
    assert "every prediction below is for a structure that the network had seen" in text
    assert "had not seen in training" not in text
    assert "trained without it" not in text
    assert "play no part in that choice" not in text
    # What is counted are draws.
    assert re.search(r"time \[τ LJ \] draws", text)


def test_a_state_point_that_was_not_trained_on_has_no_mean(tmp_path: Path) -> None:
    samples, run = dataset(), settings()
    made = predictions(samples, run)
    nothing = np.full_like(made.prediction, np.nan)
    text = report(tmp_path, samples, run, replace(made, state_point_mean=nothing, density_fit=nothing))
    assert "There is no state-point mean to compare with" in text
    assert "Grey dashes" not in text
    assert "n/a ±" not in text


@pytest.mark.long
def test_equilibrium_is_claimed_only_where_it_was_examined(tmp_path: Path) -> None:
    run = settings()
    samples = [replace(one, facts=one.facts.model_copy(update={"equilibrated": None, "box": "mean-density"}))
               for one in dataset()]  # fmt: skip
    text = report(tmp_path / "unknown", samples, run, predictions(samples, run))
    assert "not examined" in text
    assert "0 of 4" not in text
    assert "kept as they fell" not in text
    samples = [replace(one, facts=one.facts.model_copy(update={"equilibrated": one.facts.state_point == HOT}))
               for one in dataset()]  # fmt: skip
    text = report(tmp_path / "ageing", samples, run, predictions(samples, run))
    assert "At T = 0.50, P = 1.55 most configurations were not shown to be in equilibrium" in text


@pytest.mark.long
def test_a_plateau_is_said_to_be_seen_where_it_is(tmp_path: Path) -> None:
    run, samples = settings(), dataset()
    assert "plateau" not in report(tmp_path / "none", samples, run, predictions(samples, run))
    caged = []
    for sample in samples:
        msd = sample.ensemble.msd.copy()
        msd[:, 1] = 1.1 * msd[:, 0]
        caged.append(with_msd(sample, msd))
    text = report(tmp_path / "caged", caged, run, predictions(caged, run))
    assert "its slope for A falls to 0.14 at T = 0.50, P = 1.55 and 0.14 at T = 0.56, P = 0.17." in text


@pytest.mark.long
@pytest.mark.parametrize(
    ("label", "facts", "name"),
    [
        ("T0.50", {}, "T = 0.50"), ("T0.44_rho1.20", {"temperature": 0.44, "density": 1.2}, "T = 0.44, ρ = 1.20"),
        ("T1.00_P-0.50", {"temperature": 1.0, "pressure": -0.5}, "T = 1.00, P = -0.50"),
        # The label does not decide: the facts do.
        ("T0.441_P2.91", {"temperature": 0.441, "pressure": 2.91}, "T = 0.441, P = 2.91"),
        ("T0.44", {"temperature": 0.441}, "T0.44 (T = 0.441)"), ("T1_P-0.5", {}, "T1_P-0.5 (T = 0.50)"),
        *((own, {}, f"{own} (T = 0.50)") for own in (
            "liquid", "a $x^$ b", "a $x$ b", "[red]x", "<b>bold", "_hidden", "-->", "{{ 7 * 7 }}", "T0.50_P1.55_old",
            "液体",
        )),
        ("x" * 60, {}, "x" * 29 + "…" + "x" * 10 + " (T = 0.50)"),
    ],
)  # fmt: skip
def test_a_label_is_text_and_nothing_else(label: str, facts: dict[str, float], name: str, tmp_path: Path) -> None:
    run = settings()
    changed = {"state_point": label, "temperature": 0.5, "pressure": None} | facts
    samples = [replace(one, facts=one.facts.model_copy(update=changed)) for one in dataset([COLD])]
    samples += dataset([HOT])
    text = report(tmp_path, samples, run, predictions(samples, run))
    assert name in text
    assert not re.search(r"T = 0\.44(?!1)", text) or changed["temperature"] == 0.44
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "<b>bold" not in page


def test_short_names_tell_state_points_apart() -> None:
    points = (("T0.44_P2.93", 0.44, 2.93), ("T0.441_P2.91", 0.441, 2.91), ("T0.441_P3.00", 0.441, 3.0))
    known = dataset([COLD], 1)[0].facts
    facts = [
        known.model_copy(update={"state_point": label, "temperature": temperature, "pressure": pressure})
        for label, temperature, pressure in (*points, ("cold", 0.441, 3.0))
    ]
    names = {one.state_point: name_of(one) for one in facts}
    assert list(short_names(["T0.44_P2.93", "T0.441_P2.91"], names).values()) == ["T = 0.44", "T = 0.441"]
    assert short_names(["T0.441_P2.91", "T0.441_P3.00"], names)["T0.441_P3.00"] == "T = 0.441, P = 3.00"
    assert list(short_names(["cold", "gone"], names).values()) == ["cold (T = 0.441)", "gone"]


@pytest.mark.long
def test_what_differs_between_samples_is_given_in_full(tmp_path: Path) -> None:
    samples, run = dataset(), settings()
    samples[3] = replace(samples[3], facts=samples[3].facts.model_copy(update={"time_step": 0.004}))
    assert "time step 0.005; 0.004" in report(tmp_path, samples, run, predictions(samples, run))


def test_predictions_of_other_data_are_refused(tmp_path: Path) -> None:
    samples, run = dataset(), settings()
    with pytest.raises(DatasetError, match="is predicted but not in"):
        build_report(written(tmp_path, samples[1:], predictions(samples, run), run))


def test_levels_are_means_and_spreads_of_each_species() -> None:
    sample = synthetic_sample()
    species = sample.configuration.species
    propensity = np.where(species == 0, 0.5, 1.0) + np.where(np.arange(len(species)) % 2 == 0, 0.1, -0.1)
    a, b = (propensity[species == kind] for kind in (0, 1))
    assert _levels(sample, propensity) == [f"A {a.mean():.3f} ({a.std():.3f})", f"B {b.mean():.3f} ({b.std():.3f})"]
    assert a.std() == pytest.approx(0.1, abs=0.01)
