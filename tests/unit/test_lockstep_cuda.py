"""The GPU's kernels on numba's CUDA simulator, at small N, in a process of their own."""

import os

import pytest

from tests.unit.cuda_simulator import simulated


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("lanes", "draws"), [(4, 3), (2, 2), (1, 1)])
def test_trajectories_are_those_of_the_cpu_while_lists_change(lanes: int, draws: int) -> None:
    simulated(f"""
engine = LockstepCuda(structures[:1], potential, 0.01, [velocities[0][:{draws}]], {lanes}, np.float64)
expected = interactions(structures[0], potential)
for force in engine.forces(0):
    np.testing.assert_allclose(force, expected.force, atol=1e-11)
np.testing.assert_allclose(engine.potential_energy(0), expected.energy.sum(), atol=1e-12)
cpu = Lockstep(structures[0], potential, 0.01, velocities[0][:{draws}], np.float64)
cpu.advance(7)
engine.advance(7)
np.testing.assert_allclose(engine.displacements(0), cpu.displacements(), atol=1e-12)
np.testing.assert_allclose(engine.velocities(0), cpu.velocities(), atol=1e-11)
np.testing.assert_allclose(engine.total_energy(0), cpu.total_energy(), atol=1e-10)
np.testing.assert_allclose(engine.virial(0), cpu.virial(), atol=1e-9)
assert engine.displacements(0).shape == ({draws}, 27, 3)
assert np.abs(cpu.displacements()).max() > 0.1
# The outer list is younger than the start.
assert np.abs(engine._u_then.copy_to_host()).max() > 0.1
""")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_200_steps_in_double_precision_are_those_of_the_cpu() -> None:
    """With a refresh on the way, and lists that change; 8 particles, for the simulator's sake."""
    simulated("""
module.lists.WARP = module.kernels.WIDE = 1
small, drawn = rattled_lattice(2, spacing=1.22), unit_masses(3, 8, 1.0)[None]
engine = LockstepCuda([small], potential, 0.005, [drawn], 1, np.float64)
cpu = Lockstep(small, potential, 0.005, drawn, np.float64)
engine.advance(200)
cpu.advance(200)
np.testing.assert_allclose(engine.displacements(0), cpu.displacements(), atol=1e-9)
np.testing.assert_allclose(engine.velocities(0), cpu.velocities(), atol=1e-9)
assert np.abs(cpu.displacements()).max() > 0.5
# Built on the way, not only when refreshed.
assert np.abs(engine._u_then.copy_to_host() - engine._before[0].copy_to_host()).max() > 0.1
""")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_single_precision_agrees_with_the_cpu_s() -> None:
    simulated("""
engine = LockstepCuda(structures[:1], potential, 0.01, [velocities[0][:2]])
cpu = Lockstep(structures[0], potential, 0.01, velocities[0][:2])
assert engine.lanes == 2
engine.advance(3)
cpu.advance(3)
np.testing.assert_allclose(engine.displacements(0), cpu.displacements(), atol=1e-6)
np.testing.assert_allclose(engine.forces(0), cpu.forces(), atol=1e-3)
""")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_too_short_lists_grow_and_a_vector_does_what_it_does_alone() -> None:
    simulated("""
module.REFRESH_STEPS = 3
alone = LockstepCuda(structures[:1], potential, 0.01, [velocities[0][:2]])
alone.advance(4)
module.OUTER_ROOM = 3
together = LockstepCuda(structures, potential, 0.01, [v[:2] for v in velocities])
assert together._outer[1].shape[2] > 3
# Lists that are too short for the pairs that the first steps will find: these are done again.
together._inner = together._empty_list(1)
clock = together._clock.copy_to_host()
clock[:, [module.lists.MOVED, module.lists.STRAYED2]] = 1e30
together._clock.copy_to_device(clock)
together._base = 0
begun, begin = [], together._refresh
together._refresh = lambda: (begun.append(together.steps), begin())
together.advance(4)
assert begun == [0, 3] and together._inner[1].shape[2] > 1
assert np.array_equal(together.displacements(0), alone.displacements(0))
assert np.array_equal(together.velocities(0), alone.velocities(0))
assert together.steps == 4
""")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_unstable_vector_stands_still_and_costs_no_other() -> None:
    simulated("""
module.lists.WARP, widths.WIDTHS = 2, (2,)
drawn = [velocities[0][:2] * np.array([1, 1e3])[:, None, None], velocities[1][:2]]
engine = LockstepCuda(structures, potential, 0.01, drawn)
engine.advance(2)
assert engine.unstable == {0}
try:
    engine.check()
except UnstableError as problem:
    assert problem.draws == (1,) and "unstable" in str(problem)
else:
    raise AssertionError
alone = LockstepCuda(structures[1:], potential, 0.01, drawn[1:])
alone.advance(2)
assert np.array_equal(engine.displacements(1), alone.displacements(0))
""")


def test_what_cannot_run_is_refused() -> None:
    simulated("""
def refused(message, *arguments):
    try:
        LockstepCuda(*arguments)
    except ConfigurationError as problem:
        assert message in str(problem), problem
    else:
        raise AssertionError(message)

refused("1 to 4 draws", structures, potential, 0.01, [np.zeros((5, 27, 3))] * 2, 4)
refused("expected one size", [structures[0], rattled_lattice(4)], potential, 0.01, velocities)
refused("2 vectors for 1", structures[:1], potential, 0.01, velocities)
refused("divisor of 4", structures, potential, 0.01, velocities, 3)
refused("two cutoffs", structures, with_cutoff(2.0), 0.01, velocities)
""")


@pytest.mark.parametrize(("draws", "width"), [(1, 8), (8, 8), (10, 16), (16, 16), (20, 8), (24, 8), (32, 32), (64, 32)])
def test_draws_are_cut_into_vectors_that_move_the_fewest_bytes(draws: int, width: int) -> None:
    from glassformer.simulate.lockstep.widths import best_width

    assert best_width(draws) == width


@pytest.mark.skipif(os.environ.get("NUMBA_ENABLE_CUDASIM") == "1", reason="the simulator stands for a device")
def test_without_a_device_it_says_so() -> None:
    from numba import cuda

    from glassformer.core.errors import EngineError
    from glassformer.simulate.lockstep.cuda import check_device

    if cuda.is_available():
        check_device()
    else:
        with pytest.raises(EngineError, match="no CUDA device"):
            check_device()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_rates_of_a_device_are_measured_without_lammps() -> None:
    simulated("""
from glassformer.simulate import rates
rates.MELT_STEPS, rates.DEVICE_DRAWS, rates.DEVICE_RUNS = 1, 8, 3
rates._rate = lambda advance: advance(1) or 10.0
rates.Lammps = None
liquid, velocities, pressure = rates._liquid_of_device(potential, 27, 0.8)
assert np.isfinite(liquid.positions).all() and velocities.shape == (27, 3) and pressure != 0
assert rates._measured_on_device(potential, 27, True, 0.8, 0.002, 0.005) == (3 * 10.0, 8 * 10.0)
assert 0 < rates._quench_seconds(potential, 27, 0.8, True) < 60
""")
