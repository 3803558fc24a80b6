#!/usr/bin/env bash
# Start tools/train.py or tools/test.py under torchrun; the part that dist_*.sh share.
#
#   tools/launch.sh train.py CONFIG GPUS [arguments ...]
#   tools/launch.sh test.py CONFIG CHECKPOINT GPUS [arguments ...]
#
# example:
#   tools/launch.sh train.py configs/demo/fdam-vit_demo.py 2
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
script=${1:-}; shift || true
caller=$here/dist_${script%.py}.sh
[[ -f $caller ]] || caller=${BASH_SOURCE[0]}
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$caller"; }
positional=2; [[ $script = test.py ]] && positional=3

case " $script $* " in *" -h "*|*" --help "*) usage; exit 0 ;; esac
if [[ $# -lt $positional ]]; then usage >&2; exit 2; fi
files=("${@:1:positional-1}"); gpus=${!positional}; shift "$positional"
[[ $gpus =~ ^[1-9][0-9]*$ ]] ||
  { echo "GPUS is '$gpus', expected a number of processes" >&2; usage >&2; exit 2; }

number() {  # NAME LEAST MOST: the environment variable is one, where it is set
  local value=${!1:-$2}
  [[ $value =~ ^[0-9]{1,5}$ && $((10#$value)) -ge $2 && $((10#$value)) -le $3 ]] ||
    { echo "$1 is '$value', expected a number from $2 to $3" >&2; exit 2; }
}
number NNODES 1 65535
number PORT 1 65535
number NODE_RANK 0 $((10#${NNODES:-1} - 1))

# The interpreter at hand: an active environment, else the project's own.
python=${PYTHON:-python}
[[ -z ${PYTHON:-} && -z ${VIRTUAL_ENV:-}${CONDA_PREFIX:-} && -x $here/../.venv/bin/python ]] &&
  python=$here/../.venv/bin/python

if [[ ${NNODES:-1} != 1 && -z ${MASTER_ADDR:-} ]]; then
  echo "NNODES is $NNODES: set MASTER_ADDR to the address of the first machine, on each" >&2
  exit 2
fi
if [[ ${NNODES:-1} = 1 && -z ${PORT:-} ]]; then
  rendezvous=(--standalone)  # finds a free port, so that jobs on one machine do not collide
else
  rendezvous=(--nnodes "${NNODES:-1}" --node-rank "${NODE_RANK:-0}"
    --master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "${PORT:-29500}")
fi
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
# Slurm's --signal may be set to send SIGUSR1: torchrun passes it on, too.
export TORCHELASTIC_SIGNALS_TO_HANDLE=SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1
exec "$python" -m fdam_mm.cli.launch "${rendezvous[@]}" --nproc-per-node "$gpus" \
  "$here/$script" "${files[@]}" --launcher pytorch "$@"
