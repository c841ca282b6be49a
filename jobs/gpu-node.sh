#!/bin/bash
# Join a machine with GPUs to a scheduler: a worker a GPU for the fits, CPU workers for the rest.
# Usage: jobs/gpu-node.sh CPU-WORKERS OPTIONS...   options of `dask worker`: --scheduler-file FILE, --tls-...
# Where the machine works alone this is not needed: surveyfit submit starts the same workers itself.
set -euo pipefail
cpu_workers=$1
shift
trap 'kill $(jobs -p)' EXIT

# A GPU's memory is taken as it is needed; one thread a worker: results to the last bit.
export XLA_PYTHON_CLIENT_PREALLOCATE=false NPROC=1
for gpu in $(nvidia-smi --query-gpu=index --format=csv,noheader); do
    CUDA_VISIBLE_DEVICES=$gpu dask worker "$@" --nthreads 1 --resources GPU=1 &
done
CUDA_VISIBLE_DEVICES='' JAX_PLATFORMS=cpu \
    dask worker "$@" --nworkers "$cpu_workers" --nthreads 1 --resources CPU=1 &
wait
