#!/usr/bin/env python
"""Detect rotated boxes in one large picture, window by window, and draw them."""

import sys

from fdam_mm.cli.infer_large import main

if __name__ == "__main__":
    sys.exit(main())
