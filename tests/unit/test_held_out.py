"""Held-out propensities: their files, scores, figures and the section of the report."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import EllipseCollection

from glassformer.core.errors import DatasetError, PredictionError
from glassformer.core.layout import OutFolder
from glassformer.dataset.held_out import HeldOut, read_held_out, write_held_out
from glassformer.dataset.sample import Sample
from glassformer.evaluate.held_out import held_out_rows
from glassformer.evaluate.scores import pearson
from glassformer.observables.descriptors import Descriptors
from glassformer.report.build import build_report
from glassformer.report.naming import titles_of
from glassformer.report.propensity_figures import (
    DEVIATION_COLOURS,
    SLAB,
    SPREAD,
    correlation_figure,
    map_figure,
    standardised,
    typical,
)
from glassformer.report.style import STYLE
from glassformer.train.held_out import one_number
from glassformer.train.propensity import Item, Trained
from tests.conftest import edited
from tests.unit.test_report_words import COLD, HOT, dataset, predictions, settings, text_of, written

NAMES = ("local density", "inherent energy")


def held_out(samples: list[Sample], noise: float = 1.0, times: tuple[float, ...] = (1.0, 2.0)) -> HeldOut:
    """What a fit with `noise` predicts of `samples`, all at one state point; the baselines have four times of it."""
    random = np.random.default_rng(len(samples))
    species = np.concatenate([one.configuration.species for one in samples])
    label = 0.5 + 0.3 * species[:, None] + 0.1 * random.normal(size=(len(species), len(times)))

    def guess(size: float) -> Any:
        return (label + 0.1 * size * random.normal(size=label.shape)).astype(np.float32)

    return HeldOut(
        state_point=samples[0].facts.state_point, identity="i", code_version="v",
        temperature=samples[0].facts.temperature, draws=3, left_out=2,
        configurations=tuple(one.identifier for one in samples),
        fingerprints=tuple(one.configuration.fingerprint for one in samples),
        baseline_names=NAMES, species_names=("A", "B"), times=np.array(times),
        particles=np.array([one.configuration.particles for one in samples]),
        box=np.stack([one.configuration.box for one in samples]),
        positions=np.concatenate([one.configuration.positions for one in samples]).astype(np.float32),
        species=species, label=label.astype(np.float32), prediction=guess(noise),
        baselines=np.stack([guess(4 * noise), guess(8 * noise)], -1),
        ceilings=np.full((len(samples), 2, len(times)), 0.9),
    )  # fmt: skip


def of(point: str) -> list[Sample]:
    return dataset([point])


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = held_out(of(COLD))
    write_held_out(tmp_path / "held-out.h5", made)
    found = read_held_out(tmp_path / "held-out.h5")
    for name, value in vars(made).items():
        if isinstance(value, np.ndarray):
            assert getattr(found, name).dtype == value.dtype
            np.testing.assert_array_equal(getattr(found, name), value)
        else:
            assert getattr(found, name) == value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"configurations": ("a",)}, "'configurations' has 1 entries; expected 4"),
        ({"baseline_names": ("a", "b", "c")}, "'baseline_names' has 3 entries; expected 2"),
        ({"particles": np.array([100, 100, 100, 99])}, "'particles' adds up to 399; the arrays of particles have 400"),
        ({"species": np.full(400, 2, np.uint8)}, "got species number 2; expected less than 2"),
        ({"label": np.full((400, 2), np.nan, np.float32)}, "label"),
        ({"prediction": np.zeros((400, 3), np.float32)}, "prediction"),
    ],
)
def test_what_does_not_fit_together_is_not_written(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match=message):
        write_held_out(tmp_path / "held-out.h5", replace(held_out(of(COLD)), **change))
    assert not (tmp_path / "held-out.h5").exists()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def of_another_kind(path: Path) -> None:
    with edited(path) as file:
        file.attrs["format"] = "glassformer predictions"


def without_an_array(path: Path) -> None:
    with edited(path) as file:
        del file["baselines"]


def without_a_text(path: Path) -> None:
    with edited(path) as file:
        del file["fingerprints"]


@pytest.mark.parametrize("damage", [truncated, of_another_kind, without_an_array, without_a_text])
def test_a_damaged_file_is_named(damage: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "held-out.h5"
    write_held_out(path, held_out(of(COLD)))
    damage(path)
    with pytest.raises(PredictionError, match=r"held-out\.h5"):
        read_held_out(path)


def test_rows_are_correlations_of_each_configuration() -> None:
    parts = [held_out(of(HOT)), held_out(of(COLD), 0.5)]
    rows = held_out_rows(parts)
    assert [(row.state_point, row.species, row.time) for row in rows] == [
        (point, species, time) for point in (COLD, HOT) for species in "AB" for time in (1.0, 2.0)
    ]
    row, part = rows[1], parts[1]
    for number in range(4):
        where = slice(100 * number, 100 * (number + 1))
        ones = part.species[where] == 0
        label = part.label[where, 1][ones].astype(float)
        assert row.pearson[number] == pytest.approx(pearson(part.prediction[where, 1][ones].astype(float), label))
        expected = pearson(part.baselines[where, 1, 1][ones].astype(float), label)
        assert row.baselines["inherent energy"][number] == pytest.approx(expected)
    assert row.score.pcc_mean == pytest.approx(row.pearson.mean())
    assert row.score.ceiling == pytest.approx(0.9)
    assert row.best == "local density"
    assert row.wins == 4


def test_a_case_is_won_only_above_every_baseline_and_zero() -> None:
    (row, *_) = held_out_rows([held_out(of(COLD), 0.5)])
    better = np.array([0.1, 0.9, 0.9, 0.9])
    assert replace(row, baselines={"one": better - 0.2, "other": np.full(4, 0.2)}, pearson=better).wins == 3
    assert replace(row, baselines={"one": np.full(4, -0.5)}, pearson=np.array([-0.1, 0.1, 0.1, 0.0])).wins == 2


def test_scores_as_json_name_every_configuration() -> None:
    (row, *_) = held_out_rows([held_out(of(COLD))])
    values = json.loads(json.dumps(row.as_json()))
    assert set(values["by_configuration"]) == {f"{COLD}/c000{number}" for number in range(4)}
    one = values["by_configuration"][f"{COLD}/c0002"]
    assert one == {"ridge": row.pearson[2]} | {name: row.baselines[name][2] for name in NAMES}
    assert values["ridge"]["pcc_mean"] == pytest.approx(row.pearson.mean())


def test_values_are_standardised_by_species() -> None:
    species = np.array([0, 0, 1, 1, 2], np.uint8)
    found = standardised(np.array([1, 3, 10, 30, 7], np.float32), species)
    np.testing.assert_allclose(found, [-1, 1, -1, 1, 0])


def test_the_map_shows_the_same_particles_twice_in_one_scale() -> None:
    part = held_out(of(COLD))
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = map_figure(part, 2, 1, 0.423)
    left, right = (axes for axes in figure.axes if axes.get_label() != "<colorbar>")
    assert (left.get_title(), right.get_title()) == ("predicted, Pearson 0.42", "simulated")
    (one,), (other,) = ([c for c in axes.collections if isinstance(c, EllipseCollection)] for axes in (left, right))
    positions = part.positions[200:300]
    assert len(one.get_offsets()) == (positions[:, 2] < SLAB).sum()
    np.testing.assert_array_equal(one.get_offsets(), other.get_offsets())
    assert one.get_clim() == other.get_clim() == (-SPREAD, SPREAD)
    assert one.get_cmap().name == other.get_cmap().name == DEVIATION_COLOURS
    order = [int(np.abs(positions[:, :2] - place).sum(1).argmin()) for place in one.get_offsets()]
    assert (np.diff(positions[order, 2]) >= 0).all()
    for circles, values in ((one, part.prediction), (other, part.label)):
        np.testing.assert_allclose(
            circles.get_array(), standardised(values[200:300, 1], part.species[200:300])[order], rtol=1e-5
        )


def test_the_figure_of_correlations_shows_every_configuration() -> None:
    rows = [row for row in held_out_rows([held_out(of(COLD)), held_out(of(HOT))]) if row.species == "A"]
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = correlation_figure(rows, titles_of(dataset()))
    by_panel = [rows[0], rows[2], rows[1], rows[3]]
    for axes, row in zip(figure.axes, by_panel, strict=True):
        drawn = {str(line.get_label()): line for line in axes.lines}
        np.testing.assert_array_equal(drawn["ridge regression"].get_ydata(), row.pearson)
        for name in NAMES:
            np.testing.assert_array_equal(drawn[name].get_ydata(), row.baselines[name])


def test_the_map_shows_the_median_configuration() -> None:
    (row, *_) = held_out_rows([held_out(of(COLD))])
    assert typical(replace(row, pearson=np.array([0.5, 0.1, 0.3, 0.4]))) == 2
    assert typical(replace(row, pearson=np.array([0.5, 0.1, 0.3]))) == 2


def report(folder: Path, parts: list[HeldOut]) -> str:
    samples, run = dataset(), settings()
    written(folder, samples, predictions(samples, run), run)
    for part in parts:
        write_held_out(OutFolder(folder).propensity(part.state_point).held_out, part)
    return text_of(build_report(folder))


@pytest.mark.long
def test_the_page_tells_which_particles_will_move(tmp_path: Path) -> None:
    text = report(tmp_path, [held_out(of(COLD), 0.5), held_out(of(HOT), 0.5)])
    assert "Does the structure of a liquid tell which particles will move, and how far?" in text
    assert "3 random draws of the velocities from one and the same structure" in text
    assert re.search(r"T = 0\.50, P = 1\.55 1 0\.[89]\d ± 0\.\d\d 0\.90 0\.\d\d \(local density\) 4 of 4", text)
    assert "above that of every one-number baseline in all 16 cases" in text
    assert re.search(
        r"A slab of 2\.5 σ AA through .* that the fit had not seen \(T0\.50_P1\.55/c000\d, T = 0\.50", text
    )
    assert "Small circles: B." in text
    assert "How far will a whole configuration move?" in text
    assert not re.search(r"\bnan\b", text)
    figures = OutFolder(tmp_path).report.figures
    for name in ("propensity-map", "propensity-correlations"):
        assert (figures / f"{name}.png").stat().st_size > 5000
        assert (figures / f"{name}.svg").exists()
    ids = re.findall(r' id="([^"]+)"', OutFolder(tmp_path).report.page.read_text())
    assert len(ids) == len(set(ids))


@pytest.mark.long
def test_what_is_not_won_is_not_claimed(tmp_path: Path) -> None:
    part = held_out(of(COLD), 0.5)
    text = report(tmp_path, [replace(part, baselines=np.stack([part.label] * 2, -1))])
    assert "above that of every one-number baseline in 0 of 8 cases" in text
    assert "0 of 4" in text


def test_a_folder_without_propensities_has_no_such_section(tmp_path: Path) -> None:
    text = report(tmp_path, [])
    assert "Which particles will move?" not in text
    assert "The result" in text
    assert not list(OutFolder(tmp_path).report.figures.glob("propensity*"))


def test_propensities_of_other_data_are_refused(tmp_path: Path) -> None:
    part = held_out(of(COLD))
    with pytest.raises(DatasetError, match=r"held-out\.h5 predicts configurations that are not in .*\nDelete"):
        report(tmp_path, [replace(part, fingerprints=("x",) * 4)])


def test_a_baseline_does_not_see_what_is_left_out() -> None:
    random = np.random.default_rng(3)

    def item(number: int, shift: float = 0.0) -> Item:
        values = random.normal(size=(40, 2)).astype(np.float32)
        species = (np.arange(40) % 4 == 0).astype(np.uint8)
        labels = 1 + 0.1 * values[:, :1] * np.where(species == 0, 1, -1)[:, None] + shift
        table = Descriptors(("inherent.density", "inherent.energy"), values)
        return Item(f"c{number}", 0.5, table, species, labels, np.ones((2, 1)))

    def predicted(items: list[Item]) -> Any:
        predictor: Any = None
        trained = Trained(predictor, tuple(items), ([], []), ((0, 1), (2, 3)))
        return one_number(trained, "inherent.density")[:, 0]

    items = [item(number) for number in range(4)]
    found = predicted(items)
    # Of each species by itself: the sign of the line differs.
    np.testing.assert_allclose(found, np.concatenate([one.labels[:, 0] for one in items]), atol=0.02)
    other = [replace(items[0], labels=3 - items[0].labels), *items[1:]]
    changed = predicted(other) != found
    assert not changed[:80].any()
    assert changed[80:].all()
