"""Experiments: what is tested and how it is scored, from moments to a study that is really run."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glassformer.baselines.density_curve import DensityCurve
from glassformer.core.errors import DatasetError, PredictionError
from glassformer.core.experiment import Study
from glassformer.core.files import write_atomically
from glassformer.core.progress import Silent
from glassformer.core.run import Split
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.labels import msd_a_draws
from glassformer.dataset.predictions import Predictions, join, read_predictions
from glassformer.dataset.splits import folds
from glassformer.evaluate.audit import audit_rows, compare_audits
from glassformer.evaluate.experiments import NetworkTest, compare_rows, mean_scores, score_rows
from glassformer.evaluate.liquid import Liquid
from glassformer.evaluate.moments import bin_edges, largest_share, moments, variance_split
from glassformer.evaluate.paired import difference, mean_difference
from glassformer.evaluate.results import ExperimentResult, pairs, read_result, write_result
from glassformer.evaluate.scores import r_squared
from glassformer.experiments import runner
from glassformer.experiments.runner import plan_work, run_experiments, share
from glassformer.train.checkpoint import read_model
from tests.conftest import synthetic_sample


def predictions(seed: int, points: list[str], bias: float = 0.0, names: list[str] | None = None) -> Predictions:
    """Predictions that are the truth and `bias`, of draws that scatter; the baselines are 0.1 and 0.2 too large."""
    random = np.random.default_rng(seed)
    number = len(points)
    level = np.array([float(point[1:5]) for point in points])[:, None, None]
    draws = np.exp(10 * (level - 0.5) + random.normal(0, 0.3, (number, 1, 2)) + random.normal(0, 0.1, (number, 4, 2)))
    truth = np.log(draws.mean(1))
    return Predictions(
        network="n", parameter_hash="h", code_version="c",
        configurations=tuple(names or (f"{point}/c{i}" for i, point in enumerate(points))),
        state_points=tuple(points), roles=("test",) * number, times=np.array([1.0, 2.0]), density=level[:, 0, 0],
        msd_draws=draws, prediction=truth + bias, state_point_mean=truth + 0.1, density_fit=truth + 0.2,
    )  # fmt: skip


def liquid(*tests: Predictions) -> Liquid:
    """What the data say of each state point, if they are those of `tests`."""
    points = np.concatenate([test.state_points for test in tests])
    draws = np.concatenate([test.msd_draws for test in tests])
    return Liquid({point: draws[points == point] for point in np.unique(points)})


def test_the_density_curve_passes_through_the_state_points_and_goes_on_straight() -> None:
    points, density = ["a", "a", "b", "c"], np.array([1.0, 1.2, 1.3, 1.5])
    curve = DensityCurve.fit(points, density, np.array([[0.0], [2.0], [3.0], [7.0]]))
    # State points: (1.1, 1), (1.3, 3), (1.5, 7).
    wanted = np.array([[0.0], [1.0], [2.0], [3.0], [5.0], [9.0]])
    np.testing.assert_allclose(curve.predict(np.array([1.0, 1.1, 1.2, 1.3, 1.4, 1.6])), wanted, atol=1e-12)


def test_the_density_curve_of_one_state_point_is_its_line() -> None:
    curve = DensityCurve.fit(["a"] * 3, np.array([1.0, 1.1, 1.2]), np.array([[1.0], [2.0], [3.0]]))
    np.testing.assert_allclose(curve.predict(np.array([0.9, 1.3])), [[0.0], [4.0]], atol=1e-12)


def test_moments_are_those_of_known_distributions() -> None:
    random = np.random.default_rng(1)
    gauss, exponential = (moments(values) for values in (random.normal(3, 2, 200_000), random.exponential(5, 200_000)))
    # Standard errors: sqrt(6 / n) = 0.0055 and sqrt(24 / n) = 0.011 of a Gaussian; five of them.
    assert gauss.skewness == pytest.approx(0, abs=0.028)
    assert gauss.kurtosis == pytest.approx(0, abs=0.055)
    assert gauss.coefficient_of_variation == pytest.approx(2 / 3, rel=0.02)
    assert exponential.skewness == pytest.approx(2, rel=0.1)
    assert exponential.std == pytest.approx(5, rel=0.02)
    assert moments(np.array([1.0, 3.0])).std == pytest.approx(np.sqrt(2))
    assert np.isnan(moments(np.array([1.0, 3.0])).skewness)
    assert np.isnan(moments(np.array([0.1 + 0.2, 0.3, 0.3])).kurtosis)
    assert np.isnan(moments(np.array([1.0])).std)


def test_the_largest_share_tells_a_network_that_says_the_same_of_all() -> None:
    labels = np.linspace(0, 1, 64)
    assert largest_share(np.full(64, 0.41), labels) == 1
    bins = len(bin_edges(labels)) - 1
    assert largest_share(labels, labels) == pytest.approx(1 / bins, abs=1.01 / 64)
    # Beyond the labels the bins go on.
    assert largest_share(np.array([5.0, 5.001, 9.0, 0.2]), labels) == 0.5


def test_variance_split_finds_both_parts() -> None:
    random = np.random.default_rng(2)
    draws = random.normal(0, 2, (4000, 1)) + random.normal(0, 3, (4000, 5))
    between, within = variance_split(draws)
    # Standard errors 0.13 and 0.10; four of them.
    assert between == pytest.approx(4, abs=0.52)
    assert within == pytest.approx(9, abs=0.4)
    # Means of D draws vary by within / D though nothing lies between them.
    assert variance_split(random.normal(0, 3, (4000, 5)))[0] < 0.2
    one = np.full((1, 5), np.nan)
    one[0, 0] = 100.0
    assert variance_split(np.concatenate([draws, one])) == pytest.approx((between, within))
    assert np.isnan(variance_split(draws[:1])).all()


def test_a_share_of_the_training_set_and_some_of_the_folds() -> None:
    samples = [synthetic_sample(index) for index in range(12)]
    whole = folds(samples, Split(folds=4), seed=5)
    part = folds(samples, Split(folds=4, trained_folds=2, training_share=0.3), seed=5)
    assert len(part) == 2
    for all_of_it, some in zip(whole, part, strict=False):
        assert (some.test, some.validation) == (all_of_it.test, all_of_it.validation)
        # 0.3 of 8, rounded up.
        assert some.train == all_of_it.train[:3]


def test_held_out_configurations_count_once_and_others_once_a_network() -> None:
    seen, new = ["T0.44_P1.00"] * 3, ["T0.50_P1.00"] * 4
    tests = [
        NetworkTest(test, test.label - 0.3)
        for test in (predictions(1, seen + new, 0.1), predictions(2, seen + new, -0.3))
    ]
    # The two networks were tested on the same configurations of the other state point.
    same = tests[0].predictions.msd_draws.copy()
    same[:3] = tests[1].predictions.msd_draws[:3]
    second = replace(tests[1].predictions, msd_draws=same, prediction=np.log(same.mean(1)) - 0.3)
    second = replace(second, configurations=tuple(f"{n}x" if i < 3 else n for i, n in enumerate(second.configurations)))
    tests[1] = NetworkTest(second, second.label - 0.3)
    # More than was tested: R^2 is about the mean of all.
    everything = liquid(*(test.predictions for test in tests), predictions(9, new * 3))
    scored = score_rows(tests, seen[:1], everything)
    rows = {(row.state_point, row.time): row for row in scored}
    assert len(rows) == 4
    held, other = rows[seen[0], 2.0], rows[new[0], 2.0]
    assert (held.trained, held.configurations, held.networks) == (True, 6, 1)
    assert (other.trained, other.configurations, other.networks) == (False, 4, 2)
    for row in (held, other):
        assert row.scores["network"].mae == pytest.approx(0.2)
        assert row.scores["density_curve"].mae == pytest.approx(0.3)
    assert other.scores["network"].ratio == pytest.approx((np.exp(0.1) + np.exp(-0.3)) / 2)
    truth = np.exp(tests[0].predictions.label[3:, 1])
    assert (other.label_mean, other.label_std) == (pytest.approx(truth.mean()), pytest.approx(truth.std(ddof=1)))
    parts = [np.std(truth - truth * np.exp(b), ddof=1) for b in (0.1, -0.3)]
    assert other.residual_std == pytest.approx(np.mean(parts))
    # R^2 of a constant offset b: 1 - b^2 / var about the mean of all data, the mean over the networks.
    center = np.log(everything.draws[new[0]].mean(1)[:, 1]).mean()
    assert abs(center - np.log(truth).mean()) > 0.02
    expected = 1 - np.mean([0.01, 0.09]) / ((np.log(truth) - center) ** 2).mean()
    assert other.scores["network"].r2 == pytest.approx(expected)
    # The errors of a configuration, for pairs: the mean over the networks that were tested on it.
    assert other.scores["network"].errors == pytest.approx({f"{new[0]}/c{i}": 0.2 for i in range(3, 7)})
    assert sorted(held.scores["network"].errors.values()) == pytest.approx([0.1] * 3 + [0.3] * 3)


def test_what_training_has_seen_is_never_scored() -> None:
    test = replace(predictions(1, ["T0.44_P1.00"] * 3), roles=("test", "train", "test"))
    with pytest.raises(PredictionError, match="has seen"):
        score_rows([NetworkTest(test, test.label)], [], liquid(test))


def test_mean_scores_are_means_over_state_points() -> None:
    test = predictions(3, ["T0.44_P1.00"] * 3 + ["T0.50_P1.00"] * 3 + ["T0.56_P1.00"] * 3, 0.1)
    rows = score_rows([NetworkTest(test, test.label - 0.5)], ["T0.44_P1.00", "T0.50_P1.00"], liquid(test))
    found = {(one.time, one.trained): one for one in mean_scores(rows)}
    assert len(found) == 4
    assert (found[1.0, True].state_points, found[1.0, False].state_points) == (2, 1)
    assert found[1.0, True].mae == pytest.approx(0.1)
    assert found[1.0, False].density_mae == pytest.approx(0.5)
    assert found[1.0, True].r2 == pytest.approx(np.mean([r.scores["network"].r2 for r in rows if r.trained][::2]))


def test_differences_are_of_the_same_configurations() -> None:
    """What makes a configuration hard for both drops out."""
    random = np.random.default_rng(5)
    hard = random.exponential(1.0, 200)
    one, other = ({f"c{i}": float(h + d) for i, h in enumerate(hard)} for d in (0.1, 0.0))
    one |= {"c0": float(hard[0] + 0.3)}
    found = difference(one | {"only here": 9.0}, other | {"only there": 0.0})
    assert (found.mean, found.configurations) == (pytest.approx(0.101), 200)
    assert found.error == pytest.approx(0.2 / 200)
    assert np.isnan(difference({"a": 1.0}, {"b": 1.0}).mean)
    assert np.isnan(difference({"a": 1.0}, {"a": 0.5}).error)
    # The standard error is that of many such samples' means.
    noise = random.normal(0.2, 1.0, (2000, 12))
    samples = [
        difference({str(i): float(v) for i, v in enumerate(row)}, dict.fromkeys(map(str, range(12)), 0.0))
        for row in noise
    ]
    assert np.sqrt(np.mean([one.error**2 for one in samples])) == pytest.approx(np.sqrt(1 / 12), rel=0.03)
    both = mean_difference([found, difference({"a": 1.0, "b": 3.0}, {"a": 0.0, "b": 0.0}), difference({}, {})])
    assert (both.mean, both.configurations) == (pytest.approx((0.101 + 2) / 2), 202)
    assert both.error == pytest.approx(np.hypot(0.001, 1.0) / 2)


def test_experiments_are_compared_where_both_were_tested_alike() -> None:
    seen, new = "T0.44_P1.00", "T0.50_P1.00"
    test = predictions(3, [seen] * 3 + [new] * 3, 0.1)
    worse = replace(test, prediction=test.label - 0.4)
    rows, others = (score_rows([NetworkTest(one, one.label)], [seen], liquid(test)) for one in (test, worse))
    lines = compare_rows(rows, others)
    assert [(one.time, one.trained, one.difference.configurations) for one in lines] == [
        (1.0, True, 3), (1.0, False, 3), (2.0, True, 3), (2.0, False, 3),
    ]  # fmt: skip
    assert all(one.difference.mean == pytest.approx(-0.3) for one in lines)
    # A state point that only one was trained on is no place to compare.
    elsewhere = score_rows([NetworkTest(worse, worse.label)], [], liquid(test))
    assert {(one.time, one.trained) for one in compare_rows(rows, elsewhere)} == {(1.0, False), (2.0, False)}
    gain = mean_scores(rows)[0].gain
    assert (gain.mean, gain.configurations) == (pytest.approx(0.1), 3)


def test_r_squared_about_given_means_counts_what_is_said_beyond_them() -> None:
    label, means = np.array([0.0, 1.0, 10.0, 11.0]), np.array([0.5, 0.5, 10.5, 10.5])
    assert r_squared(means, label, means) == pytest.approx(0)
    assert r_squared(label, label, means) == 1
    assert r_squared(np.array([0.0, 1.0, 10.0, 10.0]), label, means) == pytest.approx(0)
    assert np.isnan(r_squared(means, means, means))


def test_the_audit_scores_single_draws_and_resamples_configurations() -> None:
    names = [f"T0.4{p}/c{c}#{d}" for p in (4, 5) for c in range(6) for d in range(5)]
    random = np.random.default_rng(4)
    of_configuration = np.repeat(random.normal(0, 0.4, 12) + 3 * (np.arange(12) > 5), 5)[:, None, None]
    draws = np.exp(of_configuration + random.normal(0, 0.2, (60, 1, 2)))
    points = [name[:5] for name in names]
    test = replace(
        predictions(1, [f"{point}_P1.00" for point in points], names=names),
        msd_draws=draws, prediction=np.repeat(of_configuration[:, :, 0], 2, 1),
    )  # fmt: skip
    everything = Liquid(
        {point: draws.reshape(12, 5, 2)[6 * n : 6 * n + 6] for n, point in enumerate(dict.fromkeys(test.state_points))}
    )
    row = audit_rows("prediction", [test], everything)[0]
    assert (row.draws, row.configurations) == (60, 12)
    # What the configuration decides is known: the rest, 0.04 of about 0.2, is the draws' own.
    assert row.r2_within == pytest.approx(row.ceiling, abs=0.1)
    assert 0.55 < row.ceiling < 0.95
    assert list(row.errors) == names
    errors = np.abs(test.prediction - test.label)[:, 0].reshape(12, 5)
    np.testing.assert_allclose(list(row.errors.values()), errors.ravel())
    # In pairs of draws: of two configurations one draw alone, of a third none was tested elsewhere.
    few = [i for i in range(60) if i // 5 not in (0, 1, 7) or i in (0, 5)]
    shifted = replace(join([test], [few]), prediction=test.label[few] + 0.5)
    less = compare_audits([row], audit_rows("prediction", [shifted], everything))
    assert (list(less), less[1.0].configurations) == ([1.0], 11)
    cold, hot = np.array([errors[0, 0], errors[1, 0], *errors[2:6].mean(1)]), errors[[6, *range(8, 12)]].mean(1)
    assert less[1.0].mean == pytest.approx((cold.mean() + hot.mean()) / 2 - 0.5)
    parts = [one.std(ddof=1) / np.sqrt(len(one)) for one in (cold, hot)]
    assert less[1.0].error == pytest.approx(np.hypot(*parts) / 2)
    # As if draws were independent, the error of the mean comes out too small.
    blunt = replace(test, prediction=np.zeros_like(test.prediction))
    together, apart = (
        audit_rows("prediction", [one], everything)[0].mae_error
        for one in (blunt, replace(blunt, configurations=tuple(f"x{i}#0" for i in range(60))))
    )
    assert together > max(1.3 * apart, 0.01)


def result() -> ExperimentResult:
    test = predictions(3, ["T0.44_P1.00"] * 3, 0.1)
    return ExperimentResult(
        "n", "g", "t", "", "particlenet", "system", 7, 2, ("T0.44_P1.00",), ("T0.44_P1.00",), 2, "h", "i", "d", "c",
        score_rows([NetworkTest(test, test.label)], [], liquid(test)),
        tuple(audit_rows("prediction", [test], liquid(test))),
    )  # fmt: skip


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    written = result()
    write_result(tmp_path / "result.json", written)
    json.loads((tmp_path / "result.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert repr(read_result(tmp_path / "result.json")) == repr(written)


def test_results_are_read_against_those_of_the_same_data() -> None:
    one = result()
    other = replace(one, name="other", compare="n")
    lost = replace(one, name="lost", compare="nowhere")
    assert pairs([one, other, lost], [one, other, lost]) == [(other, one)]
    assert pairs([other], [one]) == [(other, one)]
    assert pairs([other], [replace(one, data="of another day")]) == []


@pytest.mark.parametrize("damage", ["half", "other", "row", "rows", "name", "list"])
def test_damaged_results_are_named(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    values = result().as_json()
    if damage == "other":
        values["format"] = "glassformer experiment 0"
    if damage == "row":
        del values["rows"][0]["time"]
    if damage == "rows":
        del values["rows"]
    if damage == "name":
        values["name"] = "../four"
    text = json.dumps([] if damage == "list" else values)
    path.write_text(text[: len(text) // 2] if damage == "half" else text)
    with pytest.raises(PredictionError, match="is not a result of an experiment"):
        read_result(path)


STUDY = {
    "title": "Tiny",
    "run": "thesis",
    "scales": {
        "demo": {
            "campaign": "none",
            "run": {
                "targets": {"times": [1.065]},
                "split": {"folds": 2, "trained_folds": 2},
                "network": {"neighbors": 6, "blocks": [[8, 8]], "fully_connected": [8]},
                "training": {"epochs": 2, "batch_size": 2, "late_from_epoch": 1},
            },
        }
    },
    "experiments": [
        {"name": "one", "group": "one", "title": "one", "train": ["T0.50"]},
        {"name": "particle", "group": "particle", "title": "p", "train": ["T0.50", "T0.56"],
         "run": {"network": {"head": "particle"}}},
        {"name": "none", "group": "audit", "title": "no leak", "train": ["T0.50", "T0.56"],
         "run": {"targets": {"draws": "each"}}},
        {"name": "draws", "group": "audit", "title": "by draw", "train": ["T0.50", "T0.56"], "compare": "none",
         "run": {"targets": {"draws": "each"}, "split": {"by": "draw"}}},
        {"name": "velocities", "group": "audit", "title": "velocities", "train": ["T0.50", "T0.56"], "compare": "none",
         "run": {"targets": {"draws": "each"}, "network": {"inputs": ["species", "velocity"]}}},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def study() -> Study:
    return check_settings(STUDY, Study, "tiny")


@pytest.fixture(scope="module")
def done(study: Study, tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study")
    run_experiments(study, "demo", [], tiny_dataset, out, Silent(), 2)
    return out


@pytest.mark.long
def test_networks_are_tested_on_all_that_they_have_not_seen_and_on_nothing_else(done: Path, tiny_dataset: Path) -> None:
    folder = done / "training" / "one"
    tested = [read_predictions(folder / f"fold-{fold}" / "test.h5") for fold in (0, 1)]
    cold, hot = (
        {s.identifier for s in read_dataset(tiny_dataset) if s.facts.state_point[:5] == p} for p in ("T0.50", "T0.56")
    )
    held_out = [set(one.configurations) & cold for one in tested]
    assert held_out[0] | held_out[1] == cold
    assert not held_out[0] & held_out[1]
    assert all(set(one.configurations) & hot == hot for one in tested)
    for fold, one in enumerate(tested):
        roles = read_model(folder / f"fold-{fold}" / "model.safetensors").roles
        seen = {
            s.identifier
            for s in read_dataset(tiny_dataset)
            if roles.get(s.configuration.fingerprint) in ("train", "validation")
        }
        assert len(seen) == 2
        assert not seen & set(one.configurations)
    rows = {row.state_point: row for row in read_result(folder / "result.json").rows}
    assert {point[:5]: (row.trained, row.configurations, row.networks) for point, row in rows.items()} == {
        "T0.50": (True, 4, 1), "T0.56": (False, 4, 2),
    }  # fmt: skip


def test_a_particle_head_has_its_correlation_beside_the_rest(done: Path) -> None:
    for row in read_result(done / "training" / "particle" / "result.json").rows:
        assert -1 <= row.pearson <= 1
        assert row.pearson_error > 0
    assert np.isnan(read_result(done / "training" / "one" / "result.json").rows[0].pearson)


def test_the_audit_s_draws_are_those_of_unseen_configurations_unless_the_split_is_the_leak(done: Path) -> None:
    for name in ("none", "velocities"):
        tested = [read_predictions(done / "training" / name / f"fold-{fold}" / "test.h5") for fold in (0, 1)]
        names = [set(one.configurations) for one in tested]
        # Two draws of each of eight configurations, each tested by the one network that had not seen it.
        assert [len(one) for one in names] == [8, 8]
        assert not {n.partition("#")[0] for n in names[0]} & {n.partition("#")[0] for n in names[1]}
        assert all(one.msd_draws.shape[1] == 1 for one in tested)
    files = [done / "training" / name / "fold-0" / "test.h5" for name in ("none", "velocities")]
    spread = [np.ptp(read_predictions(file).prediction.reshape(-1, 2), 1).max() for file in files]
    # The same structure, the same prediction; other velocities, another.
    assert spread[0] == 0 < spread[1]
    leaked = read_predictions(done / "training" / "draws" / "predictions.h5")
    assert set(leaked.roles) == {"leaked"}
    assert len(leaked.configurations) == 16


def test_what_is_done_is_not_done_again(study: Study, done: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    before = {
        path: path.stat().st_mtime_ns
        for path in (done / "training").rglob("*")
        if path.name in ("model.safetensors", "test.h5", "predictions.h5")
    }
    run_experiments(study, "demo", [], tiny_dataset, done, Silent(), 1)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    # Without one of its state points the result is another.
    shutil.copytree(next(tiny_dataset.glob("T0.50*")), tmp_path / "T0.50_P1.55")
    found = run_experiments(study, "demo", ["one"], tmp_path, done, Silent(), 1)
    assert found[0].tested_on == ("T0.50_P1.55",)


def test_results_of_another_way_to_score_or_damaged_ones_are_made_anew(
    study: Study, done: Path, tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(done / "training" / "none", tmp_path / "training" / "none")
    path = tmp_path / "training" / "none" / "result.json"
    before = read_result(path)
    for broken in ("{", path.read_text().replace(before.identity, "0")):
        path.write_text(broken)
        assert repr(run_experiments(study, "demo", ["none"], tiny_dataset, tmp_path, Silent(), 1)) == repr([before])
    monkeypatch.setattr(runner, "SCORING", 0)
    assert run_experiments(study, "demo", ["none"], tiny_dataset, tmp_path, Silent(), 1)[0].identity != before.identity


def test_a_training_that_goes_astray_does_not_cost_the_others(
    study: Study, tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wild = [one.model_copy(update={"run": {"training": {"learning_rate": 1e30}}}) for one in study.experiments[:1]]
    both = study.model_copy(update={"experiments": (*wild, study.experiments[1])})
    write_result(tmp_path / "training" / "one" / "result.json", result())
    said: list[str] = []
    progress = Silent()
    monkeypatch.setattr(progress, "say", said.append, raising=False)
    found = run_experiments(both, "demo", [], tiny_dataset, tmp_path, progress, 1)
    assert [one.name for one in found] == ["particle"]
    assert any(text.startswith("one FAILED: ") for text in said)


def test_a_folder_of_another_run_does_not_cost_the_others(
    study: Study, tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = study.model_copy(update={"experiments": study.experiments[:2]})
    write_atomically(tmp_path / "training" / "one" / "run.json", b'{"parameter_hash": "of another run"}')
    said: list[str] = []
    progress = Silent()
    monkeypatch.setattr(progress, "say", said.append, raising=False)
    found = run_experiments(both, "demo", [], tiny_dataset, tmp_path, progress, 1)
    assert [one.name for one in found] == ["particle"]
    assert any(text.startswith("one FAILED: ") for text in said)


def test_a_state_point_whose_label_begins_alike_is_another(study: Study, tiny_dataset: Path, tmp_path: Path) -> None:
    samples = read_dataset(tiny_dataset)
    near = {"temperature": 0.501, "state_point": "T0.501_P1.55"}
    others = [replace(one, facts=one.facts.model_copy(update=near)) for one in samples if one.facts.temperature == 0.5]
    work = plan_work(study, "demo", ["one"], [*samples, *others], tmp_path)
    assert [one.trained_on for one in work] == [("T0.50_P1.55",)]


def test_a_missing_state_point_is_named(study: Study, tiny_dataset: Path, tmp_path: Path) -> None:
    hot = [sample for sample in read_dataset(tiny_dataset) if sample.facts.state_point.startswith("T0.56")]
    with pytest.raises(
        DatasetError, match=r"experiment one trains on T0.50, which is not among the data \(T0.56_P0.17\)"
    ):
        plan_work(study, "demo", [], hot, tmp_path)


def test_the_audit_s_baselines_learn_what_the_network_learns(done: Path, tiny_dataset: Path) -> None:
    """Where every draw is a sample, the mean of their logarithms, not the logarithm of their mean."""
    model = read_model(done / "training" / "none" / "fold-0" / "model.safetensors")
    for point, means in model.state_point_mean.means.items():
        trained = [
            sample
            for sample in read_dataset(tiny_dataset)
            if sample.facts.state_point == point and model.roles[sample.configuration.fingerprint] == "train"
        ]
        labels = [np.log(msd_a_draws(sample, np.array(model.times))).mean(0) for sample in trained]
        np.testing.assert_allclose(means, np.mean(labels, 0))
        assert not np.allclose(
            means, np.mean([np.log(msd_a_draws(s, np.array(model.times)).mean(0)) for s in trained], 0)
        )


def test_work_is_dealt_out_the_longest_first(study: Study, tiny_dataset: Path, tmp_path: Path) -> None:
    work = plan_work(study, "demo", [], read_dataset(tiny_dataset), tmp_path)
    # Two draws: an audit's epochs cost twice; one state point half.
    assert [one.cost for one in work] == [16, 32, 64, 64, 64]
    parts = [sorted(one.cost for one in part) for part in share(work, 2)]
    assert sorted(parts) == [[16, 32, 64], [64, 64]]
    (tmp_path / "training" / "none").mkdir(parents=True)
    (tmp_path / "training" / "none" / "result.json").touch()
    assert work[2].cost == 0
