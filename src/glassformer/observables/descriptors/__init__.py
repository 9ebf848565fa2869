"""Numbers that describe the surroundings of every particle, each with a name."""

from glassformer.observables.descriptors.collect import DescriptorSettings, collect_descriptors
from glassformer.observables.descriptors.table import Descriptors, join

__all__ = ["DescriptorSettings", "Descriptors", "collect_descriptors", "join"]
