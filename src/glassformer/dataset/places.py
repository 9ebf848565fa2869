"""Where a sample belongs.

One that was simulated or imported belongs in '<state point>/<configuration id>.h5'; the end of a draw in a file that
names its start and the draw.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from glassformer.core.layout import DatasetFolder, configuration_id, is_configuration
from glassformer.dataset.sample import Sample

# What `glassformer.dataset.ends` calls its files, and what these state.
_END = re.compile(r".+-([0-9a-f]{8})-d(\d{2,})")
_DRAW = re.compile(r"end of draw (\d+) of ")


@dataclass(frozen=True)
class Identity:
    """What a sample says of itself: state point and number, and its structure by the fingerprint.

    `end`: of the end of a draw, the first digits of the fingerprint of its start, and the number of the draw.
    """

    state_point: str
    index: int | None
    fingerprint: str
    end: tuple[str, int] | None = None

    @classmethod
    def of(cls, sample: Sample) -> "Identity":
        """Return that of `sample`."""
        facts, end = sample.facts, None
        numbers = _DRAW.findall(facts.source or "")
        if sample.origin is not None and numbers:
            end = sample.origin[:8], int(numbers[-1])
        return cls(facts.state_point, facts.index, sample.configuration.fingerprint, end)

    def home(self, dataset: Path) -> Path | None:
        """Return the file in which the sample belongs, or None if it does not state its number."""
        return None if self.index is None else DatasetFolder(dataset).sample(self.state_point, self.index)


def stranger(path: Path, state_point: str, index: int | None) -> str:
    """Return what is wrong with a sample of `state_point` and number `index` in the place `path`, or nothing."""
    here = path.parent.name
    if index is None or (here == state_point and path.stem == configuration_id(index)):
        return ""
    return f"holds the sample {configuration_id(index)} of {state_point}, not {path.stem} of {here}"


def misplaced(
    dataset: Path, found: Mapping[Path, Identity], labels: Collection[str], campaign: Collection[Path]
) -> dict[Path, str]:
    """Return which of the samples `found` in `dataset` are not what their files are called, and what they are.

    `campaign`: the files of the campaign in the folder, and `labels` its state points. In these places, every sample
    must be the one that belongs there; elsewhere users may give files other names and put folders together from several
    campaigns: there, only samples that have changed places are named. Everywhere, copies are.
    """
    labels = {*labels, *(one.state_point for one in found.values())}
    wrong = {path: text for path, one in found.items() if path.parent.name in labels and (text := _strange(path, one))}
    homes = {path: found[path].home(dataset) for path in wrong}
    # Where the sample that belongs there lies, another one that says so, too, is of another campaign.
    lost = {home for home in homes.values() if home in campaign and (home not in found or home in wrong)}
    named = {
        path: text
        for path, text in wrong.items()
        if path in campaign or homes[path] in lost or homes[path] is None or _in_a_cycle(path, homes)
    }
    return _copies(dataset, found, wrong) | named


def _strange(path: Path, one: Identity) -> str:
    if one.end is not None:
        called = _END.fullmatch(path.stem)
        start, draw = one.end
        if called and (called[1], int(called[2])) != one.end:
            return f"holds the end of draw {draw} of the configuration {start}, as its name does not say"
        return "" if path.parent.name == one.state_point else f"holds an end of a draw at {one.state_point}"
    if one.index is None or not is_configuration(path.stem):
        at_home = one.state_point == path.parent.name
        return "" if at_home else f"holds a sample of {one.state_point}, not of {path.parent.name}"
    return stranger(path, one.state_point, one.index)


def _in_a_cycle(path: Path, homes: Mapping[Path, Path | None]) -> bool:
    """Tell whether samples have changed places with the one in `path`."""
    seen, at = set[Path](), homes[path]
    while at is not None and at != path and at in homes and at not in seen:
        seen.add(at)
        at = homes[at]
    return at == path


def _copies(dataset: Path, found: Mapping[Path, Identity], wrong: Collection[Path]) -> dict[Path, str]:
    """Return all but one of the files that hold one structure: the one that is called so, else the first, is none."""
    groups: dict[tuple[str, str], list[Path]] = {}
    for path, one in found.items():
        groups.setdefault((one.state_point, one.fingerprint), []).append(path)
    copies: dict[Path, str] = {}
    for paths in groups.values():
        kept = min(paths, key=lambda path: (found[path].home(dataset) != path, path in wrong, path))
        name = kept.relative_to(dataset)
        copies |= {path: f"holds the same configuration as {name}" for path in paths if path != kept}
    return copies
