"""The thesis's seven state points, on one line in the (T, P) plane.

P = 2.93 - 23 (T - 0.44), cutoff 2.5 for every pair. They are not the isochore rho = 1.2: never compare the two at equal
T. A table in circulation prints P = 1.17 for T = 0.56; the density it gives, 1.073, belongs to P = 0.17.
"""

import math

# (temperature, pressure): number density in equilibrium
THESIS_DENSITIES = {
    (0.44, 2.93): 1.203,
    (0.45, 2.70): 1.196,
    (0.47, 2.24): 1.178,
    (0.49, 1.78): 1.158,
    (0.50, 1.55): 1.148,
    (0.52, 1.09): 1.127,
    (0.56, 0.17): 1.073,
}


def thesis_pressure(temperature: float) -> float:
    """Return the pressure of the thesis's line at `temperature`."""
    return 2.93 - 23 * (temperature - 0.44)


# The thesis's Vogel-Fulcher-Tammann estimate, which its cooling script used for the lengths of its stages.
VFT_STRENGTH, VFT_TEMPERATURE = 0.62, 0.387


def estimated_relaxation_time(temperature: float) -> float:
    """Return the thesis's estimate tau_g = exp(0.62 / (T - 0.387)) on its line of state points, for T > 0.387.

    It is generous: tau_g = 241 at T = 0.50, where tau_alpha is 10.4.
    """
    return math.exp(VFT_STRENGTH / (temperature - VFT_TEMPERATURE))
