"""The comparison with published curves, and the tables that hold them."""

import csv
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glassformer.core.errors import DatasetError
from glassformer.core.mixture import shipped_mixture
from glassformer.dataset.sample import Sample
from glassformer.evaluate.published import read_published
from glassformer.report.comparison import compare
from tests.conftest import synthetic_sample


@pytest.fixture
def samples() -> list[Sample]:
    return [synthetic_sample(index, point) for point in ("T0.50_P1.55", "T0.56_P0.17") for index in range(2)]


@pytest.fixture
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def rows(path: Path) -> dict[str, np.ndarray]:
    with path.open() as stream:
        names, *lines = csv.reader(stream)
    return dict(zip(names, np.array(lines, float).T, strict=True))


def published(samples: list[Sample], folder: Path, shift: float) -> None:
    """A table in which the samples' mean lies `shift` standard deviations above, at each of its times."""
    folder.mkdir(exist_ok=True)
    mean = np.mean([sample.ensemble.msd.mean(0) for sample in samples], 0)
    spread = 0.1 * mean
    table = np.column_stack([samples[0].ensemble.times, mean[:, 0] - shift * spread[:, 0], spread[:, 0],
                             mean[:, 1] + shift * spread[:, 1], spread[:, 1]])  # fmt: skip
    header = "# a comment\ntime,msd_a_mean,msd_a_std,msd_b_mean,msd_b_std\n"
    text = "\n".join(",".join(f"{value:.12g}" for value in row) for row in table)
    (folder / f"{samples[0].facts.state_point}.csv").write_text(header + text)


def test_deviations_are_counted_in_standard_deviations(samples: list[Sample], tmp_path: Path) -> None:
    published(samples[:2], tmp_path / "published", shift=2.5)
    (found,) = compare(samples, tmp_path / "published", tmp_path / "out")
    np.testing.assert_allclose(found.deviation, np.tile([2.5, -2.5], (3, 1)), rtol=1e-9)
    assert found.largest == pytest.approx((2.5, 2.5))
    assert found.runs == 6
    assert found.published_density == 1.148
    assert found.density == pytest.approx(1.2)
    assert found.held_density == 1.5
    table = rows(tmp_path / "out" / "compare" / "T0.50_P1.55.csv")
    np.testing.assert_allclose(table["deviation_b"], -2.5, rtol=1e-6)
    assert (tmp_path / "out" / "compare" / "compare.png").stat().st_size > 1000


@pytest.mark.parametrize(("liquid", "density"), [("kob-andersen-uniform", 1.148), ("kob-andersen", None)])
def test_the_published_density_is_that_of_the_thesis_s_liquid(
    samples: list[Sample], tmp_path: Path, liquid: str, density: float | None
) -> None:
    """The same temperature and pressure, with another cutoff, are another state point."""
    facts = samples[0].facts.model_copy(update={"mixture": shipped_mixture(liquid)})
    others = [replace(sample, facts=facts) for sample in samples[:2]]
    published(others, tmp_path / "published", shift=1)
    (found,) = compare(others, tmp_path / "published", tmp_path / "out")
    assert found.published_density == density


def test_configurations_of_different_times_are_not_averaged(samples: list[Sample], tmp_path: Path) -> None:
    published(samples[:2], tmp_path / "published", shift=1.0)
    other = replace(samples[1].ensemble, times=samples[1].ensemble.times + 1)
    with pytest.raises(DatasetError, match="observed at different times"):
        compare([samples[0], replace(samples[1], ensemble=other)], tmp_path / "published", tmp_path / "out")


def test_tables_that_do_not_fit_are_refused(samples: list[Sample], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no table to compare with"):
        compare(samples, tmp_path, tmp_path / "out")
    path = tmp_path / "T0.50_P1.55.csv"
    for text, message in (
        ("", "is not a table"),
        ("time,msd\n1,2\n", "got the columns 'time', 'msd'"),
        ("time,msd_a_mean,msd_a_std,msd_b_mean,msd_b_std\n1,2,3,4,x\n", "line 2: got msd_b_std = 'x'"),
        ("time,msd_a_mean,msd_a_std,msd_b_mean,msd_b_std\n77,2,3,4,5\n", "no time in common"),
    ):
        path.write_text(text)
        with pytest.raises(DatasetError, match=message):
            compare(samples, tmp_path, tmp_path / "out")


def test_the_thesis_s_tables_can_be_read(reference_data: Path) -> None:
    found = read_published(reference_data / "thesis_msd" / "T0.44_P2.93.csv")
    assert len(found["time"]) == 200
    assert found["msd_a_mean"][0] == pytest.approx(3.30895e-05)


NAMES = "time,msd_a_mean,msd_a_std,msd_b_mean,msd_b_std"


@pytest.mark.parametrize(
    "data",
    [
        f"\ufeff{NAMES}\n0.5,1,2,3,4\n".encode(),
        f"{NAMES}\n0.5,1,2,3,4\n".encode("utf-16"),
        f"{NAMES.replace(',', ', ')}\n0.5, 1, 2, 3, 4\n".encode(),
        f"{NAMES}\r\n0.5,1,2,3,4\r\n".encode(),
        f"{NAMES}\r0.5,1,2,3,4\r".encode(),
        (",".join(f'"{name}"' for name in NAMES.split(",")) + '\n"0.5","1","2","3","4"\n').encode(),
        f"{NAMES},\n0.5,1,2,3,4,\n,,,,,\n".encode(),
        f"\n# a comment\n  # another\n\n{NAMES}\n\n0.5,1,2,3,4\n   \n# the end\n".encode(),
        f'"# a comment, quoted"\n{NAMES}\n0.5,1,2,3,4\n'.encode(),
        f"# \xc5ngstr\xf6m\n{NAMES}\n0.5,1,2,3,4\n".encode("latin-1"),
        f"{NAMES.replace(',', ';')}\n0,5;1;2;3,0;4\n".encode(),
        f"{NAMES.replace(',', chr(9))}\n0.5\t1\t2\t3\t4\n".encode(),
        f"{NAMES},remark\n0.5,1,2,3,4,good\n".encode(),
    ],
)
def test_a_published_table_is_read_as_a_spreadsheet_may_have_saved_it(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    found = read_published(tmp_path / "t.csv")
    assert {name: values.tolist() for name, values in found.items()} == {
        "time": [0.5], "msd_a_mean": [1], "msd_a_std": [2], "msd_b_mean": [3], "msd_b_std": [4],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{NAMES}x\n1,2,3,4,5\n", "got the columns 'time', .*'msd_b_stdx'"),
        (f"{NAMES.upper()}\n1,2,3,4,5\n", "got the columns 'TIME'"),
        (f"{NAMES}\n1,2,3,4\n", "line 2: got 4 values, '1,2,3,4'"),
        (f"# c\n{NAMES}\n1,2,3,4,nan\n", "line 3: got msd_b_std = 'nan'"),
        (f"{NAMES}\n1,2,,4,5\n", "line 2: got msd_a_std = ''"),
        (f"{NAMES}\n", "no line of numbers"),
        (f"{NAMES},time\n1,2,3,4,5,6\n", "has two columns time"),
        ("# nothing\n", "it is empty"),
    ],
)
def test_what_was_found_is_shown_as_it_is(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_published(tmp_path / "t.csv")
    with pytest.raises(DatasetError, match="there is no file"):
        read_published(tmp_path / "missing.csv")


@pytest.mark.usefixtures("no_warnings")
def test_a_published_table_may_start_at_time_0_and_needs_spreads(samples: list[Sample], tmp_path: Path) -> None:
    published(samples[:2], tmp_path, shift=1.0)
    path = tmp_path / "T0.50_P1.55.csv"
    whole = path.read_text()
    path.write_text(whole + "\n0,0,0,0,0\n")
    (found,) = compare(samples, tmp_path, tmp_path / "out")
    assert found.times.tolist() == [0.5, 1.0, 2.0]
    path.write_text(f"{NAMES}\n0.5,1,0,1,1\n")
    with pytest.raises(DatasetError, match=r"a standard deviation at t = 0\.5 is not above 0"):
        compare(samples, tmp_path, tmp_path / "out")
