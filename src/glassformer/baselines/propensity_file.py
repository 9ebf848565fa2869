"""Propensity models as files: HDF5 with a checksum, some hundred kB, read without running anything in it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from glassformer.baselines.novelty import Novelty
from glassformer.baselines.propensity_model import ModelCard, NetworkMember, PropensityPredictor
from glassformer.baselines.temperature_ridge import Level, Response, TemperatureRidge
from glassformer.core.arrays import ArraySpec, check_arrays
from glassformer.core.errors import CheckpointError
from glassformer.core.hdf5 import group, open_hdf5, read_arrays, read_texts, write_hdf5

FORMAT = "glassformer propensity model"
KIND = "propensity model"
# Of a model that is too old or damaged.
_AGAIN = "Train it again: glassformer train propensity DATASET --out DIR."

# G temperatures, F columns, K times, B knots, f telling columns.
ARRAYS = (
    ArraySpec("temperatures", ("G",), "f8", "epsilon_AA", "temperatures of training, increasing"),
    ArraySpec("mean", ("G", "F"), "f4", "", "mean of each column"),
    ArraySpec("scale", ("G", "F"), "f4", "", "inverse of its spread; 0 for a column that does not vary"),
    ArraySpec("target_mean", ("G", "K"), "f8", "sigma_AA", "mean propensity"),
    ArraySpec("target_spread", ("G", "K"), "f8", "sigma_AA", "its spread over particles"),
    ArraySpec("weights", ("F", "K"), "f4", "", "weights of the standardised columns"),
    ArraySpec("tilt", ("F", "K"), "f4", "", "their change with the scaled temperature"),
    ArraySpec(
        "places", ("B", "K"), "f8", "", "predictions of the linear fit at which the response is known, increasing"
    ),
    ArraySpec("response", ("B", "K"), "f8", "", "predictions that they are replaced by"),
    ArraySpec("knots", ("B", "K"), "f8", "", "predictions between which errors are interpolated"),
    ArraySpec("error", ("B", "K"), "f8", "", "root mean square error there"),
    ArraySpec("precision", ("f", "f"), "f8", "", "inverse covariance of the telling columns"),
    ArraySpec("means", ("f",), "f8", "", "deviation of their means between configurations"),
    ArraySpec("limits", (3,), "f8", "", "threshold of distances, largest drift, particles per configuration"),
)

SIGNATURES = (ArraySpec("signatures", ("C", "F"), "f8", "", "of the configurations of training"),)
# Of models that have a network.
NETWORK = (ArraySpec("weights", ("W",), "f4", "", "parameters of the network, and the statistics of its batch norms"),)


def write_predictor(path: Path, predictor: PropensityPredictor) -> None:
    """Write `predictor` to `path`, whole or not at all. Raises `StorageError`."""

    def fill(file: Any) -> None:
        file.attrs["format"] = FORMAT
        file.attrs["card"] = predictor.card.model_dump_json()
        file.create_dataset("columns", data=list(predictor.columns), compression="gzip")
        file.create_dataset("signatures", data=predictor.signatures, compression="gzip", shuffle=True)
        for kind, (fit, limit) in enumerate(zip(predictor.fits, predictor.limits, strict=True)):
            part = file.create_group(f"species-{kind}")
            for spec in ARRAYS:
                array = _arrays(fit, limit)[spec.name].astype(spec.dtype)
                packing = {"compression": "gzip", "shuffle": True} if array.size > 1000 else {}
                part.create_dataset(spec.name, data=array, **packing)
        if predictor.network is not None:
            part = file.create_group("network")
            part.attrs["settings"] = json.dumps(predictor.network.settings)
            part.attrs["amplitudes"] = predictor.network.amplitudes
            part.create_dataset("weights", data=predictor.network.weights, compression="gzip", shuffle=True)

    write_hdf5(path, fill)


def read_predictor(path: Path) -> PropensityPredictor:
    """Read and check the model at `path`. Raises `CheckpointError`, naming it."""
    with open_hdf5(path, CheckpointError, KIND) as (file, size):
        if str(file.attrs.get("format")) != FORMAT:
            raise CheckpointError(f"{path} is not a {KIND}", "Name one: glassformer propensity --list, or train one.")
        try:
            card = ModelCard.model_validate_json(str(file.attrs["card"]))
        except (ValidationError, json.JSONDecodeError, RecursionError) as error:
            raise CheckpointError(
                f"{path}: its card is damaged: {str(error).splitlines()[-1].strip()}", _AGAIN
            ) from None
        columns, known = read_texts(file, "columns", size), read_arrays(file, SIGNATURES, size)
        network = _network(group(file, "network"), len(card.times[0]), size, path) if card.network_share else None
        parts = [read_arrays(group(file, f"species-{kind}"), ARRAYS, size) for kind in range(len(card.mixture.species))]
    check_arrays(SIGNATURES, known, CheckpointError, str(path))
    for part in parts:
        _check(part, card, columns, path)
    fits = tuple(_fit(part, card.network_share) for part in parts)
    return PropensityPredictor(card, columns, fits, tuple(map(_limit, parts)), known["signatures"], network)


def _network(part: Any, targets: int, size: int, path: Path) -> NetworkMember:
    found = read_arrays(part, NETWORK, size)
    check_arrays(NETWORK, found, CheckpointError, str(path))
    try:
        settings = json.loads(str(part.attrs["settings"]))
    except (KeyError, ValueError, RecursionError):
        raise CheckpointError(f"{path}: the settings of its network are damaged", _AGAIN) from None
    if not isinstance(settings, dict):
        raise CheckpointError(f"{path}: the settings of its network are no table", _AGAIN)
    return NetworkMember(settings, found["weights"], targets, bool(part.attrs.get("amplitudes", False)))


def _check(part: dict[str, NDArray[Any]], card: ModelCard, columns: tuple[str, ...], path: Path) -> None:
    sizes = check_arrays(ARRAYS, part, CheckpointError, str(path))
    times = {len(row) for row in card.times}
    if sizes["F"] != len(columns) or sizes["G"] != len(card.temperatures) or times != {sizes["K"]}:
        raise CheckpointError(
            f"{path}: got arrays of {sizes['F']} columns, {sizes['G']} temperatures and {sizes['K']} times; its card"
            f" names {len(columns)}, {len(card.temperatures)} and {sorted(times)}",
            _AGAIN,
        )
    if not np.allclose(part["temperatures"], card.temperatures) or (np.diff(part["temperatures"]) <= 0).any():
        raise CheckpointError(f"{path}: the temperatures of its arrays are not those of its card", _AGAIN)
    if (np.diff(part["places"], axis=0) <= 0).any() or (np.diff(part["response"], axis=0) < 0).any():
        raise CheckpointError(f"{path}: got a response that is not monotone", _AGAIN)
    positive = ("target_mean", "target_spread", "limits", "means")
    if any((part[name] <= 0).any() for name in positive) or (part["scale"] < 0).any() or (part["error"] < 0).any():
        raise CheckpointError(f"{path}: got spreads or limits that are not positive", _AGAIN)


def _arrays(fit: TemperatureRidge, limit: Novelty) -> dict[str, NDArray[Any]]:
    level = fit.level
    return {
        "temperatures": level.temperatures, "mean": level.mean, "scale": level.scale,
        "target_mean": level.target_mean, "target_spread": level.target_spread,
        "weights": fit.weights, "tilt": fit.tilt,
        "places": fit.response.places, "response": fit.response.values,
        "knots": fit.knots, "error": fit.error,
        "precision": limit.precision, "means": limit.means,
        "limits": np.array([limit.threshold, limit.drift, limit.particles]),
    }  # fmt: skip


def _fit(part: dict[str, NDArray[Any]], share: float) -> TemperatureRidge:
    mean, scale = (part[name].astype(np.float64) for name in ("mean", "scale"))
    level = Level(part["temperatures"], mean, scale, part["target_mean"], part["target_spread"])
    weights, tilt = (part[name].astype(np.float64) for name in ("weights", "tilt"))
    return TemperatureRidge(
        level, weights, tilt, Response(part["places"], part["response"]), part["knots"], part["error"], share
    )


def _limit(part: dict[str, NDArray[Any]]) -> Novelty:
    threshold, drift, particles = map(float, part["limits"])
    return Novelty(part["precision"], threshold, part["means"], drift, particles)
