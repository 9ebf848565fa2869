"""Observables of a dataset as tables and figures."""

import csv
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glassformer.cli.app import app
from glassformer.core.errors import DatasetError, SettingsError
from glassformer.dataset.sample import Sample
from glassformer.evaluate.analysis import (
    DEFAULT,
    OBSERVABLES,
    alpha_2,
    collective,
    lines_of,
    overlap,
    propensity,
    van_hove,
    volume,
)
from glassformer.evaluate.fits import fits_of
from glassformer.observables.propensity import moment_ceiling, split_half_ceiling
from glassformer.observables.structure import radial_distribution
from glassformer.observables.wave_vectors import wave_vectors
from glassformer.report.analyse import analyse
from glassformer.report.page import symbols
from tests.conftest import synthetic_sample
from tests.unit.test_report_words import text_of


@pytest.fixture
def samples() -> list[Sample]:
    return [synthetic_sample(index, point) for point in ("T0.50_P1.55", "T0.56_P0.17") for index in range(2)]


def longer(sample: Sample) -> Sample:
    """With a trace long enough for V(T): a knee at T = 0.4."""
    temperature = np.linspace(1, 0.1, 400)
    slope = np.where(temperature < 0.4, 0.1, 0.3)
    record = replace(
        sample.equilibration,  # type: ignore[type-var]
        time=np.arange(400.0), temperature=temperature, density=1 / (0.8 + slope * (temperature - 0.4)),
        pressure=np.ones(400), potential_energy=-7 + temperature,
    )  # fmt: skip
    return replace(sample, equilibration=record)


def rows(path: Path) -> dict[str, np.ndarray]:
    with path.open() as stream:
        names, *lines = csv.reader(stream)
    return dict(zip(names, np.array(lines, float).T, strict=True))


@pytest.mark.long
def test_every_observable_has_a_table_a_state_point_and_a_figure(samples: list[Sample], tmp_path: Path) -> None:
    analyse([longer(sample) for sample in samples], list(OBSERVABLES), tmp_path)
    for name in OBSERVABLES:
        for label in ("T0.50_P1.55", "T0.56_P0.17"):
            table = rows(tmp_path / name / f"{label}.csv")
            assert len(table) >= 2
            drawn = lines_of(OBSERVABLES[name], table)
            assert drawn
            assert set(drawn) <= set(table)
            if name == "msd":
                assert drawn == ("msd_a", "msd_b")
            if name == "structure":
                assert drawn == ("s", "s_aa", "s_ab", "s_bb")
        for suffix in ("pdf", "png"):
            assert (tmp_path / name / f"{name}.{suffix}").stat().st_size > 1000


@pytest.mark.long
def test_the_page_holds_every_observable_its_caption_and_the_fits(samples: list[Sample], tmp_path: Path) -> None:
    fits = analyse([longer(sample) for sample in samples], list(OBSERVABLES), tmp_path, page=tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    text = text_of(tmp_path / "page.html")
    assert page.count('class="plot-data"') == page.count('.csv" href="data:') == len(OBSERVABLES)
    assert page.count("plotly.js (basic") == 0  # it is held as an address, once
    assert page.count("data:text/javascript;base64,") == 1
    for name, observable in OBSERVABLES.items():
        assert f"{observable.meaning[0].upper()}{observable.meaning[1:]}" in text
        assert symbols(f": {observable.definition}.") in page, name
    assert (
        "Mean squared displacement: ⟨|r(t) − r(0)|²⟩ of the particles of each species. Bands: standard error over"
        " configurations." in text
    )
    assert "given the noise of few draws. Bars: standard error over configurations." in text
    assert "4 configurations of the Kob-Andersen mixture (N = 100, 80 % of the particles A) at 2 state points" in text
    assert [fit["fit"] for fit in fits if fit["fit"] not in text] == []
    (transition,) = (fit for fit in fits if fit["state_point"] == "T0.50_P1.55" and "T_g" in fit["fit"])
    assert f"T_g from V(T) T = 0.50, P = 1.55 temperature {transition['temperature']:.4g} ±" in text


def test_the_page_names_what_was_left_out(samples: list[Sample], tmp_path: Path) -> None:
    analyse([one.without_draws() for one in samples], [], tmp_path, page=tmp_path / "page.html")
    text = text_of(tmp_path / "page.html")
    assert "at 2 state points, without dynamics." in text
    assert "Not computed msd, scattering, " in text
    assert "Partial radial distribution functions: " in text
    assert "Mean squared displacement: " not in text


@pytest.mark.long
def test_the_default_needs_no_kept_displacements(samples: list[Sample], tmp_path: Path) -> None:
    lean = [replace(sample, ensemble=replace(sample.ensemble, displacements=None)) for sample in samples]
    analyse(lean, [], tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == set(DEFAULT)
    with pytest.raises(DatasetError, match="does not hold 'displacements'") as caught:
        analyse(lean, ["van-hove"], tmp_path)
    assert "keep_displacements=true" in caught.value.remedy


def test_an_unknown_observable_is_named(samples: list[Sample], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no observable 'mds'"):
        analyse(samples, ["mds"], tmp_path)


def test_errors_are_those_of_the_mean_over_configurations(samples: list[Sample], tmp_path: Path) -> None:
    analyse(samples, ["msd"], tmp_path)
    table = rows(tmp_path / "msd" / "T0.50_P1.55.csv")
    curves = np.stack([sample.ensemble.msd.mean(0)[:, 1] for sample in samples[:2]])
    np.testing.assert_allclose(table["msd_b"], curves.mean(0), rtol=1e-8)
    np.testing.assert_allclose(table["msd_b_error"], np.abs(curves[0] - curves[1]) / 2, rtol=1e-8)
    analyse(samples[:1], ["msd"], tmp_path)
    assert np.isnan(rows(tmp_path / "msd" / "T0.50_P1.55.csv")["msd_a_error"]).all()


def test_alpha_2_is_of_the_mean_moments(samples: list[Sample]) -> None:
    pair = samples[:2]
    second = np.mean([s.ensemble.msd.mean(0) for s in pair], 0)[:, 0]
    fourth = np.mean([np.asarray(s.ensemble.quartic).mean(0) for s in pair], 0)[:, 0]
    np.testing.assert_allclose(alpha_2(pair)["alpha_2_a"], 3 * fourth / (5 * second**2) - 1)


def test_chi_4_within_configurations_and_over_all(samples: list[Sample]) -> None:
    pair = samples[:2]
    curves = [np.asarray(sample.ensemble.overlap)[:, :, 0] for sample in pair]
    found = overlap(pair)
    np.testing.assert_allclose(found["chi_4_draws"], 80 * np.mean([c.var(0, ddof=1) for c in curves], 0))
    assert np.isnan(overlap(pair[:1])["chi_4"]).all()


def test_chi_4_counts_configurations_as_they_are(samples: list[Sample]) -> None:
    """Six configurations of four draws, their spread s_b and that of the draws s_w known: N (s_b^2 + s_w^2)."""
    random = np.random.default_rng(1)
    between, within, times = 0.03, 0.02, 4000
    found = []
    for sample in samples[:1] * 6:
        curve = 0.5 + between * random.normal(size=(1, times)) + within * random.normal(size=(4, times))
        ensemble = replace(sample.ensemble, times=np.arange(1.0, times + 1), overlap=np.stack([curve, curve], 2))
        found.append(replace(sample, ensemble=ensemble))
    columns = overlap(found)
    # Four thousand independent times: the means to 1 %.
    assert columns["chi_4_draws"].mean() == pytest.approx(80 * within**2, rel=0.03)
    assert columns["chi_4"].mean() == pytest.approx(80 * (between**2 + within**2), rel=0.03)


def test_propensity_ceilings_are_those_of_the_a_particles(samples: list[Sample]) -> None:
    (sample,) = samples[:1]
    of_a, ensemble = sample.configuration.species == 0, sample.ensemble
    expected = moment_ceiling(
        ensemble.displacement_mean[0, of_a].astype(float), ensemble.displacement_sq_mean[0, of_a].astype(float), 3
    )
    found = propensity([sample])
    np.testing.assert_array_equal(found["ceiling"], [expected])
    draws = np.asarray(ensemble.displacements)[:, 0].astype(float)
    np.testing.assert_array_equal(found["ceiling_halves"], [split_half_ceiling(draws, sample.configuration.species)])


def test_van_hove_integrates_to_one(samples: list[Sample]) -> None:
    found = van_hove(samples[:2])
    for name in ("t1_a", "t1_b"):
        assert found[name].sum() * (found["r"][1] - found["r"][0]) == pytest.approx(1, abs=1e-6)


def test_coherent_scattering_begins_at_the_structure(samples: list[Sample]) -> None:
    found = collective(samples[:1])
    assert found["time"].tolist() == [0.0, 1.0]
    c = samples[0].configuration
    vectors = wave_vectors(c.box, 7.25, float(np.pi / c.box.min()))
    of_a = c.positions[c.species == 0]
    expected = np.mean([abs(np.exp(1j * of_a @ vector).sum()) ** 2 for vector in vectors]) / len(of_a)
    assert found["f_a"][0] == pytest.approx(expected, rel=1e-9)
    # Moved at random by 0.3 in each direction: F falls by exp(-(0.3 k)^2 / 2), to a tenth, with noise.
    assert abs(found["f_a"][1]) < 0.5 * found["f_a"][0]


def test_g_of_r_is_that_of_the_observable(samples: list[Sample], tmp_path: Path) -> None:
    analyse(samples[:1], ["rdf"], tmp_path)
    table, c = rows(tmp_path / "rdf" / "T0.50_P1.55.csv"), samples[0].configuration
    edges = np.arange(len(table["r"]) + 1) * 0.02
    np.testing.assert_allclose(
        table["g_ab"], radial_distribution(c.positions, c.species, c.box, edges)[1], rtol=1e-6, atol=1e-9
    )


def test_the_knee_of_the_volume_is_fitted(samples: list[Sample], tmp_path: Path) -> None:
    fits = analyse([longer(samples[0])], ["volume"], tmp_path)
    assert fits[0]["fit"] == "T_g from V(T)"
    assert fits[0]["temperature"] == pytest.approx(0.4, abs=0.01)
    assert "T_g from V(T),T0.50_P1.55,temperature,0." in (tmp_path / "fits.csv").read_text()
    with pytest.raises(DatasetError, match="too short an equilibration"):
        volume(samples)


def test_no_knee_is_fitted_where_the_pressure_changes(samples: list[Sample], tmp_path: Path) -> None:
    sample = longer(samples[0])
    pressed = replace(sample.equilibration, pressure=np.linspace(0.5, 2.9, 400))  # type: ignore[type-var]
    fits = analyse([replace(sample, equilibration=pressed)], ["volume"], tmp_path)
    assert "the pressure changes by" in fits[0]["failed"]


def test_no_plateau_no_stretched_exponential(samples: list[Sample], tmp_path: Path) -> None:
    times = np.geomspace(0.1, 100, 60)

    def with_decay(tau: float) -> Sample:
        curve = np.tile(0.75 * np.exp(-((times / tau) ** 0.8)), (3, 1))
        ensemble = replace(
            samples[0].ensemble, times=times, self_scattering=np.stack([curve, curve], 2),
            msd=np.ones((3, 60, 2)), quartic=None, overlap=None,
        )  # fmt: skip
        return replace(samples[0], ensemble=ensemble)

    slow, quick = (analyse([with_decay(tau)], ["scattering"], tmp_path)[0] for tau in (20.0, 1.5))
    assert slow["time"] == pytest.approx(20, rel=1e-3)
    assert slow["non_ergodicity"] == pytest.approx(0.75, rel=1e-3)
    assert "no plateau" in quick["failed"]
    late = {"p": {"time": np.array([500.0, 1000.0]), "f_s_a": np.array([0.1, 0.0])}}
    assert "no plateau: F_s is 0.10 at t = 500;" in fits_of("scattering", late, {"p": "A"})[0]["failed"]
    empty = {"p": {"time": np.empty(0), "f_s_a": np.empty(0)}}
    assert "failed" in fits_of("scattering", empty, {"p": "A"})[0]


def test_frames_from_a_late_time_are_fitted_from_there() -> None:
    times = np.arange(5.0, 5000.0, 5.0)
    columns = {"p": {"time": times, "f_s_a": 0.8 * np.exp(-((times / 700) ** 0.6))}}
    fit = fits_of("scattering", columns, {"p": "A"})[0]
    assert fit["fit"] == "KWW of F_s of A from t = 5"
    found = [fit[name] for name in ("non_ergodicity", "time", "exponent")]
    assert found == pytest.approx([0.8, 700, 0.6], rel=1e-3)


def test_analyse_works_in_the_folder_itself(tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_dataset)
    app(["analyse", ".", "--observables", "msd"], standalone_mode=False)
    assert (tiny_dataset.parent / f"{tiny_dataset.name}-analysis" / "msd" / "msd.png").exists()


def without(sample: Sample, *arrays: str) -> Sample:
    return replace(sample, ensemble=replace(sample.ensemble, **dict.fromkeys(arrays)))


@pytest.fixture
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def folders(out: Path) -> set[str]:
    return {path.name for path in out.iterdir() if path.is_dir()}


def written(out: Path) -> set[str]:
    """Return the folders in `out` that hold a table and a figure."""
    return {name for name in folders(out) if all(any((out / name).glob(f"*.{end}")) for end in ("csv", "pdf", "png"))}


@pytest.mark.usefixtures("no_warnings")
def test_what_is_missing_is_left_out_by_name_and_the_rest_is_made(samples: list[Sample], tmp_path: Path) -> None:
    said: list[str] = []
    analyse([without(sample, "quartic") for sample in samples], [], tmp_path, said.append)
    assert folders(tmp_path) == set(DEFAULT) - {"non-gaussian"}
    assert said == [
        f"non-gaussian, {point}: left out: {point}/c0000 does not hold 'quartic', the mean of |r(t) - r(0)|^4 of each"
        " species"
        for point in ("T0.50_P1.55", "T0.56_P0.17")
    ]


@pytest.mark.usefixtures("no_warnings")
def test_a_state_point_that_lacks_an_array_does_not_cost_the_others(samples: list[Sample], tmp_path: Path) -> None:
    said: list[str] = []
    # One of the two configurations of the hot state point.
    analyse([*samples[:3], without(samples[3], "overlap")], ["overlap", "chi4"], tmp_path, said.append)
    for name in ("overlap", "chi4"):
        assert {path.name for path in (tmp_path / name).iterdir()} == {"T0.50_P1.55.csv", f"{name}.pdf", f"{name}.png"}
    assert [line.partition(": left")[0] for line in said] == ["overlap, chi4, T0.56_P0.17"]


@pytest.mark.usefixtures("no_warnings")
def test_what_one_draw_of_one_configuration_leaves_undefined_has_no_figure(tmp_path: Path) -> None:
    said: list[str] = []
    one = [synthetic_sample(0, draws=1)]
    analyse(one, [], tmp_path / "all", said.append)
    assert folders(tmp_path / "all") == set(DEFAULT) - {"chi4", "propensity"}
    # One line for one reason.
    assert said == [
        "chi4, propensity, T0.50_P1.55: left out: all values are undefined at T0.50_P1.55; it needs two draws of each"
        " configuration"
    ]
    # By name it is an error, before anything is written.
    with pytest.raises(DatasetError, match=r"undefined at T0.50_P1.55; it needs two draws"):
        analyse(one, ["msd", "chi4"], tmp_path / "named")
    assert not (tmp_path / "named").exists()


@pytest.mark.long
@pytest.mark.usefixtures("no_warnings")
def test_no_particle_times_no_propensity(samples: list[Sample], tmp_path: Path) -> None:
    lean = []
    for sample in samples:
        none = {
            name: getattr(sample.ensemble, name)[:0]
            for name in ("particle_times", "displacement_mean", "displacement_sq_mean")
        }
        lean.append(replace(sample, ensemble=replace(sample.ensemble, displacements=None, **none)))
    said: list[str] = []
    analyse(lean, [], tmp_path, said.append)
    assert folders(tmp_path) == set(DEFAULT) - {"propensity"}
    assert all("has no particle times" in line for line in said)
    assert len(said) == 2


@pytest.mark.long
@pytest.mark.usefixtures("no_warnings")
def test_values_that_no_logarithm_has_are_drawn_all_the_same(samples: list[Sample], tmp_path: Path) -> None:
    for start in (0.0, -1.0):
        times = np.array([start, 1.0, 2.0])
        still = [replace(one, ensemble=replace(one.ensemble, times=times, msd=0 * one.ensemble.msd)) for one in samples]
        analyse(still, ["msd", "scattering", "overlap"], tmp_path / str(start))
        assert written(tmp_path / str(start)) == {"msd", "scattering", "overlap"}
    for times in (np.array([0.0]), np.array([1.0])):
        short = [
            replace(
                one,
                ensemble=replace(
                    one.ensemble, times=times, msd=one.ensemble.msd[:, :1], overlap=None, quartic=None,
                    self_scattering=one.ensemble.self_scattering[:, :1],
                ),
            )
            for one in samples
        ]  # fmt: skip
        analyse(short, ["msd", "scattering"], tmp_path / f"one-{times[0]}")
        assert written(tmp_path / f"one-{times[0]}") == {"msd", "scattering"}


@pytest.mark.usefixtures("no_warnings")
def test_a_label_that_is_a_path_stays_in_the_folder(samples: list[Sample], tmp_path: Path) -> None:
    facts = samples[0].facts.model_copy(update={"state_point": "../../$x_1$/[red]"})
    analyse([replace(samples[0], facts=facts)], ["msd"], tmp_path / "a" / "b")
    assert [path.name for path in (tmp_path / "a" / "b" / "msd").glob("*.csv")] == ["_.._$x_1$_[red].csv"]
    assert {path.name for path in tmp_path.iterdir()} == {"a"}
