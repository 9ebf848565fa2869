"""What is simulated: campaigns to a folder; inherent structures and cage positions of single structures."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

from glassformer.api.reading import AnyStructures, samples_at, several
from glassformer.api.structures import Structure, Structures
from glassformer.baselines.propensity_model import ModelCard
from glassformer.core.campaign import Campaign
from glassformer.core.cores import cores
from glassformer.core.errors import SettingsError
from glassformer.core.presets import load_campaign
from glassformer.core.progress import Progress, Silent
from glassformer.core.seeds import named_seed
from glassformer.core.settings import check_settings
from glassformer.dataset.sample import Sample
from glassformer.physics.cage import Kind
from glassformer.physics.inherent import inherent_structure
from glassformer.simulate.cage import SAMPLING, CageSampling, sample_cages
from glassformer.simulate.campaign import run_campaign

AnyCampaign = str | Path | Mapping[str, Any] | Campaign


def simulate(
    campaign: AnyCampaign,
    out: str | Path,
    *,
    changes: Mapping[str, Any] | None = None,
    only: Sequence[str] = (),
    workers: int | None = None,
    progress: Progress | None = None,
) -> Structures:
    """Simulate what the dataset `out` lacks of a campaign, and return its structures with their draws.

    `campaign`: the name of one that ships, a TOML file, or its settings as a table. `changes` to a named one, such as
    {"particles": 300, "schedule.until": 20.0}; `only` these state points. `workers`: cores, all by default. A run that
    was interrupted continues when it is called again.

    Raises `SettingsError`, `DatasetError` if the folder holds a campaign of other settings, `StorageError`,
    `EngineError`.
    """
    run_campaign(_campaign(campaign, changes or {}, only), Path(out), progress or Silent(), workers or cores())
    return Structures(tuple(samples_at(out)))


def _campaign(campaign: AnyCampaign, changes: Mapping[str, Any], only: Sequence[str]) -> Campaign:
    if isinstance(campaign, str | Path):
        # Lists, texts and numbers are written alike in JSON and TOML.
        return load_campaign(str(campaign), [f"{key}={json.dumps(value)}" for key, value in changes.items()], only)
    values = campaign.model_dump() if isinstance(campaign, Campaign) else campaign
    return check_settings({**values, **changes}, Campaign, "campaign", "Correct the settings.")


@overload
def quench(structure: Structure, *, threads: int | None = None) -> Structure: ...
@overload
def quench(structure: Sequence[Structure] | str | Path, *, threads: int | None = None) -> Structures: ...
def quench(structure: AnyStructures, *, threads: int | None = None) -> Structure | Structures:
    """Return the structure, or each of several or of a file, with its inherent structure: the end of the descent.

    `structure.inherent` is then a structure of its own, with its energy. F. H. Stillinger and T. A. Weber, Phys. Rev. A
    25, 978 (1982). Raises `ConfigurationError` for a box shorter than two cutoffs or particles in one place.
    """
    return _each(structure, lambda sample: quenched(sample, threads or cores()))


@overload
def cage(structure: Structure, kind: Kind = ..., **options: Any) -> Structure: ...
@overload
def cage(structure: Sequence[Structure] | str | Path, kind: Kind = ..., **options: Any) -> Structures: ...
def cage(
    structure: AnyStructures,
    kind: Kind = "restricted",
    *,
    threads: int | None = None,
    **options: Any,
) -> Structure | Structures:
    """Return the structure, or each of several, with its cage positions: where every particle sits on average.

    `kind`: 'restricted', the ensemble in which no particle leaves its cage, a static property; 'window', free draws
    within a short time. `options` of `glassformer.simulate.cage.CageSampling`: `draws`, `begin`, `end`, `radius` and
    others. The inherent structure is found on the way.

    Raises `SettingsError` for options with which nothing is sampled, `ConfigurationError` as `quench` does.
    """
    if kind not in SAMPLING:
        raise SettingsError(f"got the cages {kind!r}; expected {' or '.join(SAMPLING)}", "Choose one of these.")
    sampling = replace(SAMPLING[kind], **options)
    return _each(structure, lambda sample: caged(sample, kind, sampling, threads or cores()))


def _each(structure: AnyStructures, derive: Callable[[Sample], Sample]) -> Structure | Structures:
    found = several(structure)
    if isinstance(found, Structure):
        return Structure(derive(found.sample))
    return Structures(tuple(map(derive, found.samples)), found.notes)


def quenched(sample: Sample, threads: int, stages: Progress | None = None) -> Sample:
    """Return `sample` with its inherent structure, found if it is not known."""
    if sample.configuration.inherent_positions is not None:
        return sample
    stages = stages or Silent()
    stages.start("quench", 1, "structures")
    found = inherent_structure(sample.configuration, sample.mixture, threads=threads)
    stages.advance(1)
    return replace(sample, configuration=replace(sample.configuration, inherent_positions=found.positions))


def caged(sample: Sample, kind: Kind, sampling: CageSampling, threads: int, stages: Progress | None = None) -> Sample:
    """Return `sample` with cages of this kind, sampled so whatever was there before."""
    sample, stages = quenched(sample, threads, stages), stages or Silent()
    stages.start("cages", 1, "structures")
    seed = named_seed(0, "propensity", sample.configuration.fingerprint)
    found = sample_cages(
        sample.configuration, sample.mixture, sample.facts.temperature, seed, kind, sampling, stages.advance, threads
    )
    return replace(sample, cage=found)


def derived(sample: Sample, card: ModelCard, threads: int, stages: Progress) -> Sample:
    """Return `sample` with what the model of `card` reads: inherent structure, cage positions."""
    sample = quenched(sample, threads, stages)
    wanted = {name: value for name, value in card.cages.items() if name != "draws"}
    known = sample.cage
    # Cages of another radius or time would be described wrongly: they are sampled again, as the model's were.
    if card.reads == "inherent" or (known is not None and (known.kind, known.sampling) == (card.reads, wanted)):
        return sample
    changes: dict[str, Any] = {**card.cages, "draws": int(card.cages["draws"])}
    return caged(sample, card.reads, CageSampling(**changes), threads, stages)
