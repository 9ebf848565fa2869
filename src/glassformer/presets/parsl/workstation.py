"""All cores of this machine."""

import os

from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider

config = Config(
    executors=[
        HighThroughputExecutor(
            label="workstation",
            address="127.0.0.1",
            cores_per_worker=1,
            max_workers_per_node=len(os.sched_getaffinity(0)),
            provider=LocalProvider(init_blocks=1, max_blocks=1),
        )
    ]
)
