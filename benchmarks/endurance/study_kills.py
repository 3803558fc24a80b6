"""Kill the study's own runs at random moments, go on each time, and compare with its results.

What is killed is the whole process, be it starting, training, saving or measuring; after the last
kill it ends in peace. Writes study_kills.json beside itself.

example:
  python benchmarks/endurance/study_kills.py --only 'vit_textures/*-0' --kills 50 \\
      --work-dir work_dirs/killed
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tqdm import tqdm

from fdam_mm.benchmarking.machine import describe_machine
from fdam_mm.files import write_atomically

HERE = Path(__file__).resolve().parent
STUDY = HERE.parent / "study"
sys.path.append(str(STUDY))
from compare import equal_runs  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", required=True, help="runs of the study, whose results are there")
    parser.add_argument("--camvid", type=Path, help="for runs on it")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--longest", type=float, default=60, help="seconds to a kill, at most")
    parser.add_argument("--work-dir", type=Path, required=True, help="is emptied")
    args = parser.parse_args()
    shutil.rmtree(args.work_dir, ignore_errors=True)
    results = args.work_dir / "results"
    command = [sys.executable, str(STUDY / "run.py"), "--only", args.only]
    command += ["--work-dir", str(args.work_dir / "runs"), "--results", str(results)]
    if args.camvid is not None:
        command += ["--camvid", str(args.camvid)]
    moments = random.Random(0)
    killed = sum(
        killed_after(command, moments.uniform(0, args.longest)) for _ in tqdm(range(args.kills))
    )
    subprocess.run(command, check=True)
    found = dict(
        kills=killed,
        equal=equal_runs(STUDY / "results", results),
        machine=describe_machine("cpu"),
    )
    write_atomically(HERE / "study_kills.json", json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def killed_after(command: list[str], seconds: float) -> bool:
    """Whether it still ran then, and was killed.

    Raises:
        CalledProcessError: It failed before.
    """
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    if code:
        raise subprocess.CalledProcessError(code, command)
    return False


if __name__ == "__main__":
    main()
