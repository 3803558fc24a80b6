#!/usr/bin/env bash
# Install fdam_mm and the versions of requirements.txt into a virtual environment.
#
#   tools/install.sh [--light] [FOLDER]       default: .venv
#
# --light leaves mmcv and the toolkits out: what lint, types, the docs and the quick tests need.
# torch comes first, because mmcv is compiled against it: seconds where PIP_FIND_LINKS points to a
# folder that holds its wheel, else minutes, said before they start. With an NVIDIA GPU, or
# FORCE_CUDA=1, mmcv gets its CUDA operations, for the GPUs seen or TORCH_CUDA_ARCH_LIST
# (docs/gpu.md). With MMCV_WITH_OPS=0 mmcv has no operations and nothing is compiled: segmentation
# and Mask DINO need none. PYTHON chooses the interpreter, and with --light TORCH the torch.
# examples:
#   PYTHON=python3.12 tools/install.sh ~/environments/fdam
#   FORCE_CUDA=1 TORCH_CUDA_ARCH_LIST=9.0 tools/install.sh
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
light=; if [[ ${1:-} = --light ]]; then light=light; shift; fi
venv=${1:-$root/.venv}
python=${PYTHON:-python3}
needed_gb=12

fail() { printf '\ninstall: %s\n' "$*" >&2; exit 1; }
step() { printf '\n[%s/5] %s\n' "$1" "$2"; }
pinned() { grep -E "^($1)==" "$root/requirements.txt"; }
for_light="numpy|pillow|opencv-python-headless|pycocotools|safetensors|shapely|tqdm|timm|onedl-mmengine"
for_light+="|pytest|pytest-xdist|hypothesis|ruff|mypy|mkdocs-material|mkdocstrings|mkdocstrings-python"

case "${1:-}" in -h|--help) sed -n '2,14s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;; esac
[[ $venv = /* ]] || venv=$PWD/$venv

# Nothing to do where this very installation is already there. One with CUDA serves a machine
# without a GPU as well, and one with operations whoever needs none.
device=cpu
has_gpu() { nvidia-smi -L 2>/dev/null | grep -q GPU; }
if [[ ${FORCE_CUDA:-} = 1 ]] || { [[ ${FORCE_CUDA:-} != 0 ]] && has_gpu; }; then
  device="cuda ${TORCH_CUDA_ARCH_LIST:-}"
fi
[[ ${MMCV_WITH_OPS:-} = 0 ]] && device=bare
stamp=$(cd "$root" && cat requirements.txt pyproject.toml tools/install.sh tools/install_mmcv.py \
  tools/building/cuda_target.py | cksum)
there=$(cat "$venv/.fdam_mm" 2>/dev/null || true)
case $device/$there in
  */"$stamp $root $device" | cpu/"$stamp $root cuda"* | bare/"$stamp $root c"*) exit 0 ;;
  */"$stamp $root "*) [[ $light ]] && exit 0 ;;
esac

command -v "$python" >/dev/null || fail "$python not found; set PYTHON to a Python 3.10 or newer"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
  fail "$("$python" --version) is too old; set PYTHON to a Python 3.10 or newer"
free_gb=$(df -Pk "$(dirname "$venv")" | awk 'NR == 2 {print int($4 / 1048576)}')
[[ -d $venv || $free_gb -ge $needed_gb ]] ||
  fail "$free_gb GB free beside $venv, about $needed_gb GB needed (torch brings its CUDA libraries)"

step 1 "virtual environment in $venv"
[[ -x $venv/bin/python ]] || "$python" -m venv "$venv" ||
  fail "cannot make a virtual environment; Debian and Ubuntu need: apt-get install python3-venv"
pip=("$venv/bin/python" -m pip)
"${pip[@]}" install --quiet --upgrade pip "setuptools>=77,<81" wheel ninja packaging psutil

step 2 "torch and torchvision (several GB)"
if [[ $light && ${TORCH:-} ]]; then
  torch=("torch==$TORCH" torchvision)  # whose versions name the torch they are for
else
  mapfile -t torch < <(pinned "torch|torchvision")
fi
"${pip[@]}" install "${torch[@]}"

if [[ $light ]]; then
  mapfile -t others < <(pinned "$for_light")
  "${pip[@]}" install --quiet --no-build-isolation "${others[@]}"
  "${pip[@]}" install --quiet --no-build-isolation --no-deps --editable "$root"
  echo "$stamp $root light" > "$venv/.fdam_mm"
  exit 0
fi

step 3 "mmcv with its compiled operations"
"$venv/bin/python" "$root/tools/install_mmcv.py" "$(pinned onedl-mmcv)" || exit 1

step 4 "the other packages of requirements.txt (half a minute)"
"${pip[@]}" install --quiet --no-build-isolation -r "$root/requirements.txt"
# Two packages bring the same cv2 folder; keep the one that needs no display.
if "${pip[@]}" uninstall --quiet --yes opencv-python 2>/dev/null; then
  headless=$("${pip[@]}" freeze | grep -i '^opencv-python-headless==')
  "${pip[@]}" install --quiet --force-reinstall --no-deps "$headless"
fi

step 5 "fdam_mm itself"
"${pip[@]}" install --quiet --no-build-isolation --no-deps --editable "$root"
"$venv/bin/python" -c 'import fdam_mm.openmmlab, mmseg.models' ||
  fail "the installation is there and does not import; remove $venv and try again"
echo "$stamp $root $device" > "$venv/.fdam_mm"
printf '\nready: %s\n' "$venv/bin/python"
