"""Which files of any folder that glassformer writes are whole: datasets, trainings, studies and propensity models."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from glassformer.core.checksum import Checksum, check_inner_line, check_last_line, check_user_block
from glassformer.core.errors import DatasetError, InputError, NoFileError, StorageError
from glassformer.core.files import read_whole, refuse_broken_link, storage_error
from glassformer.core.hdf5 import open_hdf5
from glassformer.core.json_files import check_json
from glassformer.core.layout import (
    BUDGET_FILE,
    HISTORY_FILE,
    MODEL_FILE,
    OTHER_HDF5_FILES,
    RESULT_FILE,
    RUN_FILE,
    SAMPLE_SUFFIX,
)
from glassformer.core.progress import Progress
from glassformer.dataset.folder import holds_samples, is_dataset, not_the_dataset
from glassformer.simulate.verify import Damage, Verification, verify_dataset

_JSON = (RUN_FILE, RESULT_FILE, BUDGET_FILE, HISTORY_FILE)
# Folders in folders that are looked into: a study has four above the files of a network.
_DEEPEST = 8
# Archives of torch: checkpoints, and models until version 4.
_ARCHIVES = (".ckpt", ".pt")


def verify_folder(folder: Path, progress: Progress, workers: int) -> Verification:
    """Read every byte of the files in `folder` that glassformer wrote; return what is damaged.

    A dataset is verified as by `verify_dataset`. Of a training, a study, a demo or propensity models, their datasets
    are, and the checksums of predictions, models, checkpoints and JSON files. Raises `DatasetError` for a folder that
    holds none of these, and for one of samples that is part of a dataset; `StorageError`.
    """
    if not folder.is_dir():
        raise DatasetError(f"there is no dataset folder {folder}", "Check the path.")
    if is_dataset(folder):
        return verify_dataset(folder, progress, workers)
    if holds_samples(folder):
        raise not_the_dataset(folder)
    found = Verification(0, (), (), "")
    for path in _entries(folder, 0, set()):
        name = str(path.relative_to(folder))
        if path.is_dir() and is_dataset(path):
            found = _joined(found, verify_dataset(path, progress, workers), name)
        else:
            found = _with_file(found, path, name)
    if not (found.files or found.others or found.damaged or found.campaign):
        raise DatasetError(
            f"there is nothing in {folder} that `glassformer verify` knows: no samples, models or predictions",
            "Give a dataset, or what train, demo, experiment or propensity wrote.",
        )
    return found


def _entries(folder: Path, depth: int, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Yield the datasets in `folder`, and all files that are in none, in order. Hidden ones are passed over."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        here = folder.stat()
    except OSError as error:
        raise storage_error("read", Path(error.filename or folder), error) from error
    if (here.st_dev, here.st_ino) in seen or depth > _DEEPEST:
        return
    seen.add((here.st_dev, here.st_ino))
    for entry in entries:
        if not entry.is_dir() or is_dataset(entry) or _known(entry.name):
            yield entry
        else:
            yield from _entries(entry, depth + 1, seen)


def _known(name: str) -> bool:
    return name in (*OTHER_HDF5_FILES, *_JSON, MODEL_FILE)


def _joined(found: Verification, more: Verification, name: str) -> Verification:
    """Return `found` with what was found in the dataset `name` of its folder."""
    damaged = tuple(
        replace(one, file=f"{name}/{one.file}", home=None if one.home is None else f"{name}/{one.home}")
        for one in more.damaged
    )
    campaign = f"{name}: {more.campaign}"
    return Verification(
        found.files + more.files,
        found.damaged + damaged,
        found.without_checksum + tuple(f"{name}/{one}" for one in more.without_checksum),
        f"{found.campaign}, {campaign}" if found.campaign else campaign,
        found.missing + more.missing,
        found.set_aside + more.set_aside,
        found.others + more.others,
    )


def _with_file(found: Verification, path: Path, name: str) -> Verification:
    """Return `found` with what was found of a file that is no sample; one of other programs changes nothing."""
    try:
        if path.name in _JSON or path.suffix in (SAMPLE_SUFFIX, ".safetensors", *_ARCHIVES):
            refuse_broken_link(path)
        state = _checked(path)
    except InputError as error:
        readable = isinstance(error, NoFileError) or not isinstance(error, StorageError)
        damage = Damage(name, error.problem, readable)
        return replace(found, others=found.others + 1, damaged=(*found.damaged, damage))
    if state is Checksum.FOREIGN:
        return found
    older = (name,) if state is Checksum.NONE else ()
    return replace(found, others=found.others + 1, without_checksum=found.without_checksum + older)


def _checked(path: Path) -> Checksum:
    """Return what was found of the checksum of `path`; `FOREIGN` of another program's file.

    Raises `InputError` if it is damaged or cannot be read.
    """
    if path.name in _JSON:
        return check_json(path, DatasetError, "JSON file of glassformer", "")
    if path.suffix == SAMPLE_SUFFIX:
        return _hdf5(path)
    if path.suffix == ".safetensors":
        found = check_inner_line(read_whole(path, DatasetError, ""))
        # All of these models have one, which damage may have hidden.
        absent = Checksum.WRONG if path.name == MODEL_FILE else Checksum.FOREIGN
        return _refuse_wrong(path, absent if found is Checksum.NONE else found)
    if path.suffix in _ARCHIVES:
        found = check_last_line(read_whole(path, DatasetError, ""))[1]
        return _refuse_wrong(path, Checksum.FOREIGN if found is Checksum.NONE else found)
    return Checksum.FOREIGN


def _hdf5(path: Path) -> Checksum:
    found = check_user_block(read_whole(path, DatasetError, ""))
    if found is Checksum.NONE:
        try:
            with open_hdf5(path, DatasetError, "HDF5 file"):
                return found
        except DatasetError:
            if _known(path.name):
                raise
            return Checksum.FOREIGN
    # Other programs' files begin with the signature of HDF5.
    return _refuse_wrong(path, Checksum.WRONG if found is Checksum.FOREIGN else found)


def _refuse_wrong(path: Path, found: Checksum) -> Checksum:
    if found is Checksum.WRONG:
        raise DatasetError(f"{path} is damaged: its checksum is missing or does not fit its contents", "")
    return found
