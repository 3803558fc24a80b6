#!/usr/bin/env bash
# Start tools/dist_*.sh on the nodes of a Slurm job; the part that slurm_*.sh share.
#
#   tools/slurm.sh train.py PARTITION JOB_NAME CONFIG [arguments ...]
#   tools/slurm.sh test.py PARTITION JOB_NAME CONFIG CHECKPOINT [arguments ...]
#
# example:
#   tools/slurm.sh train.py gpu fdam configs/demo/fdam-vit_demo.py
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
script=${1:-}; shift || true
name=${script%.py}
caller=$here/slurm_$name.sh
[[ -f $caller ]] || caller=${BASH_SOURCE[0]}
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$caller"; }
positional=3; [[ $script = test.py ]] && positional=4

case " $script $* " in *" -h "*|*" --help "*) usage; exit 0 ;; esac
if [[ $# -lt $positional ]]; then usage >&2; exit 2; fi
partition=$1; job=$2; files=("${@:3:positional-2}"); shift "$positional"
command -v srun >/dev/null || { echo "srun not found: this is no Slurm cluster" >&2; exit 1; }

export NNODES=${NODES:-1} GPUS_PER_NODE=${GPUS_PER_NODE:-8} PORT=${PORT:-29500}
export HERE=$here NAME=$name
# On each node: its rank, and the first node of the job as the meeting point.
# shellcheck disable=SC2016
on_node='
export NODE_RANK=$SLURM_NODEID
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1); export MASTER_ADDR
exec "$HERE/dist_$NAME.sh" "${@:1:$0}" "$GPUS_PER_NODE" "${@:$0+1}"'
# Time to save a checkpoint before the job's time is over; srun takes the last --signal.
[[ $name = train ]] && signal=(--signal="${SIGNAL:-TERM@120}") || signal=()
# shellcheck disable=SC2086
exec srun --partition="$partition" --job-name="$job" --nodes="$NNODES" --ntasks-per-node=1 \
  --gres="gpu:$GPUS_PER_NODE" --cpus-per-task="${CPUS_PER_TASK:-$((5 * GPUS_PER_NODE))}" \
  --kill-on-bad-exit=1 "${signal[@]}" ${SRUN_ARGS:-} bash -c "$on_node" "${#files[@]}" "${files[@]}" "$@"
