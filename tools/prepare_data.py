#!/usr/bin/env python
"""Prepare a dataset: unpack or link it into the layout that the configs expect, and check it."""

import sys

from fdam_mm.cli.prepare import main

if __name__ == "__main__":
    sys.exit(main())
