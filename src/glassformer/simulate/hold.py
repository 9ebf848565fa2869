"""Windows of holding at the state point: what each saw, and whether two of them agree.

A window is cut into eight segments. The potential energy is averaged over each; F_s of A is measured in each from its
own start, at the same lags. The eight values give a mean and, blocked, its error.
"""

from dataclasses import dataclass, fields

import numpy as np

from glassformer.core.arrays import ByteArray, FloatArray, IntArray
from glassformer.observables.displacements import self_scattering
from glassformer.observables.relaxation import relaxation_time
from glassformer.physics.mixture import Mixture

SEGMENTS = 8
# Observations of F_s and of the energy in a segment.
LAGS, ENERGIES = 16, 16
# Two windows agree if they differ by less than this many standard errors of the difference.
AGREEMENT = 2.0


@dataclass(frozen=True)
class Window:
    """What a finished window saw: potential energy per particle and F_s of A at `lag`, with standard errors.

    `tau_alpha` is NaN if F_s has not come down to 1/e since the first window began.
    """

    duration: float
    density: float
    energy: float
    energy_error: float
    lag: float
    scattering: float
    scattering_error: float
    tau_alpha: float

    def as_row(self) -> list[float]:
        """Return the values in order."""
        return [getattr(self, field.name) for field in fields(self)]


def agree(first: Window, second: Window) -> bool:
    """Tell whether potential energy and F_s of two windows are the same within their errors."""
    energies = abs(first.energy - second.energy), np.hypot(first.energy_error, second.energy_error)
    scatterings = abs(first.scattering - second.scattering), np.hypot(first.scattering_error, second.scattering_error)
    # F_s is compared at one lag: where tau_alpha has changed so much that the lag has, the windows do not agree.
    return first.lag == second.lag and all(
        difference <= AGREEMENT * error for difference, error in (energies, scatterings)
    )


def blocked_error(values: FloatArray) -> float:
    """Return the standard error of the mean of `values` (n,), n even: the larger of those of n and n/2 blocks.

    Blocks of two tell whether neighbours are correlated. H. Flyvbjerg and H. G. Petersen, J. Chem. Phys. 91, 461
    (1989).
    """
    pairs = values.reshape(-1, 2).mean(1)
    return float(max(level.std(ddof=1) / np.sqrt(len(level)) for level in (values, pairs)))


class Hold:
    """The record of all windows so far, fed with the unwrapped positions as fractions of the box.

    Fractions, because in NPT the box breathes; displacements are given back in the mean box of the pair.
    """

    def __init__(self, window_steps: int, time_step: float, species: ByteArray, mixture: Mixture) -> None:
        self._segment = window_steps // SEGMENTS
        self._time_step = time_step
        self._species, self._mixture = species, mixture
        self.lags = np.unique(np.geomspace(1, self._segment, LAGS).round().astype(np.int64))
        energies = np.linspace(0, self._segment, ENERGIES + 1)[1:]
        self._energy_steps = np.unique(energies.round().astype(np.int64))
        self._starts: list[FloatArray] = []
        self._boxes: list[FloatArray] = []
        self._scattering = np.full((SEGMENTS, len(self.lags)), np.nan)
        self._energy = np.full((SEGMENTS, len(self._energy_steps)), np.nan)
        self._density = np.full((SEGMENTS, len(self._energy_steps)), np.nan)
        self.windows: list[Window] = []

    def steps(self) -> IntArray:
        """Return the steps of a window at which it must be observed."""
        inside = np.union1d(self.lags, self._energy_steps)
        return np.unique(np.concatenate([[0], *(inside + part * self._segment for part in range(SEGMENTS))]))

    def observe(self, step: int, fractions: FloatArray, box: FloatArray, energy: float) -> None:
        """Take down what is seen at `step` of the present window: `energy` is U/N. Ends the window at its last step."""
        if step == 0:
            if not self._starts:
                self._keep(fractions, box)
            return
        part, lag = divmod(step - 1, self._segment)
        lag += 1
        at = np.flatnonzero(self.lags == lag)
        if len(at):
            self._scattering[part, at] = self._scattering_from(-1, fractions, box)
        at = np.flatnonzero(self._energy_steps == lag)
        if len(at):
            self._energy[part, at] = energy
            self._density[part, at] = len(self._species) / float(np.prod(box))
        if lag == self._segment:
            self._keep(fractions, box)
            if part == SEGMENTS - 1:
                self._end_window()

    def mean_density(self) -> float:
        """Return the mean density of the last two windows."""
        return float(np.mean([window.density for window in self.windows[-2:]]))

    def equilibrated(self, least: float) -> bool:
        """Tell whether at least `least` relaxation times have passed and the last window agrees with those before.

        That is, with the one before and, if there is one, the one before that: a slow drift, too small to be seen from
        one window to the next, is twice as large over two.
        """
        if len(self.windows) < 2:
            return False
        *before, last = self.windows[-3:]
        # NaN compares as false.
        return bool(self.in_tau_alpha() >= least) and all(agree(window, last) for window in before)

    def in_tau_alpha(self) -> float:
        """Return how many relaxation times the windows lasted, all together; NaN if none was measured."""
        return sum(window.duration for window in self.windows) / self.windows[-1].tau_alpha

    def state(self) -> dict[str, np.ndarray]:
        """Return arrays from which `restore` continues."""
        return {
            "starts": np.array(self._starts),
            "boxes": np.array(self._boxes),
            "scattering": self._scattering,
            "energy": self._energy,
            "density": self._density,
            "windows": self.table(),
        }

    def table(self) -> FloatArray:
        """Return the finished windows (W, 8), columns as in `Window`."""
        return np.array([window.as_row() for window in self.windows]).reshape(-1, len(fields(Window)))

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continue from what `state` returned."""
        self._starts, self._boxes = list(state["starts"]), list(state["boxes"])
        self._scattering, self._energy, self._density = (
            state[name].copy() for name in ("scattering", "energy", "density")
        )
        self.windows = [Window(*map(float, row)) for row in state["windows"]]

    def _keep(self, fractions: FloatArray, box: FloatArray) -> None:
        self._starts.append(fractions)
        self._boxes.append(box)

    def _scattering_from(self, start: int, fractions: FloatArray, box: FloatArray) -> float:
        mean_box = (box + self._boxes[start]) / 2
        displacements, mixture = (fractions - self._starts[start]) * mean_box, self._mixture
        return float(self_scattering(displacements, self._species, mixture.wave_numbers, mixture.dimension)[0])

    def _end_window(self) -> None:
        tau_alpha = self._relaxation_time()
        # Where the structure relaxes, if that is seen within a segment; else as late as can be seen.
        wanted = min(tau_alpha / self._time_step, self._segment) if np.isfinite(tau_alpha) else self._segment
        at = int(np.argmin(np.abs(np.log(self.lags / wanted))))
        if self.windows:
            before = round(self.windows[-1].lag / self._time_step)
            # A lag next to the one before means the same: keep to that, so that the windows can be compared.
            was = int(np.argmin(np.abs(self.lags - before)))
            at = was if abs(at - was) == 1 else at
        energies, scatterings = self._energy.mean(1), self._scattering[:, at]
        self.windows.append(
            Window(
                duration=SEGMENTS * self._segment * self._time_step,
                density=float(self._density.mean()),
                energy=float(energies.mean()),
                energy_error=blocked_error(energies),
                lag=float(self.lags[at] * self._time_step),
                scattering=float(scatterings.mean()),
                scattering_error=blocked_error(scatterings),
                tau_alpha=tau_alpha,
            )
        )
        for array in (self._scattering, self._energy, self._density):
            array[:] = np.nan
        self._forget_starts(tau_alpha)

    def _forget_starts(self, tau_alpha: float) -> None:
        """Keep what a relaxation time up to twice as long would need: large systems must not pile up positions."""
        if np.isfinite(tau_alpha):
            apart = int(np.ceil(tau_alpha / (self._segment * self._time_step)))
            keep = 2 * apart + SEGMENTS + 1
            self._starts, self._boxes = self._starts[-keep:], self._boxes[-keep:]

    def _relaxation_time(self) -> float:
        """Return tau_alpha: from this window's segments, and beyond a segment from all segment starts so far.

        Averaged over at most eight pairs of starts a lag, the latest.
        """
        times, curve = list(self.lags * self._time_step), list(self._scattering.mean(0))
        for apart in range(2, len(self._starts)):
            if curve[-1] < np.exp(-1):
                break
            last = len(self._starts) - 1
            ends = range(last, max(apart - 1, last - SEGMENTS), -1)
            values = [self._scattering_from(end - apart, self._starts[end], self._boxes[end]) for end in ends]
            times.append(apart * self._segment * self._time_step)
            curve.append(float(np.mean(values)))
        return relaxation_time(np.array(times), np.array(curve))
