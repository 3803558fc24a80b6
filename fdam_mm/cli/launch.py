"""torchrun, with what ends its processes said once: ``python -m fdam_mm.cli.launch``.

It takes torchrun's arguments. Each process leaves its error in a folder (:mod:`.errors`); torchrun
itself would have every process say it, and add its own report of each.
"""

import logging
import os
import signal
import socket
import sys
import tempfile
from argparse import Namespace
from pathlib import Path

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from .errors import REPORTS, debugging

_OF_SIGNALS = {128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
"""The exit codes of processes that a signal ended and that have said so."""


def main() -> None:
    args = parse_args(None)
    _require_port(args)
    if not debugging():
        logging.disable(logging.ERROR)  # torchrun's, of this process alone
    with tempfile.TemporaryDirectory() as folder:
        os.environ[REPORTS] = folder
        try:
            run(args)
        except ChildFailedError as error:
            codes = {failure.exitcode for failure in error.failures.values()}
            if codes <= _OF_SIGNALS and not any(Path(folder).iterdir()):
                sys.exit(codes.pop())
            print(_summary(error, Path(folder)), file=sys.stderr)
            code = error.get_first_failure()[1].exitcode
            sys.exit(code if code > 0 else 128 - code)
        except SignalException as error:  # the processes had it too, and are waited for
            sys.exit(128 + error.sigval)


def _require_port(args: Namespace) -> None:
    """End with one line where the first node's port is taken: torchrun's own has 30."""
    if args.standalone or args.rdzv_backend != "static" or int(args.node_rank) != 0:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", args.master_port))
        except OSError as error:
            sys.exit(f"launch: error: PORT {args.master_port} cannot be used: {error.strerror}; "
                     "set PORT to a free one, the same on every machine")  # fmt: skip


def _summary(error: ChildFailedError, folder: Path) -> str:
    """What the processes left; of tracebacks the first, which the others mostly follow from."""
    texts = [file.read_text(encoding="utf-8") for file in sorted(folder.iterdir())]
    lines = list(dict.fromkeys(text for text in texts if "Traceback (most recent" not in text))
    if lines or texts:
        return "\n".join(lines or texts[:1])
    rank, failure = error.get_first_failure()
    how = f"exit code {failure.exitcode}"
    if failure.exitcode < 0:
        how = signal.Signals(-failure.exitcode).name
        if how == "SIGKILL":
            how += ": by hand, or by the system, where memory ran out"
    return f"launch: error: process {rank} was ended ({how}); the lines above are its last"


if __name__ == "__main__":
    main()
