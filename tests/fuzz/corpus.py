"""Small valid files of every format to start from, and what must hold for whatever they are changed to."""

import gzip
import io
import tempfile
from pathlib import Path

import numpy as np

from glassformer.core.errors import GlassformerError
from glassformer.dataset.readers.contents import Contents
from glassformer.dataset.readers.gsd import gsd_package
from glassformer.dataset.readers.own_npz import MARK
from glassformer.dataset.readers.read import read_file
from tests.unit.test_botan import arrays
from tests.unit.test_pickles import content
from tests.unit.test_readers import data_text, frame, xyz
from tests.unit.test_rumd_format import HEADER
from tests.unit.test_written_files import gsd_file


def corpus() -> dict[str, bytes]:
    """Return the contents of a valid file by the name that it would have."""
    import pickle

    texts = {
        "images.lammpstrj": frame("id type x y z ix iy iz") * 2,
        "scaled.lammpstrj": frame("xs ys zs type id", step=1) + frame("xs ys zs type id", step=9),
        "elements.lammpstrj": frame("id element xu yu zu"),
        "a.data": data_text(),
        "full.data": data_text("full", images=False),
        "a.xyz": xyz() * 2,
        "types.extxyz": xyz("type:I:1:pos:R:3"),
        "rumd.xyz": f"3\n{HEADER}\n" + "0 1 2 3 0 0 0 1 1 1\n" * 3,
    }
    found = {name: text.encode() for name, text in texts.items()}
    found["a.lammpstrj.gz"] = gzip.compress(found["images.lammpstrj"])
    for protocol in (0, 2, 4):
        found[f"{protocol}.pickle"] = pickle.dumps(_small_pickle(), protocol)
    botan, own = io.BytesIO(), io.BytesIO()
    np.savez(botan, **{name: array[:2] if name == "positions" else array for name, array in arrays().items()})
    np.savez_compressed(
        own, positions=np.ones((2, 3)), species=np.array([0, 1]), box=np.full(3, 2.0), species_names=["A", "B"],
        **{MARK: np.array(1)},
    )  # fmt: skip
    found |= {"botan.npz": botan.getvalue(), "own.npz": own.getvalue()}
    return found | _gsd()


def read(contents: bytes, name: str, folder: Path) -> Contents | GlassformerError:
    """Read a file of these contents, and check what comes of it: contents that agree with themselves, or a typed error.

    Any other exception is a bug.
    """
    path = folder / name
    path.write_bytes(contents)
    failed: GlassformerError | None = None
    try:
        found = read_file(path)
    except GlassformerError as error:
        failed = error
    if failed is not None:
        assert failed.problem.isprintable(), repr(failed.problem)
        assert failed.remedy, failed.problem
        return failed
    trajectory = found.trajectory
    assert trajectory.positions.shape == (trajectory.frames, found.particles, 3)
    assert np.isfinite(trajectory.positions).all()
    assert (trajectory.boxes > 0).all()
    assert found.species.max() < len(found.types)
    for structure in found.structures:
        assert ((structure.positions >= 0) & (structure.positions < structure.box)).all()
    return found


def _small_pickle() -> dict[str, object]:
    made = content()
    targets = made["trajectory_target_positions"]
    return made | {
        "positions": made["positions"][:4], "types": np.array([0, 0, 1, 0]),
        "trajectory_target_positions": [[end[:4] for end in at] for at in targets],
    }  # fmt: skip


def _gsd() -> dict[str, bytes]:
    try:
        gsd_package()
    except GlassformerError:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        return {"a.gsd": gsd_file(Path(folder) / "a.gsd").read_bytes()}
