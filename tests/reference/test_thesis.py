"""The thesis's published observation times."""

from pathlib import Path

import numpy as np
import pytest

from glassformer.simulate.schedule import logfreq3


@pytest.mark.parametrize("name", ["T0.44_P2.93", "T0.47_P2.24", "T0.50_P1.55", "T0.56_P0.17"])
def test_all_200_times(name: str, reference_data: Path) -> None:
    table = np.genfromtxt(reference_data / "thesis_msd" / f"{name}.csv", delimiter=",", skip_header=2)
    np.testing.assert_array_equal(logfreq3(1, 200, 100_000), np.rint(table[:, 0] / 0.005))
