#!/usr/bin/env python
"""Evaluate a checkpoint: one of ours, of the released FDAM models, or of the toolkit's twin."""

import sys

from fdam_mm.cli.test import main

if __name__ == "__main__":
    sys.exit(main())
