"""Into how wide vectors draws are cut on a GPU, and what that costs."""

# Widths of a vector: a whole, a half or a quarter of a warp.
WIDTHS = (32, 16, 8)
# Bytes that a listed pair moves: its entry, which all draws of the vector share, and three numbers of every lane.
ENTRY_BYTES, LANE_BYTES = 16, 12


def best_width(draws: int) -> int:
    """Return the lanes of the vectors into which `draws` draws are cut: those that move the fewest bytes per pair."""
    return min(WIDTHS, key=lambda width: _bytes(draws, width))


def device_work(draws: int) -> float:
    """Return as how many draws of full vectors `draws` draws of one configuration count, by the bytes they move."""
    full = max(WIDTHS)
    return _bytes(draws, best_width(draws)) / (_bytes(full, full) / full)


def single_work() -> float:
    """Return as how many draws of full vectors a single trajectory counts, with lists of its own."""
    full = max(WIDTHS)
    return _bytes(1, 1) / (_bytes(full, full) / full)


def _bytes(draws: int, width: int) -> int:
    return -(-draws // width) * (ENTRY_BYTES + LANE_BYTES * width)
