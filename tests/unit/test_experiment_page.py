"""The experiments' page: what it says follows from the results and the data."""

import html
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassformer.core.json_files import write_json
from glassformer.core.run import Run
from glassformer.dataset.folder import data_hash
from glassformer.dataset.predictions import write_predictions
from glassformer.dataset.sample import Sample, write_sample
from glassformer.evaluate.audit import audit_rows
from glassformer.evaluate.experiments import NetworkTest, score_rows
from glassformer.evaluate.liquid import Liquid
from glassformer.evaluate.results import ExperimentResult, write_result
from glassformer.report.experiments import build_experiments_report
from tests.unit.test_report_words import COLD, HOT, dataset, predictions, settings, text_of

pytestmark = pytest.mark.long

RUN = settings(targets={"times": [1.0]})


def experiment(
    folder: Path, samples: Sequence[Sample], name: str, trained: Sequence[str], run: Run = RUN, **more: Any
) -> ExperimentResult:
    """Write what one experiment leaves behind, and return its result."""
    target = folder / "training" / name
    made = predictions(samples, run)
    for fold in range(2):
        write_predictions(target / f"fold-{fold}" / "test.h5", made)
        lines = [{"epoch": n, "train_loss": 1 / (n + 1), "val_mae": 0.5, "kept": n == 1} for n in range(2)]
        write_json(target / f"fold-{fold}" / "history.json", {"epochs": lines})
    write_json(target / "run.json", {"parameter_hash": "h"} | run.model_dump(mode="json"))
    liquid = Liquid.of(samples, made.times)
    points = tuple(sorted({sample.facts.state_point for sample in samples}))
    result = ExperimentResult(
        name=name, group="four", title="a network", compare="", network=run.network.name, head=run.network.head,
        parameters=7, folds=2, trained_on=tuple(trained), tested_on=points, training_configurations=2,
        parameter_hash="h", identity="i", data=data_hash(samples), code_version="c",
        rows=score_rows([NetworkTest(made, made.label)], trained, liquid), audit=(),
    )  # fmt: skip
    if run.targets.draws == "each":
        names = tuple(f"{one}#0" for one in made.configurations)
        audit = audit_rows("prediction", [replace(made, configurations=names)], liquid)
        audit += audit_rows("state_point_mean", [replace(made, configurations=names)], liquid)
        result = replace(result, rows=(), audit=tuple(audit))
    result = replace(result, **more)
    write_result(target / "result.json", result)
    return result


def page(folder: Path, samples: Sequence[Sample], names: Sequence[str]) -> str:
    """Write the data and build the page; return its words."""
    for sample in samples:
        write_sample(folder / "data" / f"{sample.identifier}.h5", sample)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = text_of(build_experiments_report(folder, names))
    for wrong in (r"\bnan\b", "config- ?urations", r"\b1 (configurations|draws|state points)", "a particle while"):
        assert not re.search(wrong, text)
    return text


def test_the_page_says_what_was_trained_and_tested(tmp_path: Path) -> None:
    samples = dataset()
    experiment(tmp_path, samples, "cold", [COLD])
    experiment(tmp_path, samples, "both", [COLD, HOT], training_configurations=4)
    text = page(tmp_path, samples, ["cold", "both"])
    assert "Dynamic graph networks are trained on one state point or 2 state points together" in text
    assert "and on state points that they had not seen" in text
    assert "Squares: state points that were not." in text
    assert "there are fewer training steps per epoch, too" in text
    assert "Open: not trained on." in text
    assert "T = 0.50, 0.56" in text
    assert "It is told neither temperature nor density" in text
    assert "Variations" not in text
    assert "as the thesis did" not in text
    assert "All configurations that were examined were shown to be in equilibrium." in text
    assert "about −0.2" not in text


def test_nothing_is_said_of_state_points_elsewhere_if_there_are_none(tmp_path: Path) -> None:
    samples = dataset([COLD], 3, 1)
    experiment(tmp_path, samples, "cold", [COLD])
    text = page(tmp_path, samples, ["cold"])
    assert "3 configurations of the Kob-Andersen mixture (N = 100, 80 % of the particles A) at one state point" in text
    assert "along one random draw of the velocities" in text
    assert "Squares" not in text
    assert "Open: not trained on" not in text
    assert "* not trained on" not in text
    assert "fewer training steps" not in text
    assert "Runs of one configuration are not independent" not in text


@pytest.mark.parametrize("leak", [{}, {"inputs": ["species", "velocity"]}, {"inputs": ["species", "position"]}])
def test_the_audit_speaks_of_the_leaks_that_were_measured(leak: dict[str, Any], tmp_path: Path) -> None:
    samples = dataset()
    run = settings(targets={"times": [1.0], "draws": "each"}, network=leak)
    experiment(tmp_path, samples, "audit", [COLD, HOT], run, group="audit")
    text = page(tmp_path, samples, ["audit"])
    assert "Audit: what a leak is worth" in text
    assert ("Velocities tell the temperature." in text) is ("velocity" in leak.get("inputs", []))
    assert ("Absolute coordinates tell the box" in text) is ("position" in leak.get("inputs", []))
    assert "Split by draw" not in text
    assert "All experiments" not in text


def test_labels_and_titles_are_text_and_nothing_else(tmp_path: Path) -> None:
    strange = [
        replace(one, facts=one.facts.model_copy(update={"state_point": "liquid $x^$"})) for one in dataset([COLD])
    ]
    samples = strange + dataset([HOT])
    experiment(tmp_path, samples, "one", ["liquid $x^$"], title=r"_all $\alpha <b>", group="four")
    text = page(tmp_path, samples, ["one"])
    assert "liquid $x^$" in text
    assert r"_all $\alpha <b>" in text


def test_results_of_state_points_that_are_gone_are_still_shown(tmp_path: Path) -> None:
    """The data have lost a state point since: the result is marked, and named by its labels."""
    samples = dataset()
    experiment(tmp_path, samples, "both", [COLD, HOT])
    text = page(tmp_path, samples[:4], ["both"])
    assert "both†" in text
    assert "T0.56_P0.17" in text


def test_ageing_state_points_are_named(tmp_path: Path) -> None:
    samples = [
        replace(one, facts=one.facts.model_copy(update={"equilibrated": one.facts.state_point == HOT}))
        for one in dataset()
    ]
    experiment(tmp_path, samples, "both", [COLD, HOT])
    text = page(tmp_path, samples, ["both"])
    assert "At T = 0.50, P = 1.55 they are the most: curves there are those of a liquid that may still age." in text


def test_a_particle_head_has_its_column_and_others_have_none(tmp_path: Path) -> None:
    samples = dataset()
    run = settings(targets={"times": [1.0]}, network={"head": "particle"})
    result = experiment(tmp_path, samples, "particle", [COLD, HOT], run)
    assert np.isfinite(result.rows[0].pearson)
    text = page(tmp_path, samples, ["particle"])
    assert "Pearson, particles" in text
    experiment(tmp_path, samples, "particle", [COLD, HOT])
    assert "Pearson, particles" not in page(tmp_path, samples, ["particle"])
    assert html.unescape("n/a %") not in text
