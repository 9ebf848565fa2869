"""Everything after the simulation works for mixtures of any number of species, in two and three dimensions."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from glassformer.cli.app import app
from glassformer.core.errors import DatasetError, SettingsError
from glassformer.core.layout import OutFolder
from glassformer.core.mixture import MixtureSettings, shipped_mixture
from glassformer.core.progress import Silent
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.dataset.facts import Facts
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.mixtures import mixture_of
from glassformer.dataset.predictions import read_predictions
from glassformer.dataset.sample import Ensemble, EquilibrationRecord, Sample, write_sample
from glassformer.dataset.species import agreed_species, mixture_words, species_names
from glassformer.evaluate.analysis import OBSERVABLES, lines_of, make_tables, y_label_of
from glassformer.evaluate.columns import Columns, names_of_species
from glassformer.evaluate.evaluation import evaluate
from glassformer.observables.structure import radial_distribution
from glassformer.physics.configuration import Configuration
from glassformer.report.analyse import analyse
from glassformer.report.build import build_report
from glassformer.report.experiments import _liquid
from glassformer.report.spread import species_figure
from glassformer.train.checkpoint import Model, read_model
from glassformer.train.prediction import predict
from glassformer.train.scope import Scope
from glassformer.train.target import Target
from glassformer.train.training import train_run
from tests.conftest import TINY_RUN, edited, synthetic_sample, with_msd

TERNARY = shipped_mixture("kob-andersen-2d")
ARGON = MixtureSettings(name="argon", species=("Ar",), composition=(1,), epsilon=((1,),), sigma=((1,),), cutoff=2.5)
SALT = MixtureSettings(
    name="salt", species=("Na", "Cl"), composition=(1, 1), epsilon=((1, 1), (1, 1)), sigma=((1, 1), (1, 1)), cutoff=2.5
)
PARTICLES = 129


def sample_of(
    settings: MixtureSettings, index: int = 0, temperature: float = 0.5, particles: int = PARTICLES
) -> Sample:
    """A sample of any mixture whose arrays have the right form; its structure is random, its numbers a formula."""
    mixture, random = mixture_of(settings), np.random.default_rng(index + round(1000 * temperature))
    density, dimension = 1.2, mixture.dimension
    box = np.ones(3)
    box[:dimension] = (particles / density) ** (1 / dimension)
    positions = np.zeros((particles, 3))
    positions[:, :dimension] = random.uniform(0, box[0], (particles, dimension))
    moves = np.zeros((4, 2, particles, 3), np.float32)
    moves[..., :dimension] = random.normal(0, 0.2, (4, 2, particles, dimension))
    species = random.permutation(mixture.assign(particles))
    times = np.array([0.5, 1.0, 2.0])
    msd = 0.2 * temperature * times[:, None] * (1 + np.arange(mixture.kinds)) * random.uniform(0.8, 1.2, (4, 1, 1))
    ensemble = Ensemble(
        times=times, seeds=np.arange(4, dtype=np.int64), msd=msd, self_scattering=np.exp(-msd),
        particle_times=np.array([1.0, 2.0]), displacement_mean=np.zeros((2, particles), np.float32),
        displacement_sq_mean=np.zeros((2, particles), np.float32), quartic=2 * msd**2, overlap=np.exp(-msd),
        displacements=moves,
    )  # fmt: skip
    cooled = np.linspace(1.0, 0.1, 400)
    record = EquilibrationRecord(
        time=np.arange(400.0), temperature=cooled, pressure=np.ones(400),
        density=1 / (0.8 + np.where(cooled < 0.4, 0.1, 0.3) * (cooled - 0.4)), potential_energy=-7 + cooled,
        windows=np.full((2, 8), 1.5),
    )  # fmt: skip
    facts = Facts(
        state_point=f"T{temperature:.2f}_rho1.20", temperature=temperature, density=density, mixture=settings,
        time_step=0.005, seed=1, index=index, engine="none", protocol="none", parameter_hash="0", code_version="0",
        equilibration_time=10.0, tau_alpha=2.0, equilibration_in_tau_alpha=5.0, energy_drift=1e-5, equilibrated=True,
        hold_tau_alpha=2.0, q6=0.01, crystalline_fraction=0.0,
    )  # fmt: skip
    return with_msd(Sample(Configuration(positions, species, box), ensemble, facts, record), msd)


def samples_of(settings: MixtureSettings, number: int = 4) -> list[Sample]:
    return [sample_of(settings, index, temperature) for temperature in (0.5, 0.6) for index in range(number)]


def written(samples: list[Sample], folder: Path) -> Path:
    for sample in samples:
        write_sample(folder / sample.facts.state_point / f"c{sample.facts.index:04d}.h5", sample)
    return folder


def rows(path: Path) -> dict[str, np.ndarray]:
    with path.open() as stream:
        names, *lines = csv.reader(stream)
    return dict(zip(names, np.array(lines, float).T, strict=True))


def run_of(**tables: dict) -> Run:
    training = {"epochs": 1, "batch_size": 3, "augmentation": "rotations"}
    return check_settings(TINY_RUN | {"training": training} | tables, Run, "test")


PARTICLE_RUN = {
    "network": TINY_RUN["network"] | {"head": "particle"},
    "targets": {"times": [1.0, 2.0], "quantity": "propensity", "species": "all"},
}


@pytest.mark.parametrize(
    ("settings", "columns", "pairs"),
    [
        (TERNARY, "a b c", "aa ab ac bb bc cc"),
        (ARGON, "ar", "ar_ar"),
        (SALT, "na cl", "na_na na_cl cl_cl"),
    ],
)
def test_every_observable_has_a_column_for_every_species_and_pair(
    settings: MixtureSettings, columns: str, pairs: str
) -> None:
    particles = 86 if settings == TERNARY else 80
    samples = [sample_of(settings, index, particles=particles) for index in range(2)]
    tables, problems = make_tables(samples, list(OBSERVABLES))
    assert problems == []
    kinds, both = columns.split(), pairs.split()

    def drawn(name: str) -> tuple[Columns, tuple[str, ...]]:
        (table,) = tables[name].values()
        return table, lines_of(OBSERVABLES[name], table)

    for name, start in (("msd", "msd"), ("scattering", "f_s"), ("non-gaussian", "alpha_2"), ("collective", "f")):
        assert drawn(name)[1] == tuple(f"{start}_{kind}" for kind in kinds)
    assert drawn("rdf")[1] == tuple(f"g_{pair}" for pair in both)
    assert drawn("structure")[1] == ("s", *(f"s_{pair}" for pair in both))
    assert drawn("van-hove")[1] == (f"t1_{kinds[0]}", f"t2_{kinds[0]}")
    assert drawn("distinct")[1] == (f"t1_{both[0]}", f"t2_{both[0]}")
    van_hove, d = drawn("van-hove")[0], settings.dimension
    assert set(van_hove) == {"r"} | {f"t{t}_{kind}{end}" for t in (1, 2) for kind in kinds for end in ("", "_error")}
    # Gaussian displacements, alpha_2 = 0, would have <r^4> = (d + 2) / d <r^2>^2: these have twice the square.
    expected = d / (d + 2) * 2 * np.mean([s.ensemble.msd[..., -1] ** 2 for s in samples], (0, 1))
    expected = expected / np.mean([s.ensemble.msd[..., -1] for s in samples], (0, 1)) ** 2 - 1
    np.testing.assert_allclose(drawn("non-gaussian")[0][f"alpha_2_{kinds[-1]}"], expected, rtol=1e-6)
    g, number = drawn("rdf")[0], len(kinds)
    c = samples[0].configuration
    bins = np.arange(0, min(5.0, c.box[:d].min() / 2), 0.02)
    parts = [
        radial_distribution(s.configuration.positions, s.configuration.species, s.configuration.box, bins, number, d)
        for s in samples
    ]
    np.testing.assert_allclose(np.stack([g[f"g_{pair}"] for pair in both]), np.mean(parts, 0), atol=1e-6)


@pytest.mark.long
@pytest.mark.parametrize(
    ("settings", "wanted", "shell"),
    [
        (TERNARY, list(OBSERVABLES), r"$2 \pi r G_s(r, t)$ of A"),
        (ARGON, ["msd", "rdf"], r"$4 \pi r^2 G_s(r, t)$ of Ar"),
    ],
)
def test_tables_and_figures_are_written(
    settings: MixtureSettings, wanted: list[str], shell: str, tmp_path: Path
) -> None:
    samples = [sample_of(settings, particles=86)]
    analyse(samples, wanted, tmp_path)
    for name in wanted:
        table = rows(tmp_path / name / "T0.50_rho1.20.csv")
        assert set(lines_of(OBSERVABLES[name], table)) <= set(table)
        assert (tmp_path / name / f"{name}.png").stat().st_size > 1000
    assert y_label_of(OBSERVABLES["van-hove"], samples).startswith(shell)
    area = "area per particle" if settings == TERNARY else "volume per particle"
    assert y_label_of(OBSERVABLES["volume"], samples).startswith(area)


@pytest.mark.parametrize(
    ("settings", "line", "first"),
    [
        (TERNARY, "mixture: kob-andersen-2d, A:B:C = 600:330:360, two dimensions", "A"),
        (ARGON, "mixture: argon, three dimensions", "Ar"),
    ],
)
def test_info_says_which_mixture(settings: MixtureSettings, line: str, first: str, tmp_path: Path) -> None:
    data = written([sample_of(settings)], tmp_path / "data")
    shown = CliRunner().invoke(app, ["info", str(data)])
    assert line in shown.output.splitlines()
    assert f"F_s of {first} falls" in " ".join(shown.output.split())
    (found,) = json.loads(CliRunner().invoke(app, ["info", str(data), "--json"]).output)
    assert (found["mixture"], found["species"], found["dimension"]) == (
        settings.name, list(settings.species), settings.dimension,
    )  # fmt: skip


@pytest.fixture(scope="module")
def ternary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, and with a particle head trained on all three species."""
    folder = tmp_path_factory.mktemp("ternary")
    samples = read_dataset(written(samples_of(TERNARY), folder / "data"))
    train_run(run_of(**PARTICLE_RUN), samples, folder / "training", Silent(), threads=1)
    return folder


def test_a_particle_head_learns_three_species(ternary: Path) -> None:
    predictions = read_predictions(ternary / "training" / "predictions.h5")
    assert predictions.species_names == ("A", "B", "C")
    assert predictions.particle_ceiling is not None
    assert predictions.particle_ceiling.shape == (8, 3, 2)
    assert predictions.particle_prediction is not None
    assert np.isfinite(predictions.particle_prediction).all()
    (row, *_) = [row for row in evaluate(predictions).rows if row.state_point == "T0.50_rho1.20"]
    assert list(row.particles) == ["A", "B", "C"]
    assert predictions.particle_label is not None
    assert predictions.particle_species is not None
    rows_there = [n for n, point in enumerate(predictions.state_points) if point == "T0.50_rho1.20"]
    for kind, name in enumerate("ABC"):
        found = []
        for place in map(predictions.of_particles, rows_there):
            members = predictions.particle_species[place] == kind
            both = (predictions.particle_label[place][members, 0], predictions.particle_prediction[place][members, 0])
            found.append(np.corrcoef(*both)[0, 1])
        assert row.particles[name].pcc_mean == pytest.approx(np.mean(found), abs=1e-4)
        assert row.particles[name].ceiling == pytest.approx(predictions.particle_ceiling[rows_there, kind, 0].mean())
    model = read_model(ternary / "training" / "fold-0" / "model.safetensors")
    assert (model.species, model.run.network.species, model.run.network.scalars) == (("A", "B", "C"), 3, 3)
    assert np.array(model.calibration).shape == (3, 2)
    assert model.scope is not None
    assert model.scope.fractions == tuple((share, share) for share in (60 / 129, 33 / 129, 36 / 129))
    assert predict(model, read_dataset(ternary / "data")).notices == ()


@pytest.mark.long
def test_the_report_names_the_mixture_and_its_species(ternary: Path) -> None:
    page = build_report(ternary).read_text()
    words = " ".join(page.split())
    assert (
        "8 configurations of the kob-andersen-2d mixture (N = 129, 46.5 % of the particles A, 25.6 % B, 27.9 % C, in"
        " two dimensions) at 2 state points"
    ) in words
    assert "Mean squared displacement of A (solid), B (dashed) and C (dotted) particles." in words
    assert "mixture kob-andersen-2d, A:B:C = 600:330:360, two dimensions; seed" in words
    assert "Predicted against simulated values of single C particles" in words
    assert {path.stem for path in (ternary / "report" / "figures").glob("particles-*.svg")} == {
        "particles-A", "particles-B", "particles-C",
    }  # fmt: skip


@pytest.mark.long
def test_the_experiments_figures_have_a_panel_for_every_species(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glassformer.report.animation.FRAMES", 2)
        report = OutFolder(tmp_path).report
        figures, _ = _liquid(samples_of(TERNARY, 2), tmp_path / "cooling", report)
    assert [axes.get_title() for axes in species_figure(samples_of(TERNARY, 2)).axes] == ["A", "B", "C"]
    assert len(figures) == 5
    assert report.animation.exists()


@pytest.mark.long
def test_one_species_is_trained_scored_and_reported(tmp_path: Path) -> None:
    samples = read_dataset(written(samples_of(ARGON), tmp_path / "data"))
    train_run(run_of(targets={"times": [2.0]}), samples, tmp_path / "training", Silent(), threads=1)
    predictions = read_predictions(tmp_path / "training" / "predictions.h5")
    assert (predictions.species_names, predictions.label_name) == (("Ar",), "ln MSD_Ar")
    shown = CliRunner().invoke(app, ["evaluate", str(tmp_path / "training" / "predictions.h5")])
    assert "MAE and R2 of ln MSD_Ar" in " ".join(shown.output.split())
    words = " ".join(build_report(tmp_path).read_text().split())
    assert "8 configurations of the argon liquid (N = 129) at 2 state points" in words
    assert "Mean squared displacement of Ar (solid) particles." in words
    # 'A', which targets.species is unless it is given, is the first species where none is called so.
    particles = {**PARTICLE_RUN, "targets": {**PARTICLE_RUN["targets"], "species": "A"}}
    out = train_run(run_of(**particles), samples, tmp_path / "particles", Silent(), threads=1)
    assert list(evaluate(read_predictions(out)).rows[0].particles) == ["Ar"]


def test_runs_of_two_species_keep_their_identity_and_form(ternary: Path) -> None:
    """The number of species is part of a run only where it is not two."""
    assert "species" not in run_of().network.model_dump()
    saved = json.loads((ternary / "training" / "run.json").read_text())
    assert saved["network"]["species"] == 3
    network = {**TINY_RUN["network"], "species": 4}
    with pytest.raises(SettingsError, match=r"network.species = 4, and the data have 1 species"):
        train_run(run_of(network=network), samples_of(ARGON, 3), ternary / "other", Silent(), threads=1)


@pytest.mark.parametrize(
    ("names", "species", "kinds"),
    [
        (("A", "B"), "A", (0,)), (("A", "B"), "B", (1,)), (("A", "B"), "both", (0, 1)), (("A", "B"), "all", (0, 1)),
        (("A", "B", "C"), "C", (2,)), (("A", "B", "C"), "all", (0, 1, 2)), (("Na", "Cl"), "A", (0,)),
        (("B", "A"), "A", (1,)),
    ],
)  # fmt: skip
def test_targets_name_species_of_the_mixture(names: tuple[str, ...], species: str, kinds: tuple[int, ...]) -> None:
    run = run_of(network=PARTICLE_RUN["network"], targets={"times": [1.0], "species": species})
    assert Target.of(run.targets, "particle", np.array([1.0]), names).kinds == kinds


@pytest.mark.parametrize(("names", "species"), [(("A", "B"), "C"), (("A", "B", "C"), "both"), (("Na", "Cl"), "B")])
def test_a_species_that_the_mixture_lacks_is_refused(names: tuple[str, ...], species: str) -> None:
    run = run_of(network=PARTICLE_RUN["network"], targets={"times": [1.0], "species": species})
    with pytest.raises(SettingsError, match=f"got '{species}'; the species of the data are {', '.join(names)}"):
        Target.of(run.targets, "particle", np.array([1.0]), names)


def test_data_of_several_mixtures_are_trained_together_and_copies_known(tmp_path: Path) -> None:
    """Structures of two species in space and of three in a plane have signatures of different lengths."""
    samples = [sample_of(shipped_mixture("kob-andersen"), index, 0.45, particles=100) for index in range(4)]
    samples += [sample_of(TERNARY, index) for index in range(4)]
    out = train_run(run_of(targets={"times": [2.0]}), samples, tmp_path, Silent(), threads=1)
    model = read_model(tmp_path / "fold-0" / "model.safetensors")
    assert set(predictions_roles := predict(model, samples).roles) == {"train", "validation", "test"}
    shifted = [replace(s, configuration=replace(s.configuration, positions=moved(s.configuration))) for s in samples]
    assert predict(model, shifted).roles == predictions_roles
    assert read_predictions(out).species_names == ("A", "B", "C")


def moved(c: Configuration) -> np.ndarray:
    shift = np.zeros(3)
    shift[: c.dimension] = 0.7
    return (c.positions + shift) % c.box


def test_species_of_other_names_are_refused_together(tmp_path: Path) -> None:
    samples = [*samples_of(SALT, 2), sample_of(shipped_mixture("kob-andersen"), 0, 0.45, particles=100)]
    with pytest.raises(DatasetError, match=r"has the species A, B, and T0\.50_rho1\.20/c0000 has Na, Cl"):
        train_run(run_of(), samples, tmp_path, Silent(), threads=1)
    assert species_names(samples) == ("Na or A", "Cl or B")
    assert agreed_species([sample_of(ARGON)]) == ("Ar",)


def test_a_network_is_not_used_on_more_species_than_it_knows(ternary: Path, tmp_path: Path) -> None:
    model = two_species(tmp_path)
    with pytest.raises(DatasetError, match=r"species number 2; the network knows 2 species, A, B"):
        predict(model, [sample_of(TERNARY)])


def two_species(out: Path) -> Model:
    samples = [sample_of(shipped_mixture("kob-andersen"), index, 0.45, particles=100) for index in range(4)]
    train_run(run_of(targets={"times": [2.0]}), samples, out, Silent(), threads=1)
    return read_model(out / "fold-0" / "model.safetensors")


def test_another_mixture_lies_outside_the_scope() -> None:
    scope = Scope.of([sample_of(TERNARY)])
    assert scope.departures(sample_of(TERNARY, 1)) == []
    # The same liquid under another name.
    assert scope.departures(sample_of(TERNARY.model_copy(update={"name": "mine"}), 1)) == []
    other = TERNARY.model_copy(update={"composition": (1.0, 1.0, 1.0), "name": "equal"})
    found = scope.departures(sample_of(other))
    assert found == [
        "the mixture equal (trained on kob-andersen-2d)",
        "share of A particles = 0.3333 (trained on 0.4651)",
        "share of B particles = 0.3333 (trained on 0.2558)",
    ]


def test_prediction_files_of_two_species_need_not_name_them(tmp_path: Path) -> None:
    two_species(tmp_path)
    path = tmp_path / "predictions.h5"
    assert read_predictions(path).species_names == ("A", "B")
    with edited(path) as file:
        assert isinstance(file, h5py.File)
        del file["species_names"]
    assert read_predictions(path).species_names == ("A", "B")


def test_columns_end_in_the_names_of_species() -> None:
    assert names_of_species(("A", "B")) == {"a": "A", "b": "B", "aa": "AA", "ab": "AB", "bb": "BB"}
    assert names_of_species(("Na", "Cl"))["na_cl"] == "Na-Cl"
    assert mixture_words(SALT) == "salt, Na:Cl = 1:1, three dimensions"
    assert species_names([synthetic_sample()]) == ("A", "B")
    with pytest.raises(ValueError, match="expected different names"):
        MixtureSettings(**(SALT.model_dump() | {"species": ("A", "a")}))


def test_the_mixtures_that_ship_are_listed_and_shown() -> None:
    listed = CliRunner().invoke(app, ["mixtures"])
    assert "600:330:360" in listed.output
    assert "Wahnstrom" in listed.output
    shown = CliRunner().invoke(app, ["mixtures", "--show", "wahnstrom"])
    assert 'species = ["A", "B"]' in shown.output
    found = json.loads(CliRunner().invoke(app, ["mixtures", "--json"]).output)
    assert {one["name"]: one["dimension"] for one in found}["kob-andersen-2d"] == 2
    refused = CliRunner().invoke(app, ["mixtures", "--show"])
    assert isinstance(refused.exception, SettingsError)
    assert "got 0 mixtures with --show" in refused.exception.problem
