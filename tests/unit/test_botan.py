"""BOTAN's files: what is read, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import ConfigurationError, DatasetError
from glassformer.dataset.readers.botan import read_botan
from glassformer.dataset.readers.unwrapped import refuse_wrapped
from glassformer.physics.configuration import Configuration

EDGE = (100 / 1.2) ** (1 / 3)


def arrays(**changes: Any) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    start = random.uniform(-EDGE / 2, EDGE / 2, (100, 3))
    content = {
        "types": (np.arange(100) >= 80).astype(np.int8),
        "initial_positions": start,
        "positions": start + random.normal(0, 0.5, (32, 100, 3)),
    }
    return content | changes


def written(tmp_path: Path, content: dict[str, np.ndarray]) -> Path:
    np.savez(tmp_path / "file.npz", **content)
    return tmp_path / "file.npz"


def structure_and_draws(path: Path) -> tuple[Configuration, FloatArray]:
    contents = read_botan(path)
    assert contents.draws is not None
    assert contents.draws.displacements.shape[1] == 1
    return contents.first, contents.draws.displacements[:, 0]


def test_positions_are_wrapped_and_displacements_are_not(tmp_path: Path) -> None:
    content = arrays()
    configuration, displacements = structure_and_draws(written(tmp_path, content))
    assert configuration.density == pytest.approx(1.2)
    assert np.bincount(configuration.species).tolist() == [80, 20]
    shift = (configuration.positions - content["initial_positions"]) / EDGE
    np.testing.assert_allclose(shift, np.rint(shift), atol=1e-12)
    assert (np.rint(shift) != 0).any()
    np.testing.assert_allclose(displacements, content["positions"] - content["initial_positions"], atol=1e-12)


def test_missing_files_and_arrays_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"there is no file .*none.npz"):
        read_botan(tmp_path / "none.npz")
    content = arrays()
    del content["positions"]
    with pytest.raises(DatasetError, match=r"file.npz is not a BOTAN file: .*positions"):
        read_botan(written(tmp_path, content))


def test_damage_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, arrays())
    whole = path.read_bytes()
    for damaged in (b"", b"not a zip", whole[: len(whole) // 2], whole[:-10]):
        path.write_bytes(damaged)
        with pytest.raises(DatasetError, match=r"file.npz is not a BOTAN file"):
            read_botan(path)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"initial_positions": np.zeros((99, 3))}, DatasetError, "got shapes"),
        ({"positions": np.zeros((32, 99, 3))}, DatasetError, "got shapes"),
        ({"types": np.full(100, 2, np.int8)}, ConfigurationError, "species"),
        ({"initial_positions": np.full((100, 3), np.nan)}, ConfigurationError, "not finite"),
        ({"types": np.where(np.arange(100) < 80, 256, 1)}, ConfigurationError, r"got species \[256\] for 80 of 100"),
        ({"types": np.where(np.arange(100) < 80, 0.4, 1.6)}, ConfigurationError, r"got species \[0.4, 1.6\]"),
        ({"types": np.where(np.arange(100) == 3, np.nan, 1)}, ConfigurationError, r"got species \[nan\]"),
        ({"types": np.full(100, -1)}, ConfigurationError, r"got species \[-1\]"),
        ({"types": np.full(100, "A")}, ConfigurationError, r"got species \[A\]"),
        ({"types": np.zeros((100, 1), np.int8)}, DatasetError, "got shapes"),
        ({"positions": np.full((4, 100, 3), np.nan)}, DatasetError, "400 final positions are not finite"),
        ({"positions": np.full((4, 100, 3), "x")}, DatasetError, "is not a BOTAN file"),
        ({"positions": np.full((4, 100, 3), 1e300)}, DatasetError, "final positions are"),
        ({"positions": np.zeros((4, 100, 3), complex)}, DatasetError, "'positions' has type complex128"),
        ({"positions": np.zeros((0, 100, 3))}, DatasetError, "At least one draw"),
        ({"types": (np.arange(100) >= 65).astype(int)}, ConfigurationError, "got 65 A particles of 100"),
        ({"positions": np.zeros((100, 3))}, DatasetError, "got shapes"),
    ],
)
def test_strange_contents_are_refused(changes: Any, error: type[Exception], message: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=message):
        read_botan(written(tmp_path, arrays(**changes)))


@pytest.mark.parametrize("origin", [0.0, -EDGE / 2])
def test_wrapped_final_positions_are_refused(origin: float, tmp_path: Path) -> None:
    content = arrays()
    start, moved = content["initial_positions"], content["positions"] - content["initial_positions"]
    wrapped = (start + moved - origin) % EDGE + origin
    with pytest.raises(DatasetError, match="final positions are wrapped into the box"):
        read_botan(written(tmp_path, content | {"positions": wrapped}))
    # One draw of several, or all by a whole box.
    for ends in (np.concatenate([start + moved[:3], wrapped[3:4]]), start + moved + EDGE):
        with pytest.raises(DatasetError, match=r"final positions are wrapped|mean squared displacement of"):
            read_botan(written(tmp_path, content | {"positions": ends}))
    renumbered = np.random.default_rng(1).permutation(100)
    with pytest.raises(DatasetError, match="mean squared displacement of"):
        read_botan(written(tmp_path, content | {"positions": (start + moved)[:, renumbered]}))
    # Some particles may really have gone far.
    _, displacements = structure_and_draws(written(tmp_path, content | {"positions": start + 1.5 * moved}))
    np.testing.assert_allclose(displacements, 1.5 * moved, atol=1e-12)


def test_draws_of_few_particles_and_of_films_are_not_taken_for_wrapped() -> None:
    for seed in range(100):
        random = np.random.default_rng(seed)
        start, moved = random.uniform(0, 1, (32, 3)), random.normal(0, 0.15, (32, 32, 3))
        refuse_wrapped(start + moved, moved, np.ones(3), "file")
    film, end = random.uniform(0.1, 0.9, (200, 3)), random.uniform(0.1, 0.9, (4, 200, 3))
    refuse_wrapped(end, end - film, np.ones(3), "file")


def test_an_unwrapped_crystal_is_read(tmp_path: Path) -> None:
    # Lattice sites moved by whole boxes come out at either end of the box, by rounding.
    for sites in range(5, 12):
        number, edge = sites**3, (sites**3 / 1.2) ** (1 / 3)
        grid = np.stack(np.meshgrid(*[np.arange(sites)] * 3, indexing="ij"), -1).reshape(-1, 3)
        types = (np.arange(number) >= 0.8 * number).astype(int)
        for hop in range(2, 9):
            start = (grid + hop * sites) * (edge / sites)
            configuration, displacements = structure_and_draws(
                written(tmp_path, {"types": types, "initial_positions": start, "positions": start[None]})
            )
            assert ((configuration.positions >= 0) & (configuration.positions < configuration.box)).all()
            assert not displacements.any()
