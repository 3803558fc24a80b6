"""One line in the log for a model's initialization.

Seen in mmengine 0.10.12: it writes two for every parameter, thousands for a segmentor, of which
most say that the value is the same before and after.
"""

from mmengine.logging import print_log
from mmengine.model import BaseModule


def shorten_initialization_log() -> None:
    """Let ``init_weights`` of all models say one line."""
    BaseModule._dump_init_info = _say_in_one_line


def _say_in_one_line(model: BaseModule) -> None:
    sizes = [parameter.numel() for parameter in model.parameters()]
    print_log(
        f"{type(model).__name__}: {sum(sizes) / 1e6:.2f} M values in {len(sizes)} parameters "
        "initialized",
        logger="current",
    )
