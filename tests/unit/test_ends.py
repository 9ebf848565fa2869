"""Configurations at the end of draws: what they are, and that models learn from them without being tested on them."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import glassformer as gf
from glassformer.baselines.propensity_file import read_predictor
from glassformer.baselines.ridge import Moments
from glassformer.baselines.temperature_ridge import TemperatureRidge
from glassformer.cli.app import app
from glassformer.core.campaign import Campaign
from glassformer.core.errors import DatasetError
from glassformer.core.progress import Silent
from glassformer.core.recipe import Recipe
from glassformer.core.settings import check_settings
from glassformer.dataset.ends import end_of_draw, write_ends
from glassformer.dataset.folder import read_dataset, refuse_ends
from glassformer.dataset.sample import Ensemble, Sample, read_sample, write_sample
from glassformer.evaluate.propensity_baselines import score_baselines
from glassformer.physics.box import wrap
from glassformer.physics.cage import Cage
from glassformer.simulate import cage as cage_module
from glassformer.simulate.cage import cage_dataset
from glassformer.simulate.campaign import run_campaign
from glassformer.simulate.quench import quench_dataset
from glassformer.train.labelled_structures import group_samples, weight_of
from glassformer.train.propensity import train_predictor
from glassformer.train.propensity_prediction import as_predictions

pytestmark = pytest.mark.long

CAMPAIGN: dict[str, Any] = {
    "seed": 6,
    "particles": 300,
    "mixture": "kob-andersen",
    "configurations": 4,
    "draws": 3,
    "keep_displacements": True,
    "particle_times": [0.5, 2.0],
    "schedule": {"first": 1, "count": 20, "last": 400, "until": 2.0},
    "equilibration": {
        "hold_in_tau_alpha": 0.01,
        "most_windows": 40,
        "stages": [{"temperature": 1.0, "duration": 2.0}, {"temperature": "target", "duration": 1.0, "ramp": True}],
    },
    "state_points": [{"temperature": 0.8, "density": 1.2, "hold_time": 1.0}],
}
SMALL = {"reach": 2.8, "degrees": [2, 4], "generations": 2}
DRAWS = 2


def recipe() -> Recipe:
    return of_times(2.0)


def of_times(*times: float) -> Recipe:
    target = {"temperature": 0.8, "times": list(times)}
    return check_settings({"descriptors": SMALL, "targets": [target], "left_out": 2}, Recipe, "recipe")


def written(samples: list[Sample], folder: Path) -> Path:
    for number, sample in enumerate(samples):
        path = folder / sample.facts.state_point / f"c{number:04d}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_sample(path, sample)
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ends") / "data"
    run_campaign(check_settings(CAMPAIGN, Campaign, "campaign"), folder, Silent(), 2)
    quench_dataset(folder, Silent(), 2)
    return folder


@pytest.fixture(scope="module")
def ends(dataset: Path) -> Path:
    out = dataset.parent / "ends"
    assert write_ends(dataset, out, DRAWS, Silent()) == (0, 4 * DRAWS)
    quench_dataset(out, Silent(), 2)
    return out


@pytest.fixture(scope="module")
def samples(dataset: Path) -> list[Sample]:
    return read_dataset(dataset)


def test_a_draw_run_backwards_ends_where_it_began(samples: list[Sample]) -> None:
    sample = samples[0]
    end = end_of_draw(sample, 1)
    assert end.origin == sample.configuration.fingerprint
    assert sample.origin is None
    back = wrap(end.configuration.positions + end.observed("displacements")[0, 0].astype(float), end.configuration.box)
    apart = back - sample.configuration.positions
    apart -= end.configuration.box * np.rint(apart / end.configuration.box)
    np.testing.assert_allclose(apart, 0, atol=1e-5)
    # How far each particle went is the same in both directions, and so are all means.
    forth = np.linalg.norm(sample.observed("displacements")[1, -1], axis=1)
    np.testing.assert_allclose(end.dynamics.displacement_mean[0], forth, rtol=1e-5)
    assert end.dynamics.particle_times.tolist() == end.dynamics.times.tolist() == [2.0]
    assert end.draws == 1
    at = np.flatnonzero(np.isclose(sample.dynamics.times, 2.0))[0]
    np.testing.assert_allclose(end.observed("msd")[0, 0], sample.observed("msd")[1, at], rtol=1e-4)


def test_ends_are_written_once(dataset: Path, ends: Path) -> None:
    assert write_ends(dataset, ends, DRAWS, Silent()) == (4 * DRAWS, 0)
    found = read_dataset(ends)
    assert len({one.identifier for one in found}) == len(found) == 4 * DRAWS
    assert all(one.configuration.inherent_positions is not None for one in found)


def test_what_has_no_ends(samples: list[Sample], tmp_path: Path, dataset: Path) -> None:
    with pytest.raises(DatasetError, match="has 3 draws; got 9 to take"):
        write_ends(dataset, tmp_path / "out", 9, Silent())
    with pytest.raises(DatasetError, match="is the dataset itself"):
        write_ends(dataset, dataset, 1, Silent())
    changes: dict[str, dict[str, Any]] = {
        "not in equilibrium": {"equilibrated": False},
        "do not conserve energy": {"energy_drift": 0.5},
    }
    for message, change in changes.items():
        facts = samples[1].facts.model_copy(update=change)
        spoiled = written([samples[0], replace(samples[1], facts=facts)], tmp_path / message)
        with pytest.raises(DatasetError, match=message):
            write_ends(spoiled, tmp_path / "out", 1, Silent())
    unkept = replace(samples[1], ensemble=replace(samples[1].dynamics, displacements=None))
    with pytest.raises(DatasetError, match="does not hold"):
        write_ends(written([samples[0], unkept], tmp_path / "unkept"), tmp_path / "out", 1, Silent())
    # Everything was checked before anything was written.
    assert not (tmp_path / "out").exists()


def test_no_ends_of_ends(ends: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="are ends of draws"):
        write_ends(ends, tmp_path / "out", 1, Silent())


def test_two_datasets_with_the_same_names(samples: list[Sample], tmp_path: Path) -> None:
    for number in range(2):
        # Each configuration is the first of its dataset.
        sample = replace(samples[number], name=None, facts=samples[number].facts.model_copy(update={"index": 0}))
        one = written([sample], tmp_path / f"data{number}")
        assert write_ends(one, tmp_path / "ends", 1, Silent()) == (0, 1)
    assert len(read_dataset(tmp_path / "ends")) == 2


def test_a_long_source_is_shortened(samples: list[Sample], tmp_path: Path) -> None:
    facts = samples[0].facts.model_copy(update={"source": "x" * 1000})
    end = end_of_draw(replace(samples[0], facts=facts), 0)
    write_sample(tmp_path / "end.h5", end)
    assert str(read_sample(tmp_path / "end.h5").facts.source).endswith("end of draw 0 of T0.80_rho1.20/c0000")


def test_networks_refuse_them(samples: list[Sample]) -> None:
    refuse_ends(samples)
    with pytest.raises(DatasetError, match="1 of 5 configurations are ends of draws"):
        refuse_ends([*samples, end_of_draw(samples[0], 0)])


def test_a_fold_does_not_learn_from_its_own_ends(samples: list[Sample], ends: Path) -> None:
    further = read_dataset(ends)
    plain = train_predictor(samples, recipe(), Silent())
    with_ends = train_predictor([*samples, *further], recipe(), Silent())
    assert with_ends.predictor.card.end_frames == 4 * DRAWS
    assert with_ends.predictor.card.configurations == (4,)
    fold = with_ends.folds[0]
    of_fold = {samples[index].configuration.fingerprint for index in fold}
    own = train_predictor([*samples, *(one for one in further if one.origin in of_fold)], recipe(), Silent())
    for index in range(4):
        same = np.array_equal(own.unseen[0][index], plain.unseen[0][index])
        # What was left out with its ends was not learned from them, and the others were.
        assert same == (index in fold)
        assert not np.array_equal(with_ends.unseen[0][index], plain.unseen[0][index])
    # A configuration that was learned from is not new.
    assert with_ends.predictor.has_seen(further[0].configuration)
    assert not plain.predictor.has_seen(further[0].configuration)


def others_of_ends(folder: Path, **changes: float) -> list[Sample]:
    """Return the samples of `folder`; the cages of the first are sampled in another way."""
    first, *others = read_dataset(folder)
    assert first.cage is not None
    return [replace(first, cage=replace(first.cage, **changes)), *others]  # type: ignore[arg-type]


def test_their_cages_are_sampled_briefly(
    dataset: Path, ends: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, few = tmp_path / "data", tmp_path / "ends"
    shutil.copytree(dataset, data)
    shutil.copytree(ends, few)
    reading = recipe().model_copy(update={"reads": "restricted"})
    training = gf.train(reading, [data, few], tmp_path / "model")
    cages, of_ends = ([sample.cage for sample in read_dataset(folder)] for folder in (data, few))
    assert {(cage.draws, cage.begin, cage.end) for cage in cages if cage} == {(32, 5.0, 25.0)}
    assert {(cage.draws, cage.begin, cage.end) for cage in of_ends if cage} == {(16, 3.0, 13.0)}
    # Structures that are predicted have cages like those that were scored.
    card = read_predictor(training.models[0]).card
    assert card.cages == {"draws": 32, "begin": 5.0, "end": 25.0, "radius": 0.4}
    # The command does not replace them, and no two have the same velocities.
    assert f"0 configurations sampled; {4 * DRAWS} already had" in CliRunner().invoke(app, ["cage", str(few)]).stdout
    seeds, sample = [], cage_module.sample_cages

    def watched(*values: Any, **named: Any) -> Cage:
        seeds.append(values[3])
        return sample(*values, **named)

    monkeypatch.setattr(cage_module, "sample_cages", watched)
    cage_dataset(few, "restricted", {"draws": 1, "begin": 0.1, "end": 0.3}, Silent(), 1)
    assert len(set(seeds)) == 4 * DRAWS
    first, *others = read_dataset(data)
    assert first.cage is not None
    for samples in (
        [replace(first, cage=replace(first.cage, begin=1.0)), *others, *read_dataset(few)],
        [first, *others, *others_of_ends(few, begin=1.0)],
        [first, *others, *others_of_ends(few, radius=0.3)],
    ):
        with pytest.raises(DatasetError, match="in 2 ways"):
            train_predictor(samples, reading, Silent())


def further_draws(end: Sample, draws: int, seed: int) -> Sample:
    """The end as a campaign with `as_given` leaves it: bare positions, and propensities of its own at two times."""
    bare = replace(end.configuration, inherent_positions=None)
    means = np.random.default_rng(seed).uniform(0.1, 1, (2, end.configuration.particles)).astype(np.float32)
    ensemble = replace(
        end.dynamics,
        particle_times=np.array([0.5, 2.0]),
        displacement_mean=means,
        displacements=None,
        seeds=np.arange(draws),
    )
    facts = end.facts.model_copy(update={"start": f"configuration {bare.fingerprint}"})
    return replace(end, name=f"further-{seed}", configuration=bare, ensemble=ensemble, facts=facts)


def test_further_draws_of_ends_add_times(samples: list[Sample], ends: Path) -> None:
    known = read_dataset(ends)
    further = [further_draws(end, 8, seed) for seed, end in enumerate(known)]
    found = group_samples([*further, *samples, *known], of_times(0.5, 2.0))
    assert [len(one.ends) for one in found] == [DRAWS] * 4
    for one in found:
        for end in one.ends:
            assert end.first.origin == one.first.configuration.fingerprint
            mine = next(other for other in further if other in end.samples)
            # The structure is that of the end, the labels are those of more draws, also where the end has one.
            assert end.first.configuration.inherent_positions is not None
            np.testing.assert_array_equal(end.labels([0.5, 2.0]), mine.dynamics.displacement_mean.T)
            assert end.draws([0.5, 2.0]) == 8
    # They are learned from, but not by the fold of the configuration where the draw began.
    plain = train_predictor(samples, of_times(0.5, 2.0), Silent())
    of_first = [one for one in known if one.origin == samples[0].configuration.fingerprint]
    data = [*samples, *of_first, *further[: len(of_first)]]
    assert known[: len(of_first)] == of_first
    both = train_predictor(data, of_times(0.5, 2.0), Silent())
    fold = next(fold for fold in both.folds if 0 in fold)
    for index in range(4):
        same = np.array_equal(both.unseen[0][index], plain.unseen[0][index])
        assert same == (index in fold)


def test_further_draws_know_whose_end_they_start_from(samples: list[Sample], ends: Path, tmp_path: Path) -> None:
    known = read_dataset(ends)[:DRAWS]
    again = {"start_from": str(written(known, tmp_path / "ends")), "as_given": True}
    changes = {"equilibration": again, "configurations": DRAWS, "draws": 1, "keep_displacements": False}
    run_campaign(check_settings(CAMPAIGN | changes, Campaign, "campaign"), tmp_path / "further", Silent(), 2)
    further = read_dataset(tmp_path / "further")
    assert [one.facts.end_of for one in further] == [end.origin for end in known]
    # With the ends they are left out where these are; without them nobody knows what to leave out.
    found = group_samples([*samples, *known, *further], of_times(0.5, 2.0))
    assert [len(one.ends) for one in found] == [DRAWS, 0, 0, 0]
    with pytest.raises(DatasetError, match="has further draws of the end of a draw, and that end is not in the data"):
        train_predictor([*samples, *further], of_times(0.5, 2.0), Silent())
    for refused in (lambda: refuse_ends(further), lambda: score_baselines(further, (), 2, Silent())):
        with pytest.raises(DatasetError, match="ends of draws"):
            refused()


def test_times_may_come_from_further_draws_where_no_recipe_names_them(samples: list[Sample]) -> None:
    """Two temperatures with as many times, of which one has them in two samples of each configuration."""
    hot = [replace(one, facts=one.facts.model_copy(update={"temperature": 0.9})) for one in samples[2:]]
    late = [replace(one, ensemble=at_times(one, 2.0)) for one in samples[:2]]
    early = [replace(one, name=f"early-{n}", ensemble=at_times(one, 0.5)) for n, one in enumerate(samples[:2])]
    open_recipe = check_settings({"descriptors": SMALL, "left_out": 1}, Recipe, "recipe")
    assert len(group_samples([*late, *early, *hot], open_recipe)) == 4


def at_times(sample: Sample, time: float) -> Ensemble:
    known = sample.dynamics
    place = int(np.flatnonzero(np.isclose(known.particle_times, time))[0])
    rows = {"particle_times": known.particle_times[[place]], "displacement_mean": known.displacement_mean[[place]]}
    return replace(known, displacements=None, **rows)


def test_weights_of_labels_grow_with_their_draws() -> None:
    weights = [weight_of(draws) for draws in (1, 8, 32, 1000)]
    assert weights == sorted(weights)
    assert weights[2] == 0.5
    assert weight_of(0) == 1


def test_an_end_of_further_draws_of_an_end_is_refused(samples: list[Sample], ends: Path) -> None:
    end = read_dataset(ends)[0]
    start = f"end of a draw of configuration {end.configuration.fingerprint}"
    moved = replace(end.configuration, positions=wrap(end.configuration.positions[::-1] + 0.1, end.configuration.box))
    last = replace(end, name="last", configuration=moved, facts=end.facts.model_copy(update={"start": start}))
    with pytest.raises(DatasetError, match="of a configuration that is an end itself"):
        train_predictor([*samples, end, last], recipe(), Silent())


def test_ends_count_once(samples: list[Sample], ends: Path) -> None:
    one = read_dataset(ends)[0]
    shifted = replace(one.configuration, positions=wrap(one.configuration.positions + 0.3, one.configuration.box))
    copy = replace(one, name="copy", configuration=replace(shifted, inherent_positions=shifted.positions))
    with pytest.raises(DatasetError, match="is a copy of"):
        train_predictor([*samples, one, copy], recipe(), Silent())


def test_ends_have_one_time(samples: list[Sample], ends: Path) -> None:
    with pytest.raises(DatasetError, match=r"has propensities at t = 2; the model learns t = 0\.5, 2"):
        train_predictor([*samples, *read_dataset(ends)], of_times(0.5, 2.0), Silent())


def test_ends_are_not_scored(samples: list[Sample], ends: Path) -> None:
    predictor = train_predictor(samples, recipe(), Silent()).predictor
    further = read_dataset(ends)[:1]
    with pytest.raises(DatasetError, match="are ends of draws"):
        as_predictions(predictor, further, [], 2.0)
    with pytest.raises(DatasetError, match="ends of draws are not scored"):
        score_baselines(further, (), 2, Silent())


def test_ends_without_their_beginning_are_refused(samples: list[Sample], ends: Path) -> None:
    with pytest.raises(DatasetError, match="end of a draw of a configuration that is not in the data"):
        train_predictor([*samples[:3], *read_dataset(ends)], recipe(), Silent())


def test_as_typed(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "ends"
    done = CliRunner().invoke(app, ["ends", str(dataset), "--out", str(out), "--draws", "1"])
    assert done.exit_code == 0, done.output
    assert "4 configurations written" in done.stdout
    path = tmp_path / "own.toml"
    path.write_text(
        'name = "own"\nreads = "inherent"\ndescriptors = { reach = 2.8, degrees = [2, 4], generations = 2 }\n'
        "[[targets]]\ntemperature = 0.8\ntimes = [2.0]\n"
    )
    done = CliRunner().invoke(app, ["train", str(path), str(dataset), str(out), "--out", str(tmp_path / "models")])
    assert done.exit_code == 0, done.output
    # What the model reads was found for the ends, too.
    assert all(one.configuration.inherent_positions is not None for one in read_dataset(out))
    assert (tmp_path / "models" / "own.h5").exists()


def test_moments_stand_for_the_particles() -> None:
    random = np.random.default_rng(8)
    sets = [(random.normal(2, 3, (200, 4)), random.normal(5, 1, (200, 2))) for _ in range(6)]
    for number, (x, y) in enumerate(sets):
        y += x @ random.normal(0, 0.1, (4, 2)) + number
    temperatures = [0.5, 0.5, 0.5, 0.6, 0.6, 0.6]
    columns, targets = [x for x, _ in sets], [y for _, y in sets]
    # A copy of a configuration's particles as moments counts as much as the particles themselves.
    weights = [1.0, 0.0, 0.5, 2.0, 0.3, 0.0]
    further = [Moments.of(x, y).weighted(w) if w else None for (x, y), w in zip(sets, weights, strict=True)]
    fit = TemperatureRidge.fit(temperatures, columns, targets, np.ones(4), penalties=[0.1], further=further)
    z = [
        np.concatenate([standard := fit.level.standardised(x, t), fit.level.scaled(t) * standard], 1)
        for x, t in zip(columns, temperatures, strict=True)
    ]
    units = [fit.level.units(y, t) for y, t in zip(targets, temperatures, strict=True)]
    by = np.concatenate([np.full(200, 1 + w) for w in weights])
    a, b = np.concatenate(z), np.concatenate(units)
    a_mean, b_mean = np.average(a, 0, by), np.average(b, 0, by)
    matrix = (a - a_mean).T @ (by[:, None] * (a - a_mean)) / by.sum()
    spread = np.sqrt(np.diag(matrix))
    matrix = matrix / np.outer(spread, spread) + 0.1 * np.eye(8)
    expected = np.linalg.solve(matrix, (a - a_mean).T @ (by[:, None] * (b - b_mean)) / by.sum() / spread[:, None])
    np.testing.assert_allclose(
        np.concatenate([fit.weights, fit.tilt]), expected / spread[:, None], rtol=1e-4, atol=1e-6
    )
