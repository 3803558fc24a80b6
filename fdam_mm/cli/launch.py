"""torchrun, ending as its processes do when a signal ended them: with their code, in their words.

python -m fdam_mm.cli.launch [arguments of torchrun]
"""

import signal
import sys

from torch.distributed import run
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

_OF_SIGNALS = {128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}


def main() -> None:
    try:
        run.main()
    except SignalException as error:  # the processes had it too, and are waited for
        sys.exit(128 + error.sigval)
    except ChildFailedError as error:
        codes = {failure.exitcode for failure in error.failures.values()}
        if not codes <= _OF_SIGNALS:
            raise
        sys.exit(codes.pop())


if __name__ == "__main__":
    main()
