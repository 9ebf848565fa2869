#!/usr/bin/env bash
# Measures a GPU in one run of less than ten minutes: benchmarks/gpu.sh [FOLDER], which is $OUT if not given.
# Needs Python 3.12 with numba-cuda, numpy, scipy, h5py, typer, torch, triton and the packages in gpu-wheels.txt.
# Wheels in .whl, in the checkout, are installed into a folder of their own first, without a network.
set -euo pipefail
cd "$(dirname "$0")/.."
folder="${1:-${OUT:-gpu-results}}"
if compgen -G ".whl/*.whl" >/dev/null; then
  site="$(mktemp -d)"
  python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$site" .whl/*.whl
  export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
fi
export PYTHONPATH="$PWD/src:$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
mkdir -p "$folder"
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv || true
timeout 580 python3 -m benchmarks.gpu_session "$folder" 2>&1 | tee "$folder/gpu.log"
