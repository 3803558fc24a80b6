#!/usr/bin/env bash
# Write cpu.lock and cuda.lock: the version of every package in the images of this folder.
#
#   tools/docker/lock.sh            versions that a lock has stay where requirements.txt allows them
#
# They are constraints (PIP_CONSTRAINT) of tools/install.sh, which installs in the order that mmcv
# needs. They have no hashes: pip checks hashes in one call for all, without packages of a folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

python=${PYTHON:-.venv/bin/python}  # has torch: mmcv's setup asks for it
[[ -x $python ]] || { echo "lock: no $python; run make install, or set PYTHON" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/uv"
"$folder/uv/bin/pip" install --quiet uv==0.13.9

# Not what development alone needs; what install.sh itself installs.
sed '/^# Development/,$d' requirements.txt > "$folder/cpu.in"
printf '%s\n' 'setuptools>=77,<81' wheel ninja packaging psutil >> "$folder/cpu.in"
# The toolkits bring it beside the headless one, which install.sh keeps: of the same version.
sed -n 's/^opencv-python-headless==/opencv-python==/p' requirements.txt >> "$folder/cpu.in"
# nvcc's parts, of torch's CUDA version, as tools/building/cuda_target.py takes them
cuda=$("$python" -c 'import torch; print(torch.version.cuda)')
cp "$folder/cpu.in" "$folder/cuda.in"
for part in nvcc nvvm crt cccl; do
  name=$([[ $part = nvvm ]] && echo nvidia-nvvm || echo "nvidia-cuda-$part")
  echo "$name==$cuda.*" >> "$folder/cuda.in"
done

for kind in cpu cuda; do
  "$folder/uv/bin/uv" pip compile --quiet --no-build-isolation --python "$python" \
    --python-version 3.11 --no-header --no-annotate --allow-unsafe \
    "$folder/$kind.in" --output-file "tools/docker/$kind.lock" > /dev/null
  sed -i "1i # Of requirements.txt by tools/docker/lock.sh (make lock), for Python 3.11 on Linux x86-64." \
    "tools/docker/$kind.lock"
done
