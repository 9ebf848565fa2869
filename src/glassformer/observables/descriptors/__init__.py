"""Numbers that describe the surroundings of every particle, each with a name."""

from glassformer.observables.descriptors.collect import (
    DescriptorSettings,
    cage_descriptors,
    check_reach,
    collect_descriptors,
    reach_of,
)
from glassformer.observables.descriptors.table import Descriptors, join

__all__ = [
    "DescriptorSettings",
    "Descriptors",
    "cage_descriptors",
    "check_reach",
    "collect_descriptors",
    "join",
    "reach_of",
]
