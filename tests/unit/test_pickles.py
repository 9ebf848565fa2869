"""Pickles: DeepMind's layout is read, and nothing that a pickle names is run."""

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassformer.core.errors import DatasetError
from glassformer.dataset.readers.pickles import PickledArray, RefusedError, load_arrays
from glassformer.dataset.readers.read import read_file

EDGE = (100 / 1.2) ** (1 / 3)


def content(**changes: Any) -> dict[str, Any]:
    random = np.random.default_rng(0)
    start = random.uniform(0, EDGE, (100, 3))
    moved = random.normal(0, 0.3, (3, 4, 100, 3))
    return {
        "positions": start,
        "box": np.full(3, EDGE),
        "types": (np.arange(100) >= 80).astype(np.int32),
        "time": [0.0, 0.003, 12.5, 130.0, 4120.0],
        # Not in their order, as in the data set.
        "time_indices": [2, 4, 3],
        "metadata": {"temperature": 0.44, "pressure": 2.93},
        "trajectory_target_positions": [[start + one for one in at] for at in moved],
    } | changes


def written(path: Path, found: Any, protocol: int = 3) -> Path:
    path.write_bytes(pickle.dumps(found, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_structure_and_draws_are_read_in_the_order_of_their_times(protocol: int, tmp_path: Path) -> None:
    made = content()
    found = read_file(written(tmp_path / "a.pickle", made, protocol))
    np.testing.assert_allclose(found.first.positions, made["positions"])
    assert found.species.tolist() == made["types"].tolist()
    assert found.draws is not None
    assert found.draws.times is not None
    assert found.draws.times.tolist() == [12.5, 130.0, 4120.0]
    for number, index in enumerate([0, 2, 1]):
        ends = np.array(made["trajectory_target_positions"][index])
        np.testing.assert_array_equal(found.draws.displacements[:, number], ends - made["positions"])
    as_arrays = {name: np.array(made[name]) for name in ("time", "time_indices")}
    again = read_file(written(tmp_path / "b.pickle", made | as_arrays, protocol)).draws
    assert again is not None
    np.testing.assert_array_equal(again.displacements, found.draws.displacements)
    assert (found.origin.mixture, found.origin.temperature) == ("kob-andersen", 0.44)


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", ">i4", "|u1", "?"])
@pytest.mark.parametrize("protocol", range(6))
def test_arrays_keep_values_shape_and_order(dtype: str, protocol: int) -> None:
    for array in (np.arange(6).reshape(2, 3), np.arange(6).reshape(2, 3, order="F"), np.arange(0), np.array(1)):
        given = array.astype(dtype)
        found = load_arrays(pickle.dumps({"a": given, "b": [given.ravel()[:1].tolist()]}, protocol))["a"]
        assert isinstance(found, PickledArray)
        assert found.value is not None
        assert found.value.dtype == given.dtype
        np.testing.assert_array_equal(found.value, given)
    assert load_arrays(pickle.dumps(np.float64(2.5), protocol)) == 2.5


class Runs:
    """Calls `function` when it is loaded."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


class OfItsOwn(np.ndarray):
    pass


def hostile(path: Path) -> dict[str, Any]:
    """Return objects that a pickle may not hold, most of them making the file `path` when they are loaded."""
    import os
    import subprocess

    return {
        "posix.system": Runs(os.system, f"touch {path}"),
        "subprocess.check_output": Runs(subprocess.check_output, ["touch", str(path)]),
        "builtins.eval": Runs(eval, f"open({str(path)!r}, 'w')"),
        "builtins.getattr": Runs(getattr, str(path), "title"),
        "pathlib.PosixPath": path,
        "numpy.load": Runs(np.load, str(path)),
        "an array of type": np.array([{}, None], object),
        "OfItsOwn": np.zeros(3).view(OfItsOwn),
        "an array of type 'V8'": np.zeros(2, [("a", "f8")]),
        "an array of type 'U3'": np.array(["abc"]),
        "an array of type 'M8'": np.array(["2020-01-01"], "M8[D]"),
        "collections.OrderedDict": __import__("collections").OrderedDict(a=1),
    }


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", list(hostile(Path("none"))))
def test_what_a_pickle_may_not_hold_is_refused_by_name_and_not_run(name: str, protocol: int, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    path = written(tmp_path / "a.pickle", content(more=hostile(trace)[name]), protocol)
    with pytest.raises(DatasetError, match="is refused: the pickle asks for") as caught:
        read_file(path)
    # Protocols before 3 call modules as Python 2 does.
    assert name.rpartition(".")[2] in caught.value.problem
    assert not trace.exists()


def test_what_a_program_names_by_hand_is_refused_too() -> None:
    for program in (
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        b"(ibuiltins\neval\n.",
        b"Pabc\n.",
    ):
        with pytest.raises(RefusedError):
            load_arrays(program)


def test_names_that_would_steer_the_terminal_are_not_printed(tmp_path: Path) -> None:
    (tmp_path / "a.pickle").write_bytes(b"\x80\x02cos\n\x1b[31m\n.")
    with pytest.raises(DatasetError, match=r"asks for os\.\?\[31m") as caught:
        read_file(tmp_path / "a.pickle")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "program",
    [
        # A place in memory that would need 64 GB, a text and an array longer than the file, and endless nesting.
        b"\x80\x02Nr\xff\xff\xff\x7f.",
        b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"abc.",
        b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"abc.",
        b"\x80\x02" + b"(" * 1000 + b".",
        b"\x80\x02cnumpy\ndtype\n.",
        b"\x80\x02cnumpy\ndtype\n)R.",
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R}b.",
        b"",
        b"\x80\x02",
    ],
)
def test_damaged_programs_are_errors(program: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.pickle"
    path.write_bytes(program)
    with pytest.raises(DatasetError):
        read_file(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positions": [1, 2]}, "no array 'positions'"),
        ({"positions": np.zeros((100, 2))}, "got positions"),
        ({"positions": np.full((100, 3), np.nan)}, "not finite"),
        ({"types": np.zeros(99, int)}, "got positions"),
        ({"box": np.array([1.0, -1, 1])}, "box edges"),
        ({"time_indices": [2, 4]}, "no time for each of the 3"),
        ({"time_indices": [2, 4, 4]}, "no time for each of the 3"),
        ({"time_indices": [2, 4, 99]}, "no time for each of the 3"),
        ({"time_indices": None}, "no time for each of the 3"),
        ({"time_indices": [1.5, 2.0, 4.0]}, "no time for each of the 3"),
        ({"time_indices": [2, 4, -1]}, "no time for each of the 3"),
        ({"types": np.where(np.arange(100) < 80, 0.4, 1.6)}, "got the type 0.4; expected a whole number"),
        ({"time": ["x"] * 5}, "no time for each of the 3"),
        ({"trajectory_target_positions": 5}, "no list of as many draws"),
        ({"trajectory_target_positions": []}, "no list of as many draws"),
        ({"trajectory_target_positions": [[np.zeros((100, 3))], []]}, "no list of as many draws"),
        ({"trajectory_target_positions": [[[None] * 10_000] * 10_000] * 3}, "draw 0 at time 0 is not an array"),
        ({"trajectory_target_positions": [[None] * 10_000] * 10_000}, "no list of as many draws"),
        ({"trajectory_target_positions": [[np.zeros((99, 3))]] * 3}, "draw 0 at time 0 is not an array"),
        ({"trajectory_target_positions": [[np.full((100, 3), np.inf)]] * 3}, "final positions are not finite"),
    ],
)
def test_strange_contents_are_refused(changes: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises((DatasetError, Exception), match=message) as caught:
        read_file(written(tmp_path / "a.pickle", content(**changes)))
    assert type(caught.value).__module__ == "glassformer.core.errors"


def test_final_positions_in_the_box_are_refused(tmp_path: Path) -> None:
    made = content()
    targets = [[end % EDGE for end in at] for at in made["trajectory_target_positions"]]
    with pytest.raises(DatasetError, match="final positions are wrapped"):
        read_file(written(tmp_path / "a.pickle", made | {"trajectory_target_positions": targets}))


def test_a_file_without_draws_is_a_structure(tmp_path: Path) -> None:
    made = content()
    del made["trajectory_target_positions"]
    assert read_file(written(tmp_path / "a.pickle", made)).draws is None
    with pytest.raises(DatasetError, match="holds a list"):
        read_file(written(tmp_path / "a.pickle", [made]))


def test_the_published_layout(reference_data: Path) -> None:
    found = read_file(reference_data / "deepmind" / "test_small.pickle")
    assert found.particles == 20
    np.testing.assert_allclose(found.first.box, 15.04418575)
    assert found.draws is not None
    assert found.draws.displacements.shape == (30, 10, 20, 3)
    assert found.draws.times is not None
    assert found.draws.times[[0, -1]].round(3).tolist() == [0.132, 23204.031]
    msd = (np.asarray(found.draws.displacements) ** 2).sum(-1).mean((0, 2))
    assert (np.diff(msd) > 0).all()
