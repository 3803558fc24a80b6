# make demo            installs, then trains and evaluates a small FDAM segmentor on drawn pictures
# make demo-maskdino   the same with a small Mask DINO: boxes, masks and panoptic segments
# make demo-dota       the same with a small LSKNet detector: rotated boxes
# make test            installs, then lint and all tests
# All make .venv where it is missing. PYTHON=python3.12 chooses the interpreter.

PYTHON ?= python3
VENV := .venv

.PHONY: demo demo-maskdino demo-dota test install lint clean

demo: install
	$(VENV)/bin/python tools/demo.py

demo-maskdino: install
	$(VENV)/bin/python tools/demo.py configs/demo/fdam-mask-dino_demo.py

demo-dota: install
	$(VENV)/bin/python tools/demo.py configs/demo/fdam-oriented-rcnn_lsknet_demo.py

test: install lint
	$(VENV)/bin/python -m pytest

install:
	@PYTHON=$(PYTHON) tools/install.sh $(VENV)

lint: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

clean:
	rm -rf $(VENV) build *.egg-info
