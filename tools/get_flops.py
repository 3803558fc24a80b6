#!/usr/bin/env python
"""Count the parameters and FLOPs of a config's model, plain and with FDAM side by side."""

import sys

from fdam_mm.cli.flops import main

if __name__ == "__main__":
    sys.exit(main())
