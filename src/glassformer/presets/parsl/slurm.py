"""SLURM jobs of one node each, as many as there is work for: change partition, account, cores and walltime."""

import sys
from pathlib import Path

from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import SlurmProvider

CORES = 32

config = Config(
    executors=[
        HighThroughputExecutor(
            label="slurm",
            cores_per_worker=1,
            max_workers_per_node=CORES,
            provider=SlurmProvider(
                partition=None,
                account=None,
                cores_per_node=CORES,
                exclusive=False,
                init_blocks=1,
                min_blocks=0,
                max_blocks=40,
                walltime="24:00:00",
                worker_init=f"export OMP_NUM_THREADS=1 PATH={Path(sys.executable).parent}:$PATH",
            ),
        )
    ]
)
