"""SLURM jobs on nodes with GPUs, a worker and its share of the cores for each: change partition, account and sizes."""

import sys
from pathlib import Path

from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import SlurmProvider

CORES, GPUS = 64, 4

config = Config(
    executors=[
        HighThroughputExecutor(
            label="gpu",
            # Sets CUDA_VISIBLE_DEVICES for each worker.
            available_accelerators=GPUS,
            cores_per_worker=CORES / GPUS,
            cpu_affinity="block",
            provider=SlurmProvider(
                partition=None,
                account=None,
                cores_per_node=CORES,
                gpus_per_node=GPUS,
                exclusive=False,
                init_blocks=1,
                min_blocks=0,
                max_blocks=10,
                walltime="24:00:00",
                worker_init=f"export OMP_NUM_THREADS=1 PATH={Path(sys.executable).parent}:$PATH",
            ),
        )
    ]
)
