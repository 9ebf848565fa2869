"""A mixture's pair potential in the words of LAMMPS.

Lennard-Jones, cut or shifted: `lj/cut` and its fast form; with a shifted force: `lj/smooth/linear`. An inverse power is
the limit of Lennard-Jones with an attraction of no weight: with sigma' = LARGE sigma and eps' = eps / (4 LARGE^12) the
r^-12 term is eps (sigma / r)^12, and the r^-6 term is smaller by LARGE^-6, which is below rounding. The polynomial
c_2 r^2 + c_4 r^4 of the smooth truncation is laid over it as a Mie potential with the exponents -2 and -4: exact, and
six times as fast as an expression compiled by `lepton`.
"""

from collections.abc import Iterator

import numpy as np

from glassformer.physics.mixture import Mixture

LARGE = 1000.0


def pair_commands(mixture: Mixture, style: str = "lj/cut/opt") -> tuple[str, ...]:
    """Return the commands that set the potential; `style` is the form of `lj/cut` to use where it is one."""
    longest = _number(mixture.longest_cutoff)
    if mixture.truncation == "shifted-force":
        return (f"pair_style lj/smooth/linear {longest}", *_powers(mixture, ""))
    shift = "no" if mixture.truncation == "cut" else "yes"
    if mixture.truncation != "smooth":
        return (f"pair_style {style} {longest}", *_powers(mixture, ""), f"pair_modify shift {shift}")
    styles = f"pair_style hybrid/overlay {style} {longest} mie/cut {longest}"
    return (styles, *_powers(mixture, style), *_polynomials(mixture), f"pair_modify shift {shift}")


def _pairs(mixture: Mixture) -> Iterator[tuple[int, int]]:
    return ((a, b) for a in range(mixture.kinds) for b in range(a, mixture.kinds))


def _powers(mixture: Mixture, style: str) -> Iterator[str]:
    scale = 1.0 if mixture.form == "lennard-jones" else LARGE
    weight = 1.0 if mixture.form == "lennard-jones" else 4 * LARGE**12
    for a, b in _pairs(mixture):
        numbers = mixture.epsilon[a, b] / weight, mixture.sigma[a, b] * scale, mixture.cutoff[a, b]
        yield " ".join(filter(None, (f"pair_coeff {a + 1} {b + 1}", style, *map(_number, numbers))))


def _polynomials(mixture: Mixture) -> Iterator[str]:
    """Yield c_2 r^2 + c_4 r^4 as -4 eps [(r / sigma)^2 - (r / sigma)^4]: Mie's prefactor for -2, -4 is -4."""
    terms = mixture.pair_terms
    for a, b in _pairs(mixture):
        sigma_sq = -terms.square[a, b] / terms.fourth[a, b]
        epsilon = -terms.square[a, b] * sigma_sq / 4
        numbers = " ".join(map(_number, (epsilon, np.sqrt(sigma_sq), -2.0, -4.0, mixture.cutoff[a, b])))
        yield f"pair_coeff {a + 1} {b + 1} mie/cut {numbers}"


def _number(value: float | np.floating) -> str:
    return f"{value:.17g}"
