#!/usr/bin/env bash
# Evaluate on a Slurm cluster: one torchrun per node, started by srun.
#
#   tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of tools/test.py ...]
#
# NODES (1), GPUS_PER_NODE (8), CPUS_PER_TASK (5 per GPU) and SRUN_ARGS (more options of srun).
# example:
#   GPUS_PER_NODE=4 tools/slurm_test.sh gpu fdam CONFIG work_dirs/run/iter_160000.pth
exec "$(dirname "${BASH_SOURCE[0]}")/slurm.sh" test.py "$@"
