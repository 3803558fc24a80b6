#!/usr/bin/env bash
# Evaluate on several GPUs, or on several CPU processes where there is no GPU.
#
#   tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of tools/test.py ...]
#
# Several machines: start it on each with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
# example:
#   tools/dist_test.sh configs/demo/fdam-vit_demo.py work_dirs/two/iter_600.pth 2
exec "$(dirname "${BASH_SOURCE[0]}")/launch.sh" test.py "$@"
