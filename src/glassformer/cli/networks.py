"""The networks that ship, what they cost, and whether one holds what every network must."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from glassformer.cli.console import console, print_table
from glassformer.core.errors import NetworkError
from glassformer.core.network_kinds import registered_networks
from glassformer.core.presets import load_network, network_presets
from glassformer.core.progress import Progress
from glassformer.core.words import counted

if TYPE_CHECKING:
    # Importing it takes a second, for torch.
    from glassformer.train.network_costs import Measured, NetworkCost


def network_costs(
    sources: Sequence[str], particles: int, threads: int, measured: bool, progress: Progress
) -> "list[NetworkCost]":
    """Return the cost of the networks of `sources`, presets or files; of all that ship if there are none."""
    presets = network_presets()
    chosen = {source: load_network(source) for source in sources or presets}
    from glassformer.train.network_costs import measure, network_cost

    costs = [network_cost(name, presets.get(name, ""), settings, particles) for name, settings in chosen.items()]
    if not measured:
        return costs
    progress.start("measure", len(costs), "networks")
    for number, (cost, settings) in enumerate(zip(costs, chosen.values(), strict=True)):
        costs[number] = replace(cost, measured=measure(settings, particles, threads))
        progress.advance(1, cost.name)
    return costs


def check_one(source: str, as_json: bool) -> None:
    """Test the network of `source` and print a line per property. Raises `NetworkError` if one does not hold."""
    settings = load_network(source)
    from glassformer.testing import PROPERTIES, Outcome, check_network

    width, outcomes = max(map(len, PROPERTIES)), list[Outcome]()
    for one in check_network(settings):
        outcomes.append(one)
        if not as_json:
            said = "not promised by its settings" if one.holds is None else "holds" if one.holds else "DOES NOT HOLD"
            console.print(f"{one.name:{width}}  {said}", highlight=False)
    if as_json:
        print(json.dumps([asdict(one) for one in outcomes], indent=1))
    broken = [one for one in outcomes if one.holds is False]
    if broken:
        number = f"{len(broken)} of {counted(sum(one.holds is not None for one in outcomes), 'property', 'properties')}"
        raise NetworkError(
            "\n".join([f"{source}: {number} do not hold", *(f"{one.name}: {one.problem}" for one in broken)]),
            "\n".join(f"{one.name}: {one.remedy}" for one in broken),
        )


def print_networks(costs: "Sequence[NetworkCost]") -> None:
    """Print one row per network."""
    print_table(
        ["network", "description", "head", "parameters", "GFLOP"],
        [
            [cost.name, cost.meaning, cost.head, f"{cost.parameters:,}", f"{cost.operations / 1e9:.1f}"]
            for cost in costs
        ],
        ["left", "left", "left", "right", "right"],
    )
    console.print(
        f"For one target. head: one output per configuration (system) or per particle (particle). GFLOP: 10^9 floating"
        f" point operations in the matrix products of one prediction, N = {costs[0].particles}, rho = 1.2.",
        style="dim",
    )
    registered = registered_networks()
    if registered:
        console.print(f"Of installed packages: {', '.join(registered)}.", style="dim")
    measured = [(cost.name, cost.measured) for cost in costs if cost.measured is not None]
    if measured:
        print_table(
            ["network", "prediction", "prediction memory", "training step", "training memory"],
            [[name, *_row(found)] for name, found in measured],
        )
        console.print(
            f"Measured on this machine: one configuration in float32 on {counted(measured[0][1].threads, 'thread')},"
            " median of three; memory in addition to that of Python, torch and the graph.",
            style="dim",
        )


def _row(found: "Measured") -> list[str]:
    return [
        f"{found.predict_seconds:.2f} s", _size(found.predict_bytes),
        f"{found.train_seconds:.2f} s", _size(found.train_bytes),
    ]  # fmt: skip


def _size(size: float) -> str:
    return "n/a" if math.isnan(size) else f"{size / 1e6:,.0f} MB"
