"""Temperature and pressure held by rescaling: plain functions of numbers, compiled for the processor and for CUDA.

| symbol | variable | meaning |
|---|---|---|
| K | `kinetic` | kinetic energy |
| N_f | `freedoms` | degrees of freedom: d (N - 1), the total momentum being zero |
| c | `decay` | exp(-dt / tau_T): what is left of a deviation of K after dt |
| alpha | | factor of all velocities |
| epsilon | | ln V |
| beta_T dt / tau_p | `mobility` | compressibility times dt over the relaxation time of the volume |
"""

import math


def rescaling(kinetic: float, temperature: float, freedoms: int, decay: float, normal: float, rest: float) -> float:
    """Return the factor alpha of the velocities that lets K relax to the canonical distribution over a time dt.

    alpha^2 = c + (1 - c) T / (2 K) (R^2 + S) + 2 R sqrt(c (1 - c) T / (2 K)), with `normal` R a standard normal
    number and `rest` S a chi-squared one of N_f - 1 degrees of freedom; for c = 1, alpha = 1. Exact for any dt.
    G. Bussi, D. Donadio and M. Parrinello, J. Chem. Phys. 126, 014101 (2007), eqs. (A7) and (A8).
    """
    if decay >= 1 or kinetic <= 0 or freedoms < 1:
        return 1.0
    share = (1 - decay) * temperature / (2 * kinetic)
    square = decay + share * (normal * normal + rest) + 2 * normal * math.sqrt(decay * share)
    sign = -1.0 if normal + math.sqrt(decay / share) < 0 else 1.0
    return sign * math.sqrt(max(square, 0.0))


def pressure_of(kinetic: float, virial: float, volume: float, dimension: int) -> float:
    """Return the instantaneous pressure (2 K + sum of r . F) / (d V)."""
    return (2 * kinetic + virial) / (dimension * volume)


def strain(
    internal: float, pressure: float, temperature: float, volume: float, mobility: float, normal: float
) -> float:
    """Return the change of ln V over dt that lets the volume relax to its distribution at constant pressure P.

    d epsilon = (beta_T dt / tau_p) (P_int - P) + sqrt(2 T beta_T dt / (V tau_p)) R, with `normal` R; positions scale by
    exp(d epsilon / d), velocities inversely. M. Bernetti and G. Bussi, J. Chem. Phys. 153, 114107 (2020), eq. (5).
    """
    return mobility * (internal - pressure) + math.sqrt(2 * temperature * mobility / volume) * normal
