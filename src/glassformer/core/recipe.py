"""The recipe of a propensity model: what it is trained on, what it reads, and what its card says."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from glassformer.core.bounds import Temperature, Time
from glassformer.core.settings import Settings

Reads = Literal["inherent", "restricted", "window"]
Text = Annotated[str, Field(max_length=2000)]


# Tables that only a run file has.
_OF_RUNS = {"split", "training"}


def is_recipe_table(values: Mapping[str, Any]) -> bool:
    """Tell whether settings are meant as a recipe: they say what the model reads, or hold keys that no run has.

    A mistyped `reads` counts, too, so that the message is about the keys of a recipe.
    """
    if "reads" in values:
        return True
    if _OF_RUNS & values.keys():
        return False
    only = Recipe.model_fields.keys() - {"seed", "network", "targets"}
    strange = [key for key in values if key not in ("seed", "network", "targets")]
    return (
        isinstance(values.get("targets"), list)
        or bool(only & values.keys())
        or any(difflib.get_close_matches(key, ["reads"], cutoff=0.7) for key in strange)
    )


class RecipeTarget(Settings):
    """A temperature, and the times at which its propensities are learned, increasing."""

    temperature: Temperature
    times: Annotated[tuple[Time, ...], Field(min_length=1)]


class RecipeNetwork(Settings):
    """A network whose predictions are averaged with those of the regression, both in units of the spread.

    `run`: a run that ships, or a file: its network and optimiser are used. The network reads the configuration and, in
    the place of its inherent structure, the cage positions if the recipe reads them. `share`: of the network in the
    mean. `steps` of the optimiser, one configuration each. `weight_of_ends`: least weight of the loss for an end of a
    draw, beside 1 for a configuration with all its draws; further draws of an end raise it as in the regression.
    `amplitudes`: the network reads <u^2> in the cage, too, which needs cage positions.
    """

    run: Annotated[str, Field(min_length=1, max_length=1000)] = "propensity-network"
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    weight_of_ends: Annotated[float, Field(gt=0, le=1)] = 0.3
    amplitudes: bool = False


class Recipe(Settings):
    """How a propensity model is trained: `glassformer train propensity`.

    `only`: labels of the state points that are learned from, such as T0.50_P1.55 or T0.50; without them all.
    `reads`: descriptors of the inherent structure; with those of restricted cage positions; or of the mean positions in
    a short window of free draws. `targets`: what is learned, the same number of times at every temperature; without
    them all temperatures and times of the data. `left_out`: configurations of each temperature that are left out
    together, in turn, to measure errors and scores. `network`: one that is averaged with the regression, for a single
    temperature. `descriptors`: changes to the defaults of `DescriptorSettings`.
    `density_spread`: how far densities of the data may differ, as a share; boxes that were kept as they fell at
    constant pressure differ by a few percent. `purpose`, `data`, `licence`, `limits`: sentences of the model's card.
    """

    name: Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[\w.+-]+$")] = "own"
    purpose: Text = ""
    data: Text = ""
    licence: Annotated[str, Field(max_length=500)] = ""
    limits: Text = ""
    reads: Reads = "inherent"
    only: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = ()
    targets: tuple[RecipeTarget, ...] = ()
    left_out: Annotated[int, Field(ge=1, le=1000)] = 2
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    density_spread: Annotated[float, Field(ge=0, le=0.1)] = 0.03
    network: RecipeNetwork | None = None
    descriptors: dict[str, Any] = Field(default_factory=dict)

    def learning_from(self, only: Sequence[str]) -> "Recipe":
        """Return the same for the state points with the labels `only`, if there are any."""
        return self.model_copy(update={"only": tuple(only)}) if only else self

    @model_validator(mode="after")
    def _targets_fit(self) -> "Recipe":
        numbers = {len(target.times) for target in self.targets}
        if len(numbers) > 1:
            raise ValueError(f"targets: got {sorted(numbers)} times; expected as many at every temperature")
        if any(list(target.times) != sorted(set(target.times)) for target in self.targets):
            raise ValueError("targets: times must increase")
        temperatures = [target.temperature for target in self.targets]
        if temperatures != sorted(set(temperatures)):
            raise ValueError("targets: temperatures must increase")
        if self.network is not None and len(temperatures) > 1:
            raise ValueError("network: got several temperatures; expected one, or no network")
        if self.network is not None and self.network.amplitudes and self.reads == "inherent":
            raise ValueError('network.amplitudes: inherent structures have none; expected reads = "restricted"')
        return self
