"""Processes on one or several nodes that train one network together: who each is, where they meet, what they agree on.

On one machine `train.processes` starts them. Elsewhere the launcher of a cluster does, srun or torchrun, each with the
same command; then `Member.of_environment` finds out which one this is.
"""

import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import distributed
from torch.distributed import DistError, TCPStore  # type: ignore[attr-defined]

from glassformer.core.cores import cores
from glassformer.core.errors import GlassformerError, SettingsError, TrainingError
from glassformer.core.files import make_folder, write_atomically
from glassformer.core.signals import await_stop

T = TypeVar("T")

# A process waits for the first, which makes a model between two folds; if that one dies, the launcher ends all.
PATIENCE = timedelta(days=30)
# Seconds that processes wait for each other at the start: the nodes read the data at different speeds.
MEETING = 900.0
# Seconds within which all processes stop before the end of the walltime.
TOGETHER = 10.0
# Seconds until an address counts as out of reach.
REACH = 3.0
_AGAIN = "Restart all of them; finished epochs are kept."
# The request for the IPv4 address of an interface (linux/sockios.h).
_SIOCGIFADDR = 0x8915


@dataclass(frozen=True)
class Member:
    """One process of `size`, number `rank`; on its node it is number `local_rank` of `on_node`, with `threads` threads.

    `start`: tells one start of the processes from another; empty if the launcher itself says where they meet.
    """

    rank: int
    size: int
    local_rank: int
    on_node: int
    threads: int
    start: str = ""

    @property
    def gpu(self) -> int:
        """The number of its GPU among those that it sees: srun may show each task only its own GPU.

        Raises `SettingsError` if several tasks would share one.
        """
        seen = torch.cuda.device_count()
        if 1 < seen < self.on_node:
            raise SettingsError(
                f"got {self.on_node} tasks on a node with {seen} GPUs; each task needs one",
                f"Use {seen} tasks per node.",
            )
        return self.local_rank % max(1, seen)

    @classmethod
    def of_environment(cls, variables: Mapping[str, str] | None = None) -> "Member":
        """Return which process this is, as srun or torchrun says in the environment. Raises `SettingsError`."""
        known = os.environ if variables is None else variables
        if "TORCHELASTIC_RUN_ID" in known:
            on_node = int(known.get("LOCAL_WORLD_SIZE", 1))
            rank, size, local_rank = (int(known[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
            return cls(rank, size, local_rank, on_node, max(1, cores() // on_node))
        if "SLURM_STEP_ID" in known and "SLURM_STEP_NUM_TASKS" in known:
            names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")
            rank, size, local_rank = (int(known[name]) for name in names)
            # A job that was requeued has its number again.
            of_start = ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")
            on_node = _on_this_node(known)
            threads = int(known.get("SLURM_CPUS_PER_TASK", 0)) or max(1, cores() // on_node)
            start = "-".join(known.get(name, "0") for name in of_start)
            return cls(rank, size, local_rank, on_node, threads, start)
        raise SettingsError(
            "got --distributed, and this process was started neither by srun nor by torchrun",
            "Start it as `srun glassformer train ... --distributed`, or leave the option out.",
        )


def _on_this_node(variables: Mapping[str, str]) -> int:
    """Return how many tasks SLURM started on this node, which it writes as '4(x2),3' for nodes of 4, 4 and 3."""
    counts: list[int] = []
    for part in variables.get("SLURM_STEP_TASKS_PER_NODE", "1").split(","):
        count, _, times = part.partition("(x")
        counts += [int(count)] * int(times.rstrip(")") or 1)
    node = int(variables.get("SLURM_NODEID", 0))
    return counts[node] if node < len(counts) else counts[0]


@contextmanager
def joined(member: Member, folder: Path, device: torch.device) -> Iterator[None]:
    """Be one of the processes that train together, until the end of the block; they meet in `folder`, which all see.

    Raises `TrainingError` if the others cannot be reached, or one of them is lost.
    """
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        if member.start:
            store = _meet(member, folder)
            distributed.init_process_group(
                backend, store=store, timeout=PATIENCE, rank=member.rank, world_size=member.size
            )
        else:
            distributed.init_process_group(backend, timeout=PATIENCE)
        yield
        # Not after an error: with NCCL this may wait for processes that wait for this one.
        distributed.destroy_process_group()
    except (RuntimeError, DistError) as error:
        if isinstance(error, DistError) or "gloo" in str(error).lower() or "closed by peer" in str(error):
            # Another process may have stopped before the end of the walltime a moment earlier than this one.
            await_stop(TOGETHER)
            raise TrainingError(
                f"process {member.rank} of {member.size} cannot communicate with the others:"
                f" {str(error).splitlines()[0]}",
                "One of them may have ended: its own message says why. Restart all of them; finished epochs are kept.",
            ) from error
        raise
    finally:
        if member.rank == 0:
            with suppress(OSError):
                # Only if it is empty, as after a refusal.
                folder.rmdir()


def from_first(make: Callable[[], T]) -> T:
    """Return what `make()` returns in the first process, in all that train together; if there is one, call it.

    What it raises is raised in all.
    """
    if not distributed.is_initialized():
        return make()
    first = distributed.get_rank() == 0
    found: list[Any] = [None, None]
    if first:
        try:
            found[0] = make()
        except Exception as error:
            known = isinstance(error, GlassformerError)
            found[1] = error if known else TrainingError(f"process 0 failed: {type(error).__name__}: {error}", _AGAIN)
            if not known:
                distributed.broadcast_object_list(found)
                raise
    distributed.broadcast_object_list(found)
    if found[1] is not None:
        raise found[1]
    result: T = found[0]
    return result


def _meet(member: Member, folder: Path) -> TCPStore:
    """Return the store through which the processes find each other. The first writes into `folder` where it is."""
    path = folder / f".meeting-{member.start}"
    try:
        if member.rank == 0:
            return _invite(member, folder, path)
        return _accept(member, path)
    except DistError as error:
        raise TrainingError(
            f"process {member.rank} of {member.size} did not meet the others: {str(error).splitlines()[0]}",
            f"Look at the messages of the other processes. {_AGAIN}",
        ) from error


def _invite(member: Member, folder: Path, path: Path) -> TCPStore:
    store = TCPStore(
        "localhost", 0, member.size, is_master=True, timeout=timedelta(seconds=MEETING), wait_for_workers=False
    )
    make_folder(folder)
    for left in folder.glob(".meeting-*"):
        # Of a start that was killed while it waited.
        with suppress(OSError):
            left.unlink()
    addresses = _addresses()
    write_atomically(path, json.dumps({"addresses": addresses, "port": store.port}).encode())
    try:
        # Each other process says by which of the addresses it came. On this node the first will do; from elsewhere it
        # is the first that leads here.
        used = [store.get(f"reached by {rank}").decode() for rank in range(1, member.size)]
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    last = max(used, key=addresses.index, default="127.0.0.1")
    store.set("address", last)
    _use_interface_of(last)
    return store


def _accept(member: Member, path: Path) -> TCPStore:
    deadline = time.monotonic() + MEETING
    while time.monotonic() < deadline:
        # Looking into the folder lets a network file system show what is new in it.
        with suppress(OSError, ValueError):
            os.listdir(path.parent)
            found = json.loads(path.read_bytes())
            theirs, own = _reached(found["addresses"], int(found["port"]))
            store = TCPStore(
                theirs, int(found["port"]), member.size, timeout=timedelta(seconds=MEETING), wait_for_workers=False
            )
            store.set(f"reached by {member.rank}", theirs)
            # On the node of the first process, its interface.
            here = theirs in _interfaces().values()
            _use_interface_of(store.get("address").decode() if here else own)
            return store
        time.sleep(0.2)
    raise TrainingError(
        f"process {member.rank} of {member.size} has not heard from the first in {MEETING / 60:g} minutes",
        f"Is {path.parent} the same folder on all nodes? Can they connect to each other by TCP?",
    )


def _reached(addresses: list[str], port: int) -> tuple[str, str]:
    """Return the first of `addresses` that answers, and the address of this node that leads there. Raises `OSError`."""
    for address in addresses:
        with suppress(OSError), socket.create_connection((address, port), REACH) as connection:
            return address, str(connection.getsockname()[0])
    raise ConnectionRefusedError(f"none of {addresses} answers at port {port}")


def _addresses() -> list[str]:
    """Return where this node can be reached: what the user says, its interfaces, its name; its loopback last."""
    own = sorted(_interfaces().values(), key=lambda address: address.startswith("127."))
    wished = os.environ.get("MASTER_ADDR")
    return list(dict.fromkeys([*([wished] if wished else []), *own[:-1], socket.gethostname(), *own[-1:]]))


def _interfaces() -> dict[str, str]:
    """Return the IPv4 address of each network interface of this node, by its name."""
    if sys.platform != "linux":
        return {}
    import fcntl

    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            # Interfaces without an address raise an error.
            with suppress(OSError):
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                found[name] = socket.inet_ntoa(answer[20:24])
    return found


def _use_interface_of(address: str) -> None:
    """Let gloo and NCCL use the network that the processes met in: they would take that of the node's name."""
    name = next((name for name, own in _interfaces().items() if own == address), None)
    if name is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
        if name != "lo":
            # Without the sign it would be the beginning of a name.
            os.environ.setdefault("NCCL_SOCKET_IFNAME", f"={name}")
