# Every target makes .venv where it is missing. PYTHON=python3.12 chooses the interpreter.

PYTHON ?= python3
VENV := .venv
JOBS ?= auto
# What needs neither mmcv nor the toolkits, so that `make check` is quick on any machine.
TYPED := fdam_mm/layers fdam_mm/inject fdam_mm/apis fdam_mm/checkpoints fdam_mm/cli fdam_mm/errors.py fdam_mm/files.py
QUICK := tests/layers tests/inject tests/checkpoints/test_fitting.py tests/checkpoints/test_loading.py \
	tests/data/formats tests/data/pictures tests/data/prepare  \
	tests/test_files.py tests/test_import.py

# A module's tests share their trainings. The last modules are short, those of most tests are not.
PARALLEL := -n $(JOBS) --dist loadscope --no-loadscope-reorder

.PHONY: help demo demo-maskdino demo-dota test check test-torch test-gpu bench-gpu docs lock lint format types coverage install light clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

demo: install  ## train and evaluate a small FDAM segmentor on drawn pictures
	$(VENV)/bin/python tools/demo.py

demo-maskdino: install  ## the same with a small Mask DINO: boxes, masks and panoptic segments
	$(VENV)/bin/python tools/demo.py configs/demo/fdam-mask-dino_demo.py

demo-dota: install  ## the same with a small LSKNet detector: rotated boxes
	$(VENV)/bin/python tools/demo.py configs/demo/fdam-oriented-rcnn_lsknet_demo.py

# Waits for other processes end too late on a machine that does much else: tried once more.
RERUN := --reruns 1 --only-rerun "too long" --only-rerun TimeoutExpired

test: install lint types  ## lint, types and all tests, in JOBS processes
	$(VENV)/bin/python -m pytest $(PARALLEL) $(RERUN)

check: light lint types  ## lint, types and the quick tests: two minutes, without mmcv
	$(VENV)/bin/python -m pytest $(PARALLEL) -m "not slow" $(QUICK)

test-torch:  ## the quick tests with another torch, in .venv-torch-VERSION: TORCH=2.9.1
	@PYTHON=$(PYTHON) TORCH=$(TORCH) tools/install.sh --light .venv-torch-$(TORCH)
	.venv-torch-$(TORCH)/bin/python -m pytest $(PARALLEL) -m "not slow" $(QUICK)

HAS_GPU = $(VENV)/bin/python -c "import sys, torch; torch.cuda.is_available() or sys.exit( \
	'make $@: no NVIDIA GPU that torch can use here; nothing was run')"

test-gpu: install  ## all tests that need an NVIDIA GPU
	@$(HAS_GPU)
	$(VENV)/bin/python -m pytest -m gpu tests/gpu tests/layers tests/toolkits

bench-gpu: install  ## time the layers and their kernels on an NVIDIA GPU; writes work_dirs/gpu/
	@$(HAS_GPU)
	$(VENV)/bin/python benchmarks/gpu.py --out work_dirs/gpu

lock: install  ## tools/docker/*.lock anew, of requirements.txt
	tools/docker/lock.sh

docs: light  ## the site of docs/, in build/docs; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --quiet -f tools/docs/mkdocs.yml

lint: light
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: light
	$(VENV)/bin/mypy $(TYPED)

format: light  ## format the code and sort its imports
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

coverage: install  ## which lines the tests reach, of all processes, or those of TESTS
	$(VENV)/bin/coverage erase
	$(VENV)/bin/coverage run -m pytest $(PARALLEL) $(RERUN) $(TESTS)
	$(VENV)/bin/coverage combine --quiet
	$(VENV)/bin/coverage report --skip-covered --sort cover

install:
	@PYTHON=$(PYTHON) tools/install.sh $(VENV)

light:
	@PYTHON=$(PYTHON) tools/install.sh --light $(VENV)

clean:  ## remove the environment and what builds left
	rm -rf $(VENV) build *.egg-info
