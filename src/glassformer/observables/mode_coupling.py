"""Schematic mode-coupling theory: the F2 model of Leutheusser."""

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.errors import InputError

CRITICAL_COUPLING = 4.0
# The first step, in units of 1 / Omega: so short that phi is its expansion at small times.
_FIRST_STEP = 1e-5


def non_ergodicity(coupling: float) -> float:
    """Return f = phi(t -> infinity): 0 for a = `coupling` < 4, else the larger root of f / (1 - f) = a f^2.

    f = [1 + sqrt(1 - 4 / a)] / 2; at the transition f_c = 1/2. E. Leutheusser, Phys. Rev. A 29, 2765 (1984).
    """
    if coupling < CRITICAL_COUPLING:
        return 0.0
    return float((1 + np.sqrt(1 - CRITICAL_COUPLING / coupling)) / 2)


def schematic_correlator(
    coupling: float, until: float, damping: float = 1.0, frequency: float = 1.0, points: int = 1024
) -> tuple[FloatArray, FloatArray]:
    """Return times (T,) up to `until` or beyond and the correlator phi (T,) of the F2 model.

    phi'' + gamma phi' + Omega^2 phi + a Omega^2 int_0^t phi(t - s)^2 phi'(s) ds = 0, phi(0) = 1, phi'(0) = 0, with
    a = `coupling`, gamma = `damping` and Omega = `frequency`. The liquid freezes at a = 4.
    E. Leutheusser, Phys. Rev. A 29, 2765 (1984).

    Solved on `points` equal steps; then every second is dropped, the step is doubled and the second half filled again,
    octave after octave (M. Fuchs, W. Götze, I. Hofacker and A. Latz, J. Phys.: Condens. Matter 3, 5047 (1991)).
    Derivatives are backward differences of second order, so that the step is about t / points and the relative error
    of order 1 / points^2; oscillations that have not died out when a step exceeds their period are damped away.

    Raises `InputError` for a negative coupling or damping, or times, frequency or points that are not positive.
    """
    if coupling < 0 or damping < 0 or until <= 0 or frequency <= 0 or points < 8 or points % 2:
        raise InputError(
            f"got coupling {coupling:g}, damping {damping:g}, time {until:g}, frequency {frequency:g}, {points} points",
            "Expected no negative number, a positive time and frequency, and an even number of points, at least 8.",
        )
    grid = _Grid(coupling, damping / frequency, points)
    grid.fill(2)
    times, phi = [grid.times()], [grid.phi.copy()]
    while grid.times()[-1] < until * frequency:
        grid.double()
        grid.fill(points // 2 + 1)
        times.append(grid.times()[points // 2 + 1 :])
        phi.append(grid.phi[points // 2 + 1 :].copy())
    return np.concatenate(times) / frequency, np.concatenate(phi)


class _Grid:
    """The correlator on one grid of equal steps, in units of 1 / Omega.

    The memory integral is split at the middle, h = n // 2, and its late half integrated by parts, so that in each step
    one factor varies slowly and may be taken as linear, and the other, which is quick near time 0, enters by its values
    and its mean: with m = a phi^2 and the means <.>_i over step i,
    int_0^t m(t - s) phi'(s) ds = m_0 phi_n - m_{n-h} phi_h
    + sum_{i <= h} m_{n-i+1} (<phi>_i - phi_{i-1}) + m_{n-i} (phi_i - <phi>_i)
    + sum_{i <= n-h} phi_{n-i+1} (<m>_i - m_{i-1}) + phi_{n-i} (m_i - <m>_i).
    """

    def __init__(self, coupling: float, damping: float, points: int) -> None:
        self.coupling, self.damping, self.step = coupling, damping, _FIRST_STEP
        self.phi, self.memory, self.velocity, self.mean_phi, self.mean_memory = np.zeros((5, points + 1))
        self.phi[:2] = 1, 1 - self.step**2 / 2
        self.velocity[1] = -self.step
        self.memory[:2] = coupling * self.phi[:2] ** 2
        self.mean_phi[1], self.mean_memory[1] = self.phi[:2].mean(), self.memory[:2].mean()

    def times(self) -> FloatArray:
        return self.step * np.arange(len(self.phi), dtype=np.float64)

    def double(self) -> None:
        """Keep every second point, in the first half of the grid; the means over the longer steps stay exact."""
        half = len(self.phi) // 2
        for values in (self.phi, self.memory, self.velocity):
            values[: half + 1] = values[::2].copy()
        for means in (self.mean_phi, self.mean_memory):
            means[1 : half + 1] = (means[1::2] + means[2::2]) / 2
        self.step *= 2

    def fill(self, first: int) -> None:
        """Solve for the points from number `first` on."""
        phi, memory, velocity, step = self.phi, self.memory, self.velocity, self.step
        # phi' = slope phi_n + past_slope, phi'' = slope phi' + past_force.
        slope = 1.5 / step
        for n in range(first, len(phi)):
            past_slope = (-2 * phi[n - 1] + phi[n - 2] / 2) / step
            past_force = slope * past_slope + (-2 * velocity[n - 1] + velocity[n - 2] / 2) / step
            # linear phi_n + square phi_n^2 = known: the root that stays finite without coupling.
            linear = slope**2 + self.damping * slope + 1 + self.mean_memory[1]
            square = self.coupling * (self.mean_phi[1] - phi[0])
            known = -past_force - self.damping * past_slope - self._history(n)
            phi[n] = 2 * known / (linear + np.sqrt(linear**2 + 4 * square * known))
            velocity[n] = slope * phi[n] + past_slope
            memory[n] = self.coupling * phi[n] ** 2
            self.mean_phi[n], self.mean_memory[n] = phi[n - 1 : n + 1].mean(), memory[n - 1 : n + 1].mean()

    def _history(self, n: int) -> float:
        """Return the memory integral without the terms that hold the unknown phi_n and m_n."""
        phi, memory, half = self.phi, self.memory, n // 2
        rest = n - half
        early = (
            memory[rest + 1 : n][::-1] @ (self.mean_phi[2 : half + 1] - phi[1:half])
            + memory[rest:n][::-1] @ (phi[1 : half + 1] - self.mean_phi[1 : half + 1])
        )  # fmt: skip
        late = (
            phi[half + 1 : n][::-1] @ (self.mean_memory[2 : rest + 1] - memory[1:rest])
            + phi[half:n][::-1] @ (memory[1 : rest + 1] - self.mean_memory[1 : rest + 1])
        )  # fmt: skip
        return float(early + late - memory[rest] * phi[half])
