"""Several trainings one after the other, in processes that are started once.

python trainings.py JOBS.json     under torchrun; jobs are what :func:`run_all` takes
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from mmengine.registry import RUNNERS

from fdam_mm.training.building import build_runner
from fdam_mm.training.config import read_config
from fdam_mm.training.teardown import end_together
from support.training import toy_config

ROOT = Path(__file__).parents[2]


def run_all(jobs: list[dict[str, Any]], folder: Path, processes: int = 2) -> str:
    """Run trainings on gloo; returns what they logged.

    Args:
        jobs: Of each ``work_dir``, perhaps ``resume`` with a checkpoint, and ``settings``: of
            :func:`toy_config`, or overrides of the file ``config``.
        folder: For the list of jobs.
        processes: How many.
    """
    (folder / "jobs.json").write_text(json.dumps(jobs, default=str))
    launch = ["-m", "fdam_mm.cli.launch", "--standalone", "--nproc-per-node", str(processes)]
    done = subprocess.run(
        [sys.executable, *launch, str(Path(__file__)), str(folder / "jobs.json")],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout + done.stderr


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
