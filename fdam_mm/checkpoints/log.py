"""What is said while checkpoints are read: where mmengine is in use, in its log."""

import logging
import sys


def log(message: str, level: int = logging.INFO) -> None:
    """To mmengine's present logger, else to Python's logger ``fdam_mm.checkpoints``."""
    if "mmengine.logging" not in sys.modules:
        logging.getLogger(__package__).log(level, message)
        return
    from mmengine.logging import print_log

    print_log(message, "current", level)
