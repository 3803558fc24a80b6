#!/usr/bin/env bash
# Train on several GPUs, or on several CPU processes where there is no GPU.
#
#   tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py ...]
#
# Several machines: start it on each with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
# example:
#   tools/dist_train.sh configs/demo/fdam-vit_demo.py 2 --work-dir work_dirs/two
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=node0 PORT=29500 tools/dist_train.sh CONFIG 8
exec "$(dirname "${BASH_SOURCE[0]}")/launch.sh" train.py "$@"
