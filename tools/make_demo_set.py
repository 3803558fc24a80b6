#!/usr/bin/env python
"""Write the demo set: drawn scenes, labelled, in the layout that a toolkit reads."""

import sys

from fdam_mm.cli.demo_set import main

if __name__ == "__main__":
    sys.exit(main())
