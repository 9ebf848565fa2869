"""What differs between a dataset or a training and what is asked for: the keys, by name."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from glassformer.core.campaign import Campaign
from glassformer.core.differences import differences, listed
from glassformer.core.errors import CheckpointError, DatasetError
from glassformer.core.progress import Silent
from glassformer.core.run import Run
from glassformer.core.settings import check_settings
from glassformer.dataset.folder import read_dataset
from glassformer.dataset.index import Index
from glassformer.dataset.sample import read_sample, write_sample
from glassformer.simulate.campaign import draws_there, tasks
from glassformer.train.training import train_run
from tests.conftest import TINY_CAMPAIGN, TINY_RUN


def test_keys_are_named_in_tables_and_lists() -> None:
    old = {"a": 1, "t": {"x": [1, 2], "y": None}, "l": [{"k": 1}, {"k": 2}], "s": True, "only": "old"}
    new = {"a": 1, "t": {"x": [1, 3], "y": 2.5}, "l": [{"k": 1}, {"k": 3}], "s": False}
    assert differences(old, new, "one", "two") == [
        "t.x: [1, 2] in one, [1, 3] in two",
        "t.y: not set in one, 2.5 in two",
        "l[1].k: 2 in one, 3 in two",
        "s: true in one, false in two",
        'only: "old" in one, not set in two',
    ]
    assert differences({"l": [{"k": 1}]}, {"l": []}, "one", "two") == ["l: [{k = 1}] in one, [] in two"]
    assert differences(old, old, "one", "two") == []


def test_a_long_list_is_cut() -> None:
    assert listed([str(number) for number in range(9)]) == "0; 1; 2; 3; 4; 5; and 3 more"


def refusal(dataset: Path, **changes: object) -> str:
    other = check_settings(TINY_CAMPAIGN | changes, Campaign, "other")
    (first, *_) = tasks(other, dataset)
    with pytest.raises(DatasetError, match="was made with other parameters") as caught:
        draws_there(first, Index(dataset))
    assert "hash" not in caught.value.problem
    return caught.value.problem


EQUILIBRATION = TINY_CAMPAIGN["equilibration"]
POINTS = TINY_CAMPAIGN["state_points"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"time_step": 0.0025}, "time_step: 0.005 in the dataset, 0.0025 in this campaign"),
        ({"seed": 12}, "seed: 11 in the dataset, 12 in this campaign"),
        ({"cutoff": "scaled"}, 'cutoff: "uniform" in the dataset, "scaled" in this campaign'),
        ({"particle_times": [0.5]}, "particle_times: [1.065] in the dataset, [0.5] in this campaign"),
        (
            {"equilibration": EQUILIBRATION | {"damping_time": 1.0}},  # type: ignore[operator]
            "equilibration.damping_time: 0.5 in the dataset, 1.0 in this campaign",
        ),
        (
            {"state_points": [point | {"hold_time": 0.75} for point in POINTS]},  # type: ignore[attr-defined]
            "state_points.hold_time: 0.5 in the dataset, 0.75 in this campaign",
        ),
    ],
)
def test_what_differs_from_the_dataset_s_campaign_is_named(
    changes: dict[str, object], text: str, tiny_dataset: Path
) -> None:
    assert text in refusal(tiny_dataset, **changes)
    assert refusal(tiny_dataset, **changes).count(" in the dataset") == 1


def test_without_a_campaign_file_the_sample_tells(tiny_dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_dataset, tmp_path / "data", ignore=shutil.ignore_patterns("campaign.json"))
    assert "seed: 11 in the dataset, 12 in this campaign" in refusal(tmp_path / "data", seed=12)
    assert "time_step: 0.005 in the dataset, 0.0025" in refusal(tmp_path / "data", time_step=0.0025)
    # What no sample records is not guessed at.
    assert "glassformer: " in refusal(tmp_path / "data", equilibration=EQUILIBRATION | {"damping_time": 1.0})  # type: ignore[operator]


def test_another_engine_is_named(tiny_dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_dataset, tmp_path / "data")
    for path in (tmp_path / "data").glob("*/*.h5"):
        sample = read_sample(path)
        facts = sample.facts.model_copy(update={"engine": "LAMMPS of old", "parameter_hash": "0"})
        write_sample(path, replace(sample, facts=facts))
    assert "engine: LAMMPS of old in the dataset, LAMMPS" in refusal(tmp_path / "data")


def test_what_differs_from_the_run_in_the_folder_is_named(tiny_dataset: Path, tmp_path: Path) -> None:
    samples = read_dataset(tiny_dataset)
    short = TINY_RUN | {"training": {"epochs": 1, "batch_size": 2}}
    run = check_settings(short, Run, "run")
    train_run(run, samples, tmp_path, Silent(), 1)
    other = check_settings(short | {"seed": 4}, Run, "other")
    with pytest.raises(CheckpointError, match=r"settings or data: seed: 3 in that run, 4 in this one\n"):
        train_run(other, samples, tmp_path, Silent(), 1)
    with pytest.raises(CheckpointError, match="settings are the same, but the data, their labels"):
        train_run(run, samples[:4], tmp_path, Silent(), 1)
    # As an editor may save it.
    text = (tmp_path / "run.json").read_text()
    (tmp_path / "run.json").write_bytes(text.encode("utf-16"))
    train_run(run, samples, tmp_path, Silent(), 1)
