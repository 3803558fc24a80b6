#!/usr/bin/env bash
# Train on a Slurm cluster: one torchrun per node, started by srun.
#
#   tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of tools/train.py ...]
#
# NODES (1), GPUS_PER_NODE (8), CPUS_PER_TASK (5 per GPU) and SRUN_ARGS (more options of srun).
# SIGNAL (TERM@120): two minutes before its time is over the job saves a checkpoint and ends; started
# again with --resume it goes on.
# example:
#   NODES=2 GPUS_PER_NODE=8 tools/slurm_train.sh gpu fdam \
#     configs/deit3/fdam-deit3-b16_upernet_4xb4-160k_ade20k-512x512.py
exec "$(dirname "${BASH_SOURCE[0]}")/slurm.sh" train.py "$@"
