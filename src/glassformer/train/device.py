"""Where networks train and predict, in which precision, and whether to the same numbers every time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from glassformer.core.errors import SettingsError
from glassformer.core.run import Precision
from glassformer.graph.batch import CPU

Device = Literal["auto", "cpu", "cuda"]


def choose_device(wanted: Device = "auto", rank: int = 0) -> torch.device:
    """Return the device of process `rank`: 'auto' is a GPU if there is one, else the CPU.

    Raises `SettingsError` if a GPU is wanted and torch finds none.
    """
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        built = torch.version.cuda is not None
        raise SettingsError(
            f"got device cuda, and torch {torch.__version__} "
            + ("finds no CUDA device" if built else "is built without CUDA"),
            "Check nvidia-smi and the driver, or use --device cpu."
            if built
            else "Install a CUDA build of torch, or use --device cpu.",
        )
    return torch.device("cuda", rank) if there and wanted != "cpu" else CPU


def device_name(device: torch.device) -> str:
    """Return what a result is said to have been computed on: 'cpu', or the name of the GPU."""
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type


def be_deterministic(wanted: bool) -> None:
    """Let torch use only algorithms that give the same numbers every time, or the fastest."""
    if wanted:
        # cuBLAS reads the variable when it starts; without it torch refuses some operations in this mode.
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    torch.use_deterministic_algorithms(wanted)


@contextmanager
def products_in(precision: Precision) -> Iterator[None]:
    """Let matrix products of float32 be made in TF32 where `precision` is 'tf32', on GPUs that have it; else not.

    TF32 keeps 10 of float32's 23 bits of the factors and sums in float32. bfloat16 is left to autocast.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
