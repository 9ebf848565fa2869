"""A SLURM cluster of one node, this machine, on the loopback: started by the tests, and stopped by them."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")
CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={controller}
SlurmdPort={daemon}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
KillWait=5
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,batch_sched_delay=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class Cluster:
    """Its commands, in an environment that knows its configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "OMP_NUM_THREADS": "1"}
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        for name in ("munge", "state", "spool"):
            (self.folder / name).mkdir()
        key = self.folder / "munge" / "key"
        key.write_bytes(os.urandom(256))
        key.chmod(0o600)
        for path in (key.parent, key):
            shutil.chown(path, "munge", "munge")
        self.folder.chmod(0o755)
        ports = [free_port() for _ in range(2)]
        conf = CONF.format(host=socket.gethostname(), folder=self.folder, controller=ports[0], daemon=ports[1])
        (self.folder / "slurm.conf").write_text(conf)
        munge = [f"--{name}={key.parent / name}" for name in ("socket", "pid-file", "log-file", "seed-file")]
        self._run("runuser", "-u", "munge", "--", "munged", "--foreground", "--force", f"--key-file={key}", *munge)
        until(lambda: (key.parent / "socket").exists(), 20, "munged")
        self._run("slurmctld", "-D", "-c")
        self._run("slurmd", "-D")
        until(lambda: "idle" in self.command("sinfo", "-h", "-o", "%T"), 60, "slurmd")

    def stop(self) -> None:
        if self._started:
            self.command("scancel", "--user=root")
        for process in reversed(self._started):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def command(self, *words: str | Path) -> str:
        done = subprocess.run(
            [*map(str, words)], env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    def _run(self, *words: str) -> None:
        with (self.folder / "daemons.log").open("ab") as log:
            self._started.append(
                subprocess.Popen(words, env=self.environment, stdout=log, stderr=log, start_new_session=True)
            )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: object, seconds: float, what: str) -> None:
    assert callable(true)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return
        time.sleep(0.2)
    raise TimeoutError(what)


def refuse_without_slurm() -> None:
    """Skip the test, with the reason, where SLURM cannot be started."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"needs SLURM (apt-get install slurm-wlm munge): no {', '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("needs root, to start SLURM's daemons")
