"""What the species of samples are called, and the mixtures in words."""

from collections.abc import Sequence

from glassformer.core.errors import DatasetError
from glassformer.core.mixture import CUTOFF_CONVENTIONS, MixtureSettings, ratio
from glassformer.dataset.sample import Sample

DIMENSIONS = {2: "two dimensions", 3: "three dimensions"}


def species_names(samples: Sequence[Sample]) -> tuple[str, ...]:
    """Return the name of every species of `samples`, by its number; 'A or L' where two mixtures differ in it."""
    named = [sample.facts.mixture.species for sample in samples]
    return tuple(
        " or ".join(dict.fromkeys(species[kind] for species in named if kind < len(species)))
        for kind in range(max(map(len, named)))
    )


def first_species(samples: Sequence[Sample]) -> str:
    """Return the name of species 0 of `samples`."""
    return species_names(samples)[0]


def agreed_species(samples: Sequence[Sample]) -> tuple[str, ...]:
    """Return the names of the species of `samples`, by their numbers; a mixture may lack the last ones.

    Raises `DatasetError` if two mixtures call the species of one number differently.
    """
    largest = max(samples, key=lambda sample: sample.mixture.kinds)
    names = largest.mixture.species
    for sample in samples:
        own = sample.mixture.species
        if own != names[: len(own)]:
            raise DatasetError(
                f"{sample.identifier} has the species {', '.join(own)}, and {largest.identifier} has"
                f" {', '.join(names)}; expected the same name for each species number",
                "Keep these mixtures in different datasets.",
            )
    return names


def mixtures_of(samples: Sequence[Sample]) -> list[MixtureSettings]:
    """Return the different mixtures of `samples`, in their order."""
    return list({sample.facts.mixture.identity: sample.facts.mixture for sample in samples}.values())


def mixture_name(identity: str) -> str:
    """Return the name of the mixture of this `MixtureSettings.identity`."""
    return CUTOFF_CONVENTIONS.get(identity) or identity.rpartition(" ")[0]


def mixture_words(mixture: MixtureSettings) -> str:
    """Return 'kob-andersen, A:B = 80:20, three dimensions'."""
    parts = [mixture.name]
    if len(mixture.species) > 1:
        parts.append(f"{':'.join(mixture.species)} = {ratio(mixture)}")
    return ", ".join([*parts, DIMENSIONS[mixture.dimension]])
