#!/usr/bin/env python
"""Train a model from a config."""

import sys

from fdam_mm.cli.train import main

if __name__ == "__main__":
    sys.exit(main())
