#!/usr/bin/env python
"""Draw a small labelled set, train a small FDAM model on it, evaluate it and show pictures."""

import sys

from fdam_mm.cli.demo_training import main

if __name__ == "__main__":
    sys.exit(main())
