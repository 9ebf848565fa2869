"""What every network must hold, tested on any: one that ships or one of your own.

On the command line: `glassformer networks NETWORK --check`. In Python: `check_network(settings)`. In pytest:

    from glassformer.core.presets import load_network
    from glassformer.testing import PROPERTIES, Subject

    @pytest.mark.parametrize("name", PROPERTIES)
    def test_my_network(name):
        PROPERTIES[name].check(Subject.of(load_network("my-network.toml")))
"""

from glassformer.testing.check import Outcome, check_network
from glassformer.testing.properties import PROPERTIES, Property
from glassformer.testing.subject import Structure, Subject, chosen, graph_of, structure

__all__ = [
    "PROPERTIES",
    "Outcome",
    "Property",
    "Structure",
    "Subject",
    "check_network",
    "chosen",
    "graph_of",
    "structure",
]
