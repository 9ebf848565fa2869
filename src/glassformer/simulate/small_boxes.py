"""Boxes shorter than two cutoffs, in which a particle would meet two images of another: found before anything is made.

At constant density the box is known. At constant pressure it is what the pressure makes of it: the thesis's own state
points are known, of others only the box at the start.
"""

from glassformer.core.campaign import Campaign, StatePointSettings
from glassformer.core.errors import SettingsError
from glassformer.physics.kob_andersen import kob_andersen
from glassformer.physics.state_points import THESIS_DENSITIES

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
        if edge < shortest:
            name = "density" if point.density is not None else "equilibration.start_density"
            raise SettingsError(
                f"{point.label}: {campaign.particles} particles at {name} = {density:g} have a box of edge {edge:.3f};"
                f" expected at least two cutoffs, {shortest:g}",
                f"Use at least {_particles(density, shortest)} particles.",
            )


def small_boxes(campaign: Campaign) -> list[str]:
    """Return a warning for each state point at constant pressure whose boxes may become shorter than two cutoffs."""
    shortest = _two_cutoffs(campaign)
    warnings = []
    for point in campaign.state_points:
        if point.density is not None:
            continue
        known = THESIS_DENSITIES.get((point.temperature, point.pressure or 0.0))
        density = campaign.equilibration.start_density if known is None else known
        margin = MARGIN_UNKNOWN if known is None else MARGIN_KNOWN
        edge = _edge(campaign, density)
        if edge < shortest * (1 + margin):
            where = "at the start" if known is None else "in equilibrium"
            warnings.append(
                f"{point.label}: the box is {edge:.3f} {where} (density {density:g}) and may become shorter than two"
                f" cutoffs, {shortest:g}; such a configuration fails."
                f" Use at least {_particles(density, shortest * (1 + margin))} particles."
            )
    return warnings


def _start_density(campaign: Campaign, point: StatePointSettings) -> float:
    return campaign.equilibration.start_density if point.density is None else point.density


def _edge(campaign: Campaign, density: float) -> float:
    return float((campaign.particles / density) ** (1 / 3))


def _two_cutoffs(campaign: Campaign) -> float:
    return 2 * float(kob_andersen(campaign.cutoff).cutoff.max())


def _particles(density: float, edge: float) -> int:
    """Return the least multiple of five, which 80:20 mixtures want, whose box is at least `edge`."""
    return 5 * int(-(-density * edge**3 // 5))
