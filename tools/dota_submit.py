#!/usr/bin/env python
"""Merge the boxes of patches into whole pictures and write the zip file for DOTA's test server."""

import sys

from fdam_mm.cli.dota_submit import main

if __name__ == "__main__":
    sys.exit(main())
