"""Sentences of the report about held-out propensities. Each follows from the numbers."""

import math
from collections.abc import Mapping, Sequence

from glassformer.core.words import counted, listed
from glassformer.dataset.held_out import HeldOut
from glassformer.evaluate.held_out import HeldOutRow
from glassformer.report.propensity_figures import DIAMETERS, SLAB
from glassformer.report.words import figures_of, span


def opening(parts: Sequence[HeldOut], rows: Sequence[HeldOutRow]) -> str:
    """Return the first paragraph: what was asked, and how the answer was tested."""
    species = rows[0].species
    return (
        "Some regions of a liquid move long before others. The propensity of a particle is how far it goes, on average"
        f" over {parts[0].draws} random draws of the velocities from one and the same structure. A ridge regression"
        " reads the structure around each particle: the inherent structure, with its energies, densities and bond"
        f" orders. It was fitted to other configurations; below it predicts every {species} particle of"
        f" {'a configuration' if len(rows[0].pearson) == 1 else 'configurations'} that it had not seen"
        f" ({parts[0].left_out} left out at a time)."
    )


def finding(rows: Sequence[HeldOutRow]) -> str:
    """Return the paragraph below the table: does the model beat what one number tells?"""
    cases, wins = sum(len(row.pearson) for row in rows), sum(row.wins for row in rows)
    where = f"in all {cases} cases" if wins == cases else f"in {wins} of {cases} cases"
    best = span(float(row.baselines[row.best].mean()) for row in rows)
    text = (
        f"A case is one held-out configuration at one time. The correlation is positive and above that of every"
        f" one-number baseline {where}. Its mean is {span(row.score.pcc_mean for row in rows)}, and"
        f" {best} for the best of the one-number baselines"
    )
    shares = [100 * row.score.ratio for row in rows if not math.isnan(row.score.ratio)]
    return f"{text}. The ridge regression reaches {span(shares, 0)} % of the ceiling." if shares else f"{text}."


def note(rows: Sequence[HeldOutRow], parts: Sequence[HeldOut]) -> str:
    """Return how the table is to be read."""
    names = listed(rows[0].baselines)
    return (
        "Pearson’s correlation: 1 for a perfect prediction, 0 for a guess; over the particles of a configuration, the"
        " mean over configurations ± one standard error. Ceiling: what a perfect prediction would reach, given the"
        f" noise of {counted(parts[0].draws, 'draw')}. One-number baselines, each a straight line in one descriptor:"
        f" {names}. Inherent displacement: how far a particle is from its place in the inherent structure."
    )


def map_caption(part: HeldOut, row: HeldOutRow, configuration: int, names: Mapping[str, str]) -> str:
    """Return the caption of the map."""
    others = f" Small circles: {listed(part.species_names[1:])}." if len(part.species_names) > 1 else ""
    thick = min(SLAB, float(part.box[configuration][2]))
    return (
        f"A slab of {thick:g} σ_AA through a configuration that the fit had not seen"
        f" ({part.configurations[configuration]}, {names.get(row.state_point, row.state_point)}), at t ="
        f" {row.time:g}. Red particles will go far, blue ones will stay: a good prediction has the same colours as the"
        " simulation in the same places. Colour: deviation from the mean of the species, in its standard deviations. Of"
        " all configurations this one has the"
        f" median correlation, {figures_of(row.pearson[configuration])} over its {row.species} particles. Circles have"
        f" a diameter of {DIAMETERS[0]:g} σ_AA.{others}"
    )


def view_caption(part: HeldOut, row: HeldOutRow, configuration: int, names: Mapping[str, str]) -> str:
    """Return the caption of the view that can be turned."""
    return (
        f"All particles of the same configuration ({part.configurations[configuration]},"
        f" {names.get(row.state_point, row.state_point)}), at their positions at t = 0, with propensities at t ="
        f" {row.time:g}. {colours_caption(simulated=True)}"
    )


def colours_caption(simulated: bool) -> str:
    """Return what the colours of a view are; `simulated`: whether it shows simulated propensities, too."""
    return (
        "Deviation: propensity minus the mean of the particle's species, in standard deviations of that species over"
        " this structure; red particles go further than others of their species, blue ones less far. Absolute:"
        f" propensity in σ_AA{', on one scale for predicted and simulated ones' if simulated else ''}. Scales in σ_AA"
        " leave out the smallest and largest 1 %."
    )


def correlation_caption(rows: Sequence[HeldOutRow]) -> str:
    """Return the caption of the correlations by configuration."""
    return (
        f"Each column is one held-out configuration: the ridge regression, and what one number tells about the same"
        f" {rows[0].species} particles. Dashed: the mean ceiling."
    )
