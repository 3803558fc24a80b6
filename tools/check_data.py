#!/usr/bin/env python
"""Read every image and annotation of a config and report all problems."""

import sys

from fdam_mm.cli.check import main

if __name__ == "__main__":
    sys.exit(main())
