"""Train a toy in a process of its own, or several under torchrun.

python toy_train.py WORK_DIR [--resume] [KEY=JSON ...]     keys as toy_config's
"""

import json
import os
import sys
from pathlib import Path

from mmengine.registry import RUNNERS

from fdam_mm.cli.errors import clear_errors
from fdam_mm.training.teardown import end_together
from support.training import toy_config


@clear_errors
def main() -> None:
    settings = dict(argument.split("=", 1) for argument in sys.argv[2:] if "=" in argument)
    settings = {key: json.loads(value) for key, value in settings.items()}
    config = toy_config(Path(sys.argv[1]), **settings)
    config.resume = "--resume" in sys.argv
    config.launcher = "pytorch" if "RANK" in os.environ else "none"
    RUNNERS.build(config).train()
    end_together()


if __name__ == "__main__":
    main()
