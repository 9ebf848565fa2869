"""Names of files and folders, and draws as values."""

import ast
from pathlib import Path

import pytest

import glassformer
from glassformer.core.layout import (
    AnalysisFolder,
    DatasetFolder,
    Draw,
    OutFolder,
    TrainingFolder,
    configuration_of,
    names_state_point,
    state_point_of,
    unfinished_folder,
)

OUT = OutFolder(Path("out"))


@pytest.mark.parametrize("name", ["T0.50_P1.55/c0003", "T0.50_P1.55/a#b", "T0.50_P1.55/a#1"])
def test_a_draw_is_read_as_it_is_written(name: str) -> None:
    draw = Draw(name, 12)
    assert Draw.read(str(draw)) == draw
    assert str(draw) == f"{name}#12"
    assert configuration_of(str(draw)) == name
    assert state_point_of(draw.configuration) == "T0.50_P1.55"


@pytest.mark.parametrize("name", ["T0.50_P1.55/c0003", "T0.50_P1.55/a#b", "T0.50_P1.55/#", "x"])
def test_a_configuration_is_no_draw(name: str) -> None:
    assert Draw.read(name) is None
    assert configuration_of(name) == name


def test_a_state_point_is_named_by_whole_parts_of_its_label() -> None:
    labels = ["T0.44_P2.93", "T0.441_P2.91", "T0.44", "T0.4"]
    assert [label for label in labels if names_state_point("T0.44", label)] == ["T0.44_P2.93", "T0.44"]
    assert [label for label in labels if names_state_point("T0.441_P2.91", label)] == ["T0.441_P2.91"]


def test_draws_are_in_the_order_of_their_numbers() -> None:
    assert sorted([Draw("c", 10), Draw("c", 9), Draw("b", 11)]) == [Draw("b", 11), Draw("c", 9), Draw("c", 10)]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (DatasetFolder(OUT.data).campaign, "out/data/campaign.json"),
        (DatasetFolder(OUT.cooling).lock, "out/cooling/.lock"),
        (DatasetFolder(OUT.data).sample("T0.50_P1.55", 3), "out/data/T0.50_P1.55/c0003.h5"),
        (unfinished_folder(Path("data/T/c0003.h5")), "data/T/.c0003.unfinished"),
        (OUT.training().run, "out/training/run.json"),
        (OUT.training("four").result, "out/training/four/result.json"),
        (OUT.training().predictions, "out/training/predictions.h5"),
        (OUT.training().fold(2).model, "out/training/fold-2/model.safetensors"),
        (OUT.propensity("T0.50_P1.55").model, "out/propensity/T0.50_P1.55/model.h5"),
        (OUT.propensity("T0.50_P1.55").held_out, "out/propensity/T0.50_P1.55/held-out.h5"),
        (OUT.training().fold(2).history, "out/training/fold-2/history.json"),
        (OUT.training("four").fold(0).test, "out/training/four/fold-0/test.h5"),
        (OUT.report.page, "out/report/index.html"),
        (OUT.report.animation, "out/report/figures/animation.gif"),
        (OUT.results, "out/results.json"),
        (AnalysisFolder(Path("a")).table("msd", "../T"), "a/msd/_T.csv"),
        (AnalysisFolder(Path("a")).fits, "a/fits.csv"),
    ],
)
def test_names_do_not_change(path: Path, expected: str) -> None:
    assert path == Path(expected)


def test_folds_are_counted_and_not_spelled(tmp_path: Path) -> None:
    for name in ("fold-10", "fold-2", "fold-x", "fold-", "other"):
        (tmp_path / name).mkdir()
    assert [fold.path.name for fold in TrainingFolder(tmp_path).folds()] == ["fold-2", "fold-10"]
    assert TrainingFolder(tmp_path / "absent").folds() == []


def test_a_model_of_an_older_version_is_found_by_its_name(tmp_path: Path) -> None:
    fold = TrainingFolder(tmp_path).fold(0)
    fold.path.mkdir()
    (fold.path / "model.pt").touch()
    assert fold.model.name == "model.pt"
    (fold.path / "model.safetensors").touch()
    assert fold.model.name == "model.safetensors"


def test_no_other_module_names_these_files() -> None:
    """Of the modules of the package, in code: docstrings may show them."""
    names = {"campaign.json", "run.json", "history.json", "result.json", "results.json", "predictions.h5", "test.h5",
             "model.safetensors", "model.pt", "index.html", "fits.csv", "animation.gif", ".lock"}  # fmt: skip
    package = Path(glassformer.__file__).parent
    found = {
        f"{path.relative_to(package)}: {node.value}"
        for path in package.rglob("*.py")
        if path != package / "core" / "layout.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in names
    }
    assert not found


def test_what_make_test_fast_leaves_out_exists() -> None:
    root = Path(__file__).parents[2]
    for name in (root / "tests" / "slower.txt").read_text().split():
        file, _, test = name.partition("::")
        assert f"def {test}" in (root / file).read_text(), name
