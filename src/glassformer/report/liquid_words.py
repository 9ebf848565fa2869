"""Sentences of reports about the simulated liquid: what was simulated, its curves, and whether it is in equilibrium."""

import math
from collections.abc import Sequence

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.mixture import CUTOFF_CONVENTIONS
from glassformer.core.words import counted, listed
from glassformer.dataset.sample import Sample
from glassformer.dataset.species import first_species, mixtures_of, species_names
from glassformer.dataset.summary import StatePointSummary, by_state_point, mean_over_ensembles
from glassformer.report.naming import names_of

# How the curves of the first species are drawn.
_LINES = ("solid", "dashed", "dotted", "dash-dotted")
# Slopes of ln MSD against ln t: below, a plateau.
PLATEAU_SLOPE = 0.5


def draws_of(samples: Sequence[Sample]) -> str:
    """Return 'one random draw' or '8 to 16 random draws'; imported means may not state their number."""
    numbers = sorted({sample.draws for sample in samples if sample.draws})
    if not numbers:
        return "an unknown number of random draws"
    if numbers == [1]:
        return "one random draw"
    return f"{' to '.join(str(number) for number in dict.fromkeys((numbers[0], numbers[-1])))} random draws"


def liquid(samples: Sequence[Sample]) -> str:
    """Return what was simulated: '16 configurations of the Kob-Andersen mixture (N = 1000, 80 % of them A) at ...'."""
    sizes = sorted({sample.configuration.particles for sample in samples})
    size = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    number, followed = len(by_state_point(samples)), "each followed" if len(samples) > 1 else "followed"
    points = "one state point" if number == 1 else f"{number} state points"
    text = f"{counted(len(samples), 'configuration')} of {_mixtures(samples, size)} at {points}"
    if all(sample.ensemble is None for sample in samples):
        return f"{text}, without dynamics"
    return f"{text}, {followed} along {draws_of(samples)} of the velocities"


def _mixtures(samples: Sequence[Sample], size: str) -> str:
    """Return 'the Kob-Andersen mixture (N = 1000, 80 % of the particles A)', with `size` for N."""
    known = mixtures_of(samples)
    facts = [f"N = {size}"]
    if len(known) > 1:
        return f"the mixtures {listed(one.name for one in known)} ({facts[0]})"
    mixture = known[0]
    familiar = mixture.identity in CUTOFF_CONVENTIONS
    if len(mixture.species) > 1:
        shares = [
            100 * float(np.mean([(sample.configuration.species == kind).mean() for sample in samples]))
            for kind in range(1 if len(mixture.species) == 2 else len(mixture.species))
        ]
        first, *others = [f"{share:.3g} %" for share in shares]
        named = [f"{first} of the particles {mixture.species[0]}"]
        named += [f"{share} {name}" for share, name in zip(others, mixture.species[1:], strict=False)]
        facts += [", ".join(named)]
    if mixture.dimension == 2:
        facts.append("in two dimensions")
    kind = "mixture" if len(mixture.species) > 1 else "liquid"
    return f"the {'Kob-Andersen' if familiar else mixture.name} {kind} ({', '.join(facts)})"


def msd_caption(samples: Sequence[Sample], times: FloatArray) -> str:
    """Return the caption of the MSD's figure, with what its slopes say."""
    names = species_names(samples)
    drawn = listed(f"{name} ({style})" for name, style in zip(names, _LINES, strict=False))
    text = f"Mean squared displacement of {drawn} particles."
    if len(names) > len(_LINES):
        text = "Mean squared displacement of every species."
    text += " Grey lines: the slopes of free flight, t², and of diffusion, t."
    slopes = {
        name: _smallest_slope(members[0].dynamics.times, mean_over_ensembles(members, "msd")[:, :, 0].mean(0))
        for name, members in by_state_point(samples).items()
    }
    state_points = names_of(samples)
    caged = [name for name, slope in slopes.items() if slope < PLATEAU_SLOPE]
    if caged:
        text += (
            " Neighbours hold a particle in a cage for a while, and the curve bends into a plateau: its slope for"
            f" {names[0]} falls to {listed(f'{slopes[name]:.2f} at {state_points[name]}' for name in caged)}."
        )
    if any(len(members) > 1 for members in by_state_point(samples).values()):
        text += f" Shaded: from the slowest to the fastest configuration, {names[0]}."
    return text + f" Dotted: the time{'s' * (len(times) > 1)} that the network predicts."


def _smallest_slope(times: FloatArray, msd: FloatArray) -> float:
    """Return the smallest slope of ln MSD against ln t, over pieces of a factor of 2 in time; NaN for short curves."""
    places = [0]
    for place in range(1, len(times)):
        if times[place] >= 2 * times[places[-1]]:
            places.append(place)
    if len(places) < 2 or (msd[places] <= 0).any():
        return math.nan
    return float((np.diff(np.log(msd[places])) / np.diff(np.log(times[places]))).min())


def scattering_caption(samples: Sequence[Sample], data: Sequence[StatePointSummary]) -> str:
    """Return the caption of the scattering function's figure."""
    text = (
        f"Self intermediate scattering function of {first_species(samples)}: how much of the structure is still in"
        " place after a time t. Where it falls to 1/e lies the relaxation time τα."
    )
    names = names_of(samples)
    unseen = [names[row.label] for row in data if math.isnan(row.tau_alpha)]
    if unseen:
        text += f" At {listed(unseen)} it does not fall so far within the time observed."
    if any(row.configurations > 1 for row in data):
        text += " Thin lines: single configurations."
    return text


def equilibrium_note(samples: Sequence[Sample], data: Sequence[StatePointSummary]) -> str:
    """Return how the table of equilibration is to be read."""
    text = (
        "A glass former has forgotten how it was prepared only after several τα at its state point. τα is measured"
        " here, from the decay of F_s."
    )
    if any(math.isnan(row.tau_alpha) for row in data):
        text += " n/a: the draws were too short to see it, or F_s is not known."
    if any(row.examined for row in data):
        text += (
            " Equilibrium counts as shown for a configuration if it was held for the τα asked for and its last two"
            " windows of holding agree in potential energy and F_s within their errors."
        )
    names = names_of(samples)
    ageing = [names[row.label] for row in data if 2 * row.in_equilibrium < row.examined]
    if ageing:
        text += f" At {listed(ageing)} most configurations were not shown to be in equilibrium: these still may age."
    if any(row.configurations > 1 and row.density_std > 0 for row in data):
        text += " The ± of the density is its standard deviation over configurations"
        fell = all(sample.facts.box == "as-it-fell" and sample.facts.pressure is not None for sample in samples)
        text += ", whose boxes were kept as they fell at the end of a run at constant pressure." if fell else "."
    return text


def not_followed(samples: Sequence[Sample], followed: Sequence[Sample]) -> str:
    """Return which of `samples` the curves leave out and why, '' for none of them."""
    missing = len(samples) - len(followed)
    if not missing:
        return ""
    which = "these configurations" if not followed else f"{missing} of the {len(samples)} configurations"
    return (
        f"The MSD and F_s of {which} are not known: the dataset holds only the mean displacement of each particle over"
        " the draws, or only the structure."
    )
