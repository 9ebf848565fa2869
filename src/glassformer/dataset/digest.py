"""What lists and summaries need of a sample, small enough to be kept for thousands of them."""

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from glassformer.core.arrays import FloatArray
from glassformer.core.mixture import ratio
from glassformer.dataset.sample import Sample
from glassformer.observables.relaxation import relaxation_time


@dataclass(frozen=True)
class Definition:
    """What the samples of one state point share; `box` holds the three edges, `shortest` the shortest that counts."""

    identifier: str
    state_point: str
    temperature: float
    pressure: float | None
    density: float | None
    mixture: str
    wave_numbers: tuple[float, ...]
    of_species: tuple[int, ...]
    box: tuple[float, ...]
    shortest: float
    number_density: float

    @classmethod
    def of(cls, sample: Sample) -> "Definition":
        """Return that of `sample`."""
        facts, structure = sample.facts, sample.configuration
        return cls(
            sample.identifier,
            facts.state_point,
            facts.temperature,
            facts.pressure,
            facts.density,
            facts.mixture.identity,
            tuple(facts.mixture.wave_numbers),
            tuple(np.bincount(structure.species).tolist()),
            tuple(structure.box.tolist()),
            float(structure.edges.min()),
            structure.density,
        )

    @property
    def particles(self) -> int:
        """Number of particles N."""
        return sum(self.of_species)


@dataclass(frozen=True, eq=False)
class Digest:
    """A sample without its arrays: its definition, the facts that summaries show, and two vectors.

    `scattering` (T,) is F_s of the first species at `times` (T,), averaged over draws; both are None where no draw
    gives it. `tau_alpha` is that of `scattering`, NaN if it was not reached. `signature` (F,) tells copies:
    `glassformer.physics.signature`. `draws` is 0 also where imported means do not say their number; `followed` tells
    whether there are any.
    """

    definition: Definition
    liquid: str
    species: tuple[str, ...]
    composition: str
    dimension: int
    draws: int
    followed: bool
    last_time: float
    tau_alpha: float
    energy_drift: float
    conserves_energy: bool
    equilibration_time: float
    hold_tau_alpha: float
    crystalline_fraction: float
    equilibrated: bool | None
    engine: str | None
    index: int | None
    parameter_hash: str | None
    times: FloatArray | None
    scattering: FloatArray | None
    signature: FloatArray

    @classmethod
    def of(cls, sample: Sample) -> "Digest":
        """Return that of `sample`."""
        facts, ensemble = sample.facts, sample.ensemble
        times = scattering = None
        if ensemble is not None and ensemble.self_scattering is not None:
            times, scattering = ensemble.times, ensemble.self_scattering[:, :, 0].mean(0)
        return cls(
            definition=Definition.of(sample),
            liquid=facts.mixture.name,
            species=tuple(facts.mixture.species),
            composition=ratio(facts.mixture),
            dimension=facts.mixture.dimension,
            draws=sample.draws,
            followed=ensemble is not None,
            last_time=math.nan if ensemble is None else float(ensemble.times[-1]),
            tau_alpha=math.nan if times is None or scattering is None else relaxation_time(times, scattering),
            energy_drift=_known(facts.energy_drift),
            conserves_energy=facts.conserves_energy,
            equilibration_time=_known(facts.equilibration_time),
            hold_tau_alpha=_known(facts.hold_tau_alpha),
            crystalline_fraction=_known(facts.crystalline_fraction),
            equilibrated=facts.equilibrated,
            engine=facts.engine,
            index=facts.index,
            parameter_hash=facts.parameter_hash,
            times=times,
            scattering=scattering,
            signature=sample.configuration.signature,
        )

    def without_arrays(self) -> dict[str, Any]:
        """Return all but the arrays by name, as plain values: NaN stays NaN."""
        return {name: value for name, value in vars(self).items() if name not in ARRAYS} | {
            "definition": list(vars(self.definition).values())
        }


ARRAYS = ("times", "scattering", "signature")


def restored(
    plain: dict[str, Any], times: FloatArray | None, scattering: FloatArray | None, signature: FloatArray
) -> Digest:
    """Return the digest of which `without_arrays` made `plain`, with its arrays."""
    values = dict(zip(_DEFINITION, plain["definition"], strict=True))
    values |= {name: tuple(values[name]) for name in _TUPLES}
    arrays = {"times": times, "scattering": scattering, "signature": signature}
    more = {"definition": _made(Definition, values), "species": tuple(plain["species"])}
    return _made(Digest, plain | arrays | more)


_DEFINITION = tuple(Definition.__dataclass_fields__)
_TUPLES = ("wave_numbers", "of_species", "box")
Kind = TypeVar("Kind")


def _made(kind: type[Kind], values: dict[str, Any]) -> Kind:
    """Return a frozen dataclass with these fields: in a third of the time that its own making takes."""
    one = object.__new__(kind)
    one.__dict__.update(values)
    return one


def _known(value: float | None) -> float:
    return math.nan if value is None else value
