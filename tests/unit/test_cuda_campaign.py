"""Campaigns whose draws run on a CUDA device, on numba's simulator."""

import os
import pickle
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassformer.core.campaign import Campaign
from glassformer.core.errors import EngineError
from glassformer.core.progress import Silent
from glassformer.core.settings import check_settings
from glassformer.dataset.sample import read_sample
from glassformer.simulate import batch_task
from glassformer.simulate.batch_task import Batch
from glassformer.simulate.campaign import run_campaign
from glassformer.simulate.draws import device_found
from tests.side_by_side import SideBySide
from tests.unit.cuda_simulator import simulated
from tests.unit.test_device_runs import SETTINGS

CAMPAIGN = """
import tempfile
from dataclasses import replace
from pathlib import Path
from glassformer.core.campaign import Campaign
from glassformer.dataset.sample import read_sample
from glassformer.dataset.starts import Start
from glassformer.simulate.batch_task import batches, simulate_batch
from glassformer.simulate.sample_task import Task, simulate_sample
from glassformer.simulate.unfinished import Unfinished
from glassformer.core.mixture import shipped_mixture

module.lists.WARP, widths.WIDTHS = 2, (2,)
batch.CHECKPOINT_STEPS = module.REFRESH_STEPS = 2
table = shipped_mixture("kob-andersen").model_copy(update={"cutoff": ((1.2, 1.2), (1.2, 1.2)), "cutoff_in_sigma": None})
starts = [rattled_lattice(3, seed, spacing=1.08) for seed in (0, 1)]
starts = [replace(start, species=np.repeat([0, 1], [22, 5]).astype(np.uint8)) for start in starts]
campaign = Campaign.model_validate(dict(
    seed=3, particles=100, mixture=table.model_dump(), configurations=2, draws=2, engine="cuda", time_step=0.01,
    particle_times=[0.03], equilibration=dict(as_given=True, start_from="starts"),
    schedule=dict(first=1, count=2, last=5), state_points=[dict(temperature=0.5, density=starts[0].density)]))
# Fewer than a campaign may have: the simulator is slow.
campaign = campaign.model_copy(update={"particles": 27})

def tasks(folder):
    Path(folder).mkdir()
    point = campaign.state_points[0]
    return [Task(campaign, point, index, Path(folder) / point.label / f"c{index:04d}.h5", Start(starts[index]))
            for index in range(2)]
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_batch_resumed_one_by_one_makes_the_same_samples() -> None:
    simulated(
        CAMPAIGN
        + """
with tempfile.TemporaryDirectory() as folder:
    whole, broken = tasks(folder + "/a"), tasks(folder + "/b")
    (together,) = batches(whole)
    assert simulate_batch(together) == 2
    save, saved = Unfinished.save, []
    class Killed(Exception): pass
    def dying(self, name, arrays):
        save(self, name, arrays)
        saved.append(name)
        if len(saved) == 2:
            raise Killed
    Unfinished.save = dying
    try:
        simulate_batch(batches(broken)[0])
    except Killed:
        pass
    Unfinished.save = save
    assert saved == ["draws-0-1-running"] * 2
    began = []
    advance = LockstepCuda.advance
    def watched(self, steps):
        began.append(self.steps)
        advance(self, steps)
    LockstepCuda.advance = watched
    for task in broken:
        simulate_sample(task)
    assert min(began) == 2
    for one, other in zip(whole, broken):
        first, second = read_sample(one.path), read_sample(other.path)
        # As words: there are NaNs among them.
        assert str(first.facts) == str(second.facts)
        assert first.facts.engine == "lockstep on CUDA 1 (on numba's CUDA simulator)"
        for name in vars(first.ensemble):
            np.testing.assert_array_equal(getattr(first.ensemble, name), getattr(second.ensemble, name), name)
        assert first.ensemble.msd[0, -1, 0] > 0
"""
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_samples_of_a_batch_are_counted_when_another_run_holds_one() -> None:
    simulated(
        CAMPAIGN
        + """
from glassformer.core.lock import HeldError, held
with tempfile.TemporaryDirectory() as folder:
    first, second = tasks(folder + "/a")
    (together,) = batches([first, second])
    second.lock.parent.mkdir()
    with held(second.lock):
        try:
            simulate_batch(together)
        except HeldError as error:
            assert error.made == 1 and error.owner is not None
        else:
            raise AssertionError("the held sample was made")
    assert first.path.exists() and not second.path.exists()
    assert simulate_batch(together) == 1
"""
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_batch_is_equilibrated_on_the_device_and_killed_and_resumed_there() -> None:
    simulated(
        CAMPAIGN
        + """
module.TOGETHER = 2
campaign = campaign.model_copy(update={"equilibration": Campaign.model_validate(dict(
    campaign.model_dump() | dict(particles=100, equilibration=dict(
        time_step=0.01, hold_in_tau_alpha=0.01, most_windows=2, box="as-it-fell",
        stages=[dict(temperature=0.6, duration=0.02), dict(temperature="target", duration=0.02, ramp=True)]),
        state_points=[dict(temperature=0.5, density=1.0, hold_time=0.08)]))).equilibration,
    "state_points": (campaign.state_points[0].model_copy(update={"density": 1.0, "hold_time": 0.08}),)})

def tasks(folder):
    Path(folder).mkdir()
    point = campaign.state_points[0]
    return [Task(campaign, point, index, Path(folder) / point.label / f"c{index:04d}.h5") for index in range(2)]

with tempfile.TemporaryDirectory() as folder:
    whole, broken = tasks(folder + "/a"), tasks(folder + "/b")
    (together,) = batches(whole)
    assert simulate_batch(together) == 2
    save, saved = Unfinished.save, []
    def dying(self, name, arrays):
        save(self, name, arrays)
        saved.append(name)
        if len(saved) == 5:
            raise EngineError("killed", "")
    Unfinished.save = dying
    try:
        simulate_batch(batches(broken)[0])
    except EngineError:
        pass
    Unfinished.save = save
    assert set(saved[:5]) == {"equilibration"}
    for task in broken:
        simulate_sample(task)
    for one, other in zip(whole, broken):
        first, second = read_sample(one.path), read_sample(other.path)
        assert str(first.facts) == str(second.facts)
        assert first.facts.engine == "lockstep on CUDA 1; equilibrated there (on numba's CUDA simulator)"
        np.testing.assert_array_equal(first.configuration.positions, second.configuration.positions)
        np.testing.assert_array_equal(first.equilibration.windows, second.equilibration.windows)
        np.testing.assert_array_equal(first.ensemble.msd, second.ensemble.msd)
        assert abs(first.configuration.density - 1) < 1e-9
"""
    )


class Elsewhere:
    """Does tasks as workers of Parsl do, to which they are sent; `given` are those that it was given."""

    def __init__(self) -> None:
        self.given: list[Any] = []

    def __call__(
        self, work: Callable[[Any], Any], tasks: Sequence[Any], tally: Any, check: Callable[[], None]
    ) -> tuple[dict[str, Any], dict[str, Exception]]:
        results: dict[str, Any] = {}
        failures: dict[str, Exception] = {}
        for task in tasks:
            self.given.append(task)
            there, sent = pickle.loads(pickle.dumps((work, task)))
            try:
                results[task.name] = there(sent)
                tally.finish(task.name)
            except EngineError as error:
                failures[task.name] = error
        return results, failures


@pytest.mark.skipif(device_found(), reason="has a device")
def test_workers_look_for_the_device_and_the_coordinator_does_not(tiny_campaign: Campaign, tmp_path: Path) -> None:
    campaign, runner = tiny_campaign.model_copy(update={"engine": "cuda"}), Elsewhere()
    with pytest.raises(EngineError) as caught:
        run_campaign(campaign, tmp_path / "data", Silent(), 1, runner=runner)
    assert caught.value.problem == (
        f"T0.50_P1.55/c0000 to T0.56_P0.17/c0003: {os.uname().nodename}: no CUDA device that numba can use"
    )
    assert [len(batch.tasks) for batch in runner.given] == [8]
    with pytest.raises(EngineError, match="no CUDA device"):
        run_campaign(campaign, tmp_path / "here", Silent(), 1)
    assert not (tmp_path / "here").exists()


@pytest.mark.long
def test_batches_are_sent_to_workers_with_a_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops on the processor stand for the device."""
    from glassformer.simulate.lockstep import batch, cuda, device_runs
    from glassformer.simulate.lockstep.ensemble import run_lockstep_draws

    def followed(vectors: Sequence[batch.Vector], threads: int = 1) -> list[Any]:
        return [
            run_lockstep_draws(
                v.configuration, v.temperature, v.seeds, v.campaign, v.report, None, lambda arrays: None
            )[0]
            for v in vectors
        ]

    def conductor(mixture: Any, time_step: float, active: int, threads: int) -> device_runs.Conductor:
        loops = partial(SideBySide, mixture, time_step)
        return real(mixture, time_step, active, threads, loops, lambda particles: 100)

    real = device_runs.Conductor
    monkeypatch.setattr(device_runs, "Conductor", conductor)
    monkeypatch.setattr(batch, "follow_vectors", followed)
    monkeypatch.setattr(cuda, "check_device", lambda: None)
    monkeypatch.setattr(cuda, "device_name", lambda: "plain loops")
    monkeypatch.setattr(batch_task, "BATCH", 2)
    settings = SETTINGS | {
        "particles": 150,
        "configurations": 3,
        "engine": "cuda",
        "state_points": [{"temperature": 1.2, "density": 1.1, "hold_time": 0.5}],
        "equilibration": {
            "hold_in_tau_alpha": 0.01,
            "most_windows": 2,
            "stages": [{"temperature": 1.5, "duration": 0.5}],
        },
    }
    campaign, runner = check_settings(settings, Campaign, "campaign"), Elsewhere()
    assert run_campaign(campaign, tmp_path / "data", Silent(), 1, runner=runner) == 3
    assert all(isinstance(given, Batch) for given in runner.given)
    assert [len(given.tasks) for given in runner.given] == [2, 1]
    samples = [read_sample(path) for path in sorted((tmp_path / "data").glob("*/c*.h5"))]
    assert {sample.facts.engine for sample in samples} == {"lockstep on CUDA 1; equilibrated there (on plain loops)"}
    assert len({float(np.asarray(sample.configuration.positions).sum()) for sample in samples}) == 3


@pytest.mark.parametrize(
    ("variables", "expected"),
    [({}, 16), ({"PARSL_WORKER_COUNT": "4"}, 4), ({"PARSL_WORKER_COUNT": "4", "PARSL_CORES": "64"}, 16)],
)
def test_a_worker_computes_on_its_share_of_the_node(
    variables: dict[str, str], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PARSL_WORKER_COUNT", "PARSL_CORES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(batch_task, "cores", lambda: 16)
    assert batch_task._cores_of_worker() == expected


# Vectors that fly straight on, as the kernels' launches are replaced; after step 4 they need longer lists.
MEMORY = """
import gc, weakref
gc.disable()
saved, progress, alive = {}, [], []
module.OUTER_ROOM = module.INNER_ROOM = 60

class Flying(LockstepCuda):
    def __init__(self, *arguments):
        assert not any(engine() for engine in alive)
        alive.append(weakref.ref(self))
        super().__init__(*arguments)
        sizes.append(self._shape[0])

    def restore(self, states):
        super().restore(states)
        restored.append(self.steps)

    def _launch_lists(self, stream): pass
    _launch_forces = _launch_lists

    def _launch_step(self, stream):
        self._u.copy_to_device(self._u.copy_to_host() + np.float32(0.01) * self._w.copy_to_host())
        if self.steps >= 4 and self._outer[1].shape[2] < 400:
            self._needed.copy_to_device(np.full_like(self._needed.copy_to_host(), 400))

def outcomes(room):
    # Room for the longer lists of so many vectors of 27 particles, 16 bytes an entry.
    module.free_bytes = lambda: room * 520 * 27 * 16
    saved.clear(), progress.clear(), alive.clear(), sizes.clear(), restored.clear()
    def vector(number):
        def report(done, more=0): progress.append((done, more))
        return batch.Vector(starts[number % 2], 0.5, [number, 9 + number], campaign, report, None,
            lambda arrays: saved.update({number: arrays}), lambda: saved.get(number))
    return batch.follow_vectors([vector(number) for number in range(5)])

sizes, restored = [], []
batch.LockstepCuda, batch.free_bytes = Flying, lambda: 2**40
work = 5 * 2 * int(batch.observation_steps(campaign)[-1])
"""


@pytest.mark.long
def test_vectors_that_outgrow_the_memory_continue_in_smaller_groups() -> None:
    simulated(
        CAMPAIGN
        + MEMORY
        + """
expected = outcomes(100)
assert sizes == [5] and sum(done for done, _ in progress) == work
found = outcomes(2.5)
assert sizes == [5, 2, 2, 1] and restored == [4, 4, 4], (sizes, restored)
for one, other in zip(expected, found):
    assert np.abs(one.displacements).max() > 0
    for name in vars(one):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)
# What is done twice is reported as more to do.
assert sum(done for done, _ in progress) == work + sum(more for _, more in progress)
"""
    )


@pytest.mark.long
def test_a_vector_that_does_not_fit_alone_says_so_and_nothing_stays_on_the_device() -> None:
    simulated(
        CAMPAIGN
        + MEMORY
        + """
from glassformer.core.errors import DeviceMemoryError
found = outcomes(0.9)
assert sizes == [5, 2, 1, 1, 1, 1, 1], sizes
assert all(isinstance(one, DeviceMemoryError) for one in found)
assert "520 entries per particle for 1 vectors" in found[0].problem and "lockstep" in found[0].remedy
assert not any(engine() for engine in alive)

def full(*_):
    raise RuntimeError("[CUresult.CUDA_ERROR_OUT_OF_MEMORY] Call to cuMemAlloc")

LockstepCuda._zeros = full
assert all(isinstance(one, DeviceMemoryError) and "cuMemAlloc" in one.problem for one in outcomes(100))
assert not any(engine() for engine in alive)
"""
    )
