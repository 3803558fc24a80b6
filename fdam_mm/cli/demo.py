"""``fdam demo``: a page in the browser that tries models on pictures."""

import signal
import time
from collections.abc import Sequence
from typing import Any

from fdam_mm.demo.serving import HOST, import_gradio, require_address, serving
from fdam_mm.errors import UsageError

from .arguments import parser
from .errors import clear_errors

_DESCRIPTION = """A page in the browser that tries models on your own pictures or the camera's:
segmentation, instances, panoptic segments, rotated boxes; two models with a divider between them,
and the spectrum of each of their layers. Nothing leaves this machine.
"""
_EXAMPLE = """COMMAND
  COMMAND work_dirs/plain work_dirs/fdam
  COMMAND configs/my_config.py iter_160000.pth exported/ --port 8000"""


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, load the models and serve until Ctrl-C."""
    arguments = parser(_DESCRIPTION, _EXAMPLE)
    arguments.add_argument(
        "models", nargs="*", metavar="MODEL",
        help="work folder of a training, published folder, hf://USER/MODEL[@REVISION], exported "
        "model (its folder or JSON), or config file with its checkpoint behind it; default the "
        "trainings of make demo in work_dirs/demo",
    )  # fmt: skip
    arguments.add_argument("--device", help="where the models run (a GPU if there is one)")
    arguments.add_argument(
        "--host", default=HOST, help="address to serve at (%(default)s: this machine alone)"
    )
    arguments.add_argument("--port", type=int, help="default the first free one from 7860 on")
    args = arguments.parse_args(argv)
    if args.port is not None and not 0 <= args.port <= 65535:
        raise UsageError(f"--port is {args.port}, expected a number from 0 to 65535")
    import_gradio()
    require_address(args.host, args.port)  # before the models are loaded
    from fdam_mm.demo.sources import open_models

    models = open_models(args.models, args.device)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with serving(models, args.host, args.port) as address:
            print(f"{', '.join(models)}: {address} (Ctrl-C ends it)", flush=True)
            if args.host != HOST:
                print("whoever reaches this address can use it: there is no password", flush=True)
            while True:
                time.sleep(1)
    except KeyboardInterrupt:
        return


def _interrupt(number: int, frame: Any) -> None:
    """End as Ctrl-C does, so that the temporary folder goes."""
    raise KeyboardInterrupt
