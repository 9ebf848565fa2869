"""How work is counted: a bar that advances evenly, and plans that count the same."""

from pathlib import Path
from typing import Any

import pytest

from glassformer.cli import console as module
from glassformer.cli.console import StageProgress
from glassformer.core.campaign import Campaign
from glassformer.core.progress import Silent
from glassformer.core.settings import check_settings
from glassformer.core.tally import Tally
from glassformer.simulate import plan as plan_module
from glassformer.simulate import rates as rates_module
from glassformer.simulate import work
from glassformer.simulate.campaign import tasks
from glassformer.simulate.lammps import Lammps
from glassformer.simulate.plan import plan_campaign
from glassformer.simulate.rates import Rates
from glassformer.simulate.sample_task import simulate_sample
from glassformer.simulate.stages import fewest_steps
from glassformer.simulate.work import counted_draws, sample_work
from tests.conftest import TINY_CAMPAIGN

# Time units of a fake clock: LAMMPS's step, and a step of a vector of 16 draws, as measured.
LAMMPS_STEP, VECTOR_STEP = 1 / 1.8, 16 / 25


def campaign(**changes: object) -> Campaign:
    return check_settings(TINY_CAMPAIGN | changes, Campaign, "work")


@pytest.mark.parametrize(("draws", "counted"), [(1, 10.5), (8, 10.5), (9, 16), (16, 16), (20, 26.5), (28, 32), (0, 0)])
def test_lockstep_runs_vectors_and_halves(draws: int, counted: float) -> None:
    assert counted_draws(campaign(engine="lockstep"), draws) == counted
    assert counted_draws(campaign(engine="lammps"), draws) == draws


def test_the_work_of_a_sample() -> None:
    """The last observation is at step 400."""
    for engine, cost, full in (("lammps", 1, 20), ("lockstep", 14, 26.5)):
        settings = campaign(engine=engine, draws=20)
        point = settings.state_points[0]
        equilibration = cost * fewest_steps(settings, point)
        assert sample_work(settings, point, None) == equilibration + full * 400
        assert sample_work(settings, point, 18) == (2 if engine == "lammps" else 10.5) * 400
        assert sample_work(settings, point, 20) == 0


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


class Watched(StageProgress):
    """Notes time and share of the work at every advance."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock, self.seen = clock, []

    def advance(self, amount: float, note: str = "") -> None:
        super().advance(amount, note)
        self.seen: list[tuple[float, float, str]]
        self.seen.append((self._clock.now, self._done / self._total, self._state()))


def follow(settings: Campaign, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Simulate one real sample while a fake clock passes by what each engine's steps cost."""
    from glassformer.simulate.lockstep.engine import Lockstep

    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    for engine, cost in ((Lammps, LAMMPS_STEP), (Lockstep, VECTOR_STEP)):
        monkeypatch.setattr(engine, "advance", passing(engine.advance, clock, cost))
    (task,) = tasks(settings, folder)
    shown = Watched(clock)
    tally = Tally(shown, {task.name: sample_work(task.campaign, task.point, None)})
    simulate_sample(task, lambda done, more=0: tally.report(task.name, done, more))
    tally.finish(task.name)
    return shown


def passing(advance: Any, clock: Clock, cost: float) -> Any:
    def timed(self: Any, steps: int) -> None:
        advance(self, steps)
        clock.now += cost * steps

    return timed


@pytest.mark.long
@pytest.mark.parametrize("engine", ["lammps", "lockstep"])
@pytest.mark.parametrize("draws", [3, 20])
def test_the_time_left_at_half_way_is_right(
    engine: str, draws: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Enough windows that none is added, which nobody can foresee.
    settings = campaign(
        engine=engine, draws=draws, configurations=1, state_points=[TINY_CAMPAIGN["state_points"][0]],  # type: ignore[index]
        equilibration=TINY_CAMPAIGN["equilibration"] | {"most_windows": 2},  # type: ignore[operator]
        schedule={"first": 1, "count": 20, "last": 2000},
    )  # fmt: skip
    shown = follow(settings, tmp_path, monkeypatch)
    end = shown.seen[-1][0]
    assert shown.seen[-1][1] == pytest.approx(1)
    for now, share, _ in shown.seen:
        if 0.2 < now / end < 0.8:
            left = now * (1 - share) / share
            assert 0.5 < left / (end - now) < 2
    assert "100%" in capsys.readouterr().out.splitlines()[-1]


def test_the_state_holds_no_rate_of_unlike_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = campaign(engine="lammps", draws=1, configurations=1, state_points=[TINY_CAMPAIGN["state_points"][0]])  # type: ignore[index]
    assert not any("/s" in state for _, _, state in follow(settings, tmp_path, monkeypatch).seen)


class Log(Silent):
    def __init__(self) -> None:
        self.total = self.done = 0.0
        self.notes: list[tuple[float, str]] = []

    def start(self, stage: str, total: float, unit: str) -> None:
        self.total = total

    def advance(self, amount: float, note: str = "") -> None:
        self.done += amount
        self.notes.append((self.done / self.total, note))

    def expect(self, amount: float) -> None:
        self.total += amount


def test_the_bar_is_full_with_the_last_file_and_not_before() -> None:
    log = Log()
    tally = Tally(log, {"a": 10.0, "b": 10.0})
    tally.report("a", 10, 0)
    tally.report("b", 12, 2)
    assert log.done < log.total
    tally.finish("a")
    assert log.notes[-1][1] == "a done, 1 to go"
    # One that comes after the end.
    tally.report("a", 3, 0)
    tally.finish("b")
    assert log.notes[-1] == (1.0, "b done")


def test_reports_that_are_lost_do_not_leave_the_bar_short() -> None:
    log = Log()
    tally = Tally(log, {"a": 10.0})
    tally.finish("a")
    assert log.done == log.total


def test_a_failure_is_called_so() -> None:
    log = Log()
    tally = Tally(log, {"a": 10.0, "b": 10.0})
    tally.fail("a", "why")
    assert log.notes[-1][1] == "a failed, 1 to go"
    tally.finish("b")
    assert log.done == pytest.approx(log.total)


def test_a_plan_counts_vectors_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "measure_rates", lambda campaign, progress: Rates("lockstep", 1000.0, 500.0))
    for draws, counted in ((2, 10.5), (10, 16), (16, 16)):
        cost = plan_campaign(campaign(engine="lockstep", draws=draws), None, 1, Silent()).costs[0]
        assert cost.draw_hours == pytest.approx(4 * counted * 400 / 500 / 3600)


def test_rates_are_measured_once_and_on_few_particles(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    monkeypatch.setattr(rates_module, "_rate", lambda advance: sizes.append(1) or 1000.0)
    monkeypatch.setattr(
        rates_module, "_liquid", lambda mixture, particles, density: sizes.append(particles) or liquid(particles)
    )
    rates_module._measured.cache_clear()
    try:
        large = rates_module.measure_rates(campaign(particles=10_000), Silent())
        again = rates_module.measure_rates(campaign(particles=4000, draws=5), Silent())
    finally:
        rates_module._measured.cache_clear()
    assert sizes == [1000, 1]
    assert (large.equilibration, again.equilibration) == (100.0, 250.0)
    assert "N = 1000" in large.scaled


def liquid(particles: int) -> Any:
    from tests.conftest import rattled_lattice

    lattice = rattled_lattice(10)
    return lattice, 0 * lattice.positions


def test_work_has_one_constant() -> None:
    assert work.equilibration_cost(campaign(engine="lockstep")) == pytest.approx(25 / 1.8, rel=0.05)
