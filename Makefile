# make demo   installs, then trains and evaluates a small FDAM segmentor on generated pictures
# make test   installs, then lint and all tests
# Both make .venv where it is missing. PYTHON=python3.12 chooses the interpreter.

PYTHON ?= python3
VENV := .venv

.PHONY: demo test install lint clean

demo: install
	$(VENV)/bin/python tools/demo.py

test: install lint
	$(VENV)/bin/python -m pytest

install:
	@PYTHON=$(PYTHON) tools/install.sh $(VENV)

lint: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

clean:
	rm -rf $(VENV) build *.egg-info
