#!/bin/bash
# Measure images on nodes of a SLURM cluster. Submit it again, after a walltime kill too: it resumes.
# Usage: sbatch [-N NODES -c CORES -t TIME ...] jobs/slurm.sh IMAGES... -o RUN [options of submit]
# From a folder that all nodes see, in an environment that has surveyfit.
#SBATCH --job-name=surveyfit
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --mem-per-cpu=4G
#SBATCH --time=08:00:00
#SBATCH --signal=TERM@60
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

# Whoever has these files can run code as you: a folder for you alone, a certificate for this job.
private=$PWD/.surveyfit-job-$SLURM_JOB_ID
rm -rf "$private" && mkdir -m 700 "$private"
trap 'rm -rf "$private"' EXIT
cert=$private/cert.pem key=$private/key.pem
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=surveyfit \
    -keyout "$key" -out "$cert" 2> /dev/null
dask=(--scheduler-file "$private/scheduler.json" --protocol tls --dashboard-address 127.0.0.1:0
    --tls-ca-file "$cert" --tls-cert "$cert" --tls-key "$key")

# One thread a worker: results are then the same to the last bit on any number of them.
export NPROC=1 DASK_LOGGING__DISTRIBUTED=warning
# Driver and scheduler live in the job's memory as well.
memory=$((SLURM_MEM_PER_CPU * 3 / 4))MiB
log=--output=slurm-$SLURM_JOB_ID-dask.out
srun --overlap --nodes=1 --ntasks=1 --open-mode=append "$log" dask scheduler "${dask[@]}" --port 0 &
srun --overlap --cpus-per-task="$SLURM_CPUS_PER_TASK" --open-mode=append "$log" \
    dask worker "${dask[@]}" --nworkers "$SLURM_CPUS_PER_TASK" --nthreads 1 \
    --memory-limit "$memory" --local-directory "${TMPDIR:-/tmp}" &

timeout 300 bash -c "until [ -s '$private/scheduler.json' ]; do sleep 1; done"
srun --overlap --nodes=1 --ntasks=1 surveyfit submit "$@" --scheduler "$private/scheduler.json" \
    --memory-limit "$memory" --tls-ca "$cert" --tls-cert "$cert" --tls-key "$key"
