"""Boxes shorter than two cutoffs, in which a particle would meet two images of another: found before anything is made.

At constant density the box is known. At constant pressure it is what the pressure makes of it: known where the campaign
gives the density to expect, else only the box at the start is.
"""

import math

from glassformer.core.campaign import Campaign, StatePointSettings
from glassformer.core.errors import SettingsError
from glassformer.core.mixture import composition_step
from glassformer.dataset.mixtures import mixture_of
from glassformer.physics.box import EDGE_ROUNDING, holds

# At constant pressure a box that starts this much longer than two cutoffs may shrink to them: where the density is
# known, it only fluctuates (at N = 150, the edge by 0.3 %); where it is not, pressure and cooling make it denser.
MARGIN_KNOWN, MARGIN_UNKNOWN = 0.02, 0.06


def refuse_small_boxes(campaign: Campaign) -> None:
    """Raise `SettingsError` if every configuration of a state point would start in too short a box."""
    shortest = _two_cutoffs(campaign)
    for point in campaign.state_points:
        if point.density is None and campaign.equilibration.start_from is not None:
            # Each start has a box of its own.
            continue
        density = _start_density(campaign, point)
        edge = _edge(campaign, density)
        if not holds(edge, shortest):
            name = "density" if point.density is not None else "equilibration.start_density"
            raise SettingsError(
                f"{point.label}: {campaign.particles} particles at {name} = {density:g} have a box of edge {edge:.3f};"
                f" expected at least two cutoffs, {shortest:g}",
                f"Use at least {_particles(campaign, density, shortest)} particles.",
            )


def small_boxes(campaign: Campaign) -> list[str]:
    """Return a warning for each state point at constant pressure whose boxes may become shorter than two cutoffs."""
    shortest = _two_cutoffs(campaign)
    warnings = []
    for point in campaign.state_points:
        if point.density is not None:
            continue
        known = point.expected_density
        density = campaign.equilibration.start_density if known is None else known
        margin = MARGIN_UNKNOWN if known is None else MARGIN_KNOWN
        edge = _edge(campaign, density)
        if not holds(edge, shortest * (1 + margin)):
            where = "at the start" if known is None else "in equilibrium"
            warnings.append(
                f"{point.label}: the box is {edge:.3f} {where} (density {density:g}) and may become shorter than two"
                f" cutoffs, {shortest:g}; such a configuration fails."
                f" Use at least {_particles(campaign, density, shortest * (1 + margin))} particles."
            )
    return warnings


def _start_density(campaign: Campaign, point: StatePointSettings) -> float:
    return campaign.equilibration.start_density if point.density is None else point.density


def _edge(campaign: Campaign, density: float) -> float:
    return float((campaign.particles / density) ** (1 / campaign.mixture.dimension))


def _two_cutoffs(campaign: Campaign) -> float:
    return 2 * mixture_of(campaign.mixture).longest_cutoff


def _particles(campaign: Campaign, density: float, edge: float) -> int:
    """Return the least number of particles that has the mixture's composition and a box of at least `edge`."""
    step = composition_step(campaign.mixture)
    # But for rounding: 1.2 * 5^3 may be a little more than 150.
    return step * math.ceil(density * edge**campaign.mixture.dimension * (1 - EDGE_ROUNDING) / step)
