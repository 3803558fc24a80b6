"""Several trainings one after the other, in processes that are started once.

python trainings.py JOBS.json     as torchrun starts it; jobs are what :func:`run_all` takes
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from mmengine.registry import RUNNERS

from fdam_mm.training.building import build_runner
from fdam_mm.training.config import read_config
from fdam_mm.training.teardown import end_together
from support.paths import ROOT
from support.training import toy_config
from support.warm import Script


def run_all(jobs: list[dict[str, Any]], folder: Path, processes: int = 2) -> str:
    """Run trainings on gloo; returns what they logged.

    Args:
        jobs: Of each ``work_dir``, perhaps ``resume`` with a checkpoint, and ``settings``: of
            :func:`toy_config`, or overrides of the file ``config``.
        folder: For the list of jobs.
        processes: How many.
    """
    (folder / "jobs.json").write_text(json.dumps(jobs, default=str))
    file = Path(__file__)
    script = Script(file, folder / "jobs.json", cwd=ROOT, path=ROOT / "tests", processes=processes)
    said = "".join(script.communicate(timeout=600))
    assert script.returncode == 0, said[-3000:]
    return said


def _run(job: dict[str, Any], number: int) -> None:
    settings = job.get("settings", {})
    if "config" in job:
        config = read_config(job["config"], settings)
        config.work_dir = job["work_dir"]
    else:
        config = toy_config(Path(job["work_dir"]), **settings)
    config.experiment_name = f"job_{number}"
    if "resume" in job:
        config.resume, config.load_from = True, job["resume"]
    config.launcher = "pytorch" if "RANK" in os.environ else "none"
    (build_runner if "config" in job else RUNNERS.build)(config).train()


def main() -> None:
    for number, job in enumerate(json.loads(Path(sys.argv[1]).read_text())):
        _run(job, number)
    end_together()


if __name__ == "__main__":
    main()
