"""SLURM jobs of several nodes each, for clusters that prefer few large jobs: change partition, account and sizes."""

import sys
from pathlib import Path

from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.launchers import SrunLauncher
from parsl.providers import SlurmProvider

CORES, NODES = 128, 8

config = Config(
    executors=[
        HighThroughputExecutor(
            label="nodes",
            cores_per_worker=1,
            max_workers_per_node=CORES,
            provider=SlurmProvider(
                partition=None,
                account=None,
                nodes_per_block=NODES,
                cores_per_node=CORES,
                exclusive=True,
                init_blocks=1,
                min_blocks=0,
                max_blocks=4,
                walltime="12:00:00",
                # One pool of workers on every node of the job.
                launcher=SrunLauncher(),
                worker_init=f"export OMP_NUM_THREADS=1 PATH={Path(sys.executable).parent}:$PATH",
            ),
        )
    ]
)
