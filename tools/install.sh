#!/usr/bin/env bash
# Install fdam_mm and the versions of requirements.txt into a virtual environment.
#
#   tools/install.sh [--light] [FOLDER]       default: .venv
#
# --light leaves mmcv and the toolkits out: what lint, types and the quick tests need.
# torch comes first, because mmcv is compiled against it: about 5 minutes on 2 cores, or seconds
# where PIP_FIND_LINKS points to a folder that holds its wheel. PYTHON chooses the interpreter.
# example:
#   PYTHON=python3.12 tools/install.sh ~/environments/fdam
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
for_light+="|pytest|pytest-xdist|hypothesis|ruff|mypy"

case "${1:-}" in -h|--help) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;; esac
[[ $venv = /* ]] || venv=$PWD/$venv

# Nothing to do where this very installation is already there.
stamp=$(cat "$root/requirements.txt" "$root/pyproject.toml" "${BASH_SOURCE[0]}" | cksum)
there=$(cat "$venv/.fdam_mm" 2>/dev/null || true)
[[ $there = "$stamp $root" || $there = "$stamp $root $light" ]] && exit 0

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
mapfile -t torch < <(pinned "torch|torchvision")
"${pip[@]}" install "${torch[@]}"

if [[ $light ]]; then
  mapfile -t others < <(pinned "$for_light")
  "${pip[@]}" install --quiet --no-build-isolation "${others[@]}"
  "${pip[@]}" install --quiet --no-build-isolation --no-deps --editable "$root"
  echo "$stamp $root light" > "$venv/.fdam_mm"
  exit 0
fi

step 3 "mmcv with its compiled operations"
mmcv=$(pinned onedl-mmcv)
if ! "${pip[@]}" install --only-binary onedl-mmcv "$mmcv" 2>/dev/null; then
  command -v g++ >/dev/null ||
    fail "no wheel of $mmcv for this machine, and no C++ compiler to build it; Debian and Ubuntu:
  apt-get install g++ python3-dev
or set PIP_FIND_LINKS to a folder that holds its wheel"
  echo "building $mmcv: about 80 files, about 5 minutes on 2 cores"
  log=$(mktemp)
  MMCV_WITH_OPS=1 MAX_JOBS=${MAX_JOBS:-$(nproc)} CFLAGS="${CFLAGS:--O2 -g0}" \
    "${pip[@]}" install --no-build-isolation "$mmcv" >"$log" 2>&1 &
  build=$!
  while kill -0 $build 2>/dev/null; do
    for _ in 1 2 3 4 5 6; do sleep 5; kill -0 $build 2>/dev/null || break; done
    printf '  %d s\r' $SECONDS
  done
  wait $build || { tail -n 30 "$log" >&2; fail "mmcv did not build; the whole log: $log"; }
  rm -f "$log"
fi

step 4 "the other packages of requirements.txt (half a minute)"
"${pip[@]}" install --quiet --no-build-isolation -r "$root/requirements.txt"
# Two packages bring the same cv2 folder; keep the one that needs no display.
if "${pip[@]}" uninstall --quiet --yes opencv-python 2>/dev/null; then
  headless=$("${pip[@]}" freeze | grep -i '^opencv-python-headless==')
  "${pip[@]}" install --quiet --force-reinstall --no-deps "$headless"
fi

step 5 "fdam_mm itself"
"${pip[@]}" install --quiet --no-build-isolation --no-deps --editable "$root"
"$venv/bin/python" -c 'import fdam_mm.openmmlab, mmcv.ops, mmseg.models' ||
  fail "the installation is there and does not import; remove $venv and try again"
echo "$stamp $root" > "$venv/.fdam_mm"
printf '\nready: %s\n' "$venv/bin/python"
