"""Training on a GPU: glassformer beside the best of its peers, and whether that meets the aims."""

from typing import Any

# Of a training step: at least so many times as fast as the fastest peer, in at most this part of the least memory.
SPEED_AIM, MEMORY_AIM = 4.0, 1 / 3
OWN = "glassformer"
Found = dict[str, Any]


def against_peers(measured: dict[str, Found]) -> Found:
    """Return the ratios of one precision, given what was measured of each network.

    `speedup`: time of the fastest peer over our own; `memory`: our peak of memory over that of the peer with the
    lowest, None on a CPU. Empty without our own or without a peer.
    """
    own, peers = (
        measured.get(OWN, {}),
        {who: one for who, one in measured.items() if who != OWN and "missing" not in one},
    )
    if "train_step" not in own or not peers:
        return {}
    found: Found = {
        call: _ratios(own[call], {who: one[call] for who, one in peers.items()}) for call in ("train_step", "predict")
    }
    step = found["train_step"]
    memory = step["memory"]
    return found | {
        "share_of_limit": own.get("share_of_limit"),
        "peers": sorted(peers),
        "speed_aim_met": step["speedup"] >= SPEED_AIM,
        "memory_aim_met": None if memory is None else memory <= MEMORY_AIM,
    }


def _ratios(own: Found, peers: dict[str, Found]) -> Found:
    seconds = {who: one["seconds_per_configuration"] for who, one in peers.items()}
    fastest = min(seconds, key=lambda who: seconds[who])
    peaks = {who: one["peak_bytes"] for who, one in peers.items() if one["peak_bytes"]}
    leanest = min(peaks, key=lambda who: peaks[who]) if peaks and own["peak_bytes"] else None
    return {
        "fastest_peer": fastest,
        "speedup": seconds[fastest] / own["seconds_per_configuration"],
        "leanest_peer": leanest,
        "memory": None if leanest is None else own["peak_bytes"] / peaks[leanest],
    }


def lacking(precisions: dict[str, dict[str, Found]]) -> list[str]:
    """Return what no ratio can do without and is missing: in any precision, our own network, or all peers."""
    found = [] if precisions else ["every precision"]
    for precision, measured in precisions.items():
        here = {who for who, one in measured.items() if "missing" not in one}
        if OWN not in here:
            found.append(f"{OWN} in {precision}")
        if not here - {OWN}:
            found.append(f"every peer in {precision}")
    return found
