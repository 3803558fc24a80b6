"""Kill trainings at random moments, resume them, and compare with the uninterrupted ones.

Losses, weights, averaged weights and the optimizer's state must be the same, bit for bit. Each row
of ROWS is one training, killed and resumed until it is through. Writes results.json beside itself.

example:
  python benchmarks/endurance/kills.py --work-dir work_dirs/endurance
"""

import argparse
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from fdam_mm.checkpoints import load
from fdam_mm.data.demo.demo_set import write_demo_set

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ITERATIONS = 60
LAST = f"iter_{ITERATIONS}.pth"
ROWS = [  # processes, workers, persistent, how the kills come; of each row one after the other
    (1, 2, True, ["save", "kill", "kill", "save"]),
    (1, 2, False, ["SIGINT", "SIGTERM", "SIGTERM", "SIGINT"]),
    (2, 1, True, ["SIGTERM", "SIGINT", "SIGTERM"]),
    (2, 2, True, ["kill", "save", "kill", "kill"]),
    (1, 0, False, ["kill", "save", "kill", "kill"]),
    (1, 1, False, ["kill", "save", "kill", "kill"]),
    (2, 0, False, ["kill", "save", "kill", "kill"]),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work-dir", type=Path, required=True, help="is emptied")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (%(default)s)")
    args = parser.parse_args()
    random.seed(args.seed)
    folder = args.work_dir.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    write_demo_set(folder / "data", num_train=24, num_val=4, size=96)
    for processes in (1, 2):
        run = start(folder, f"whole_{processes}", processes, 0, False)
        if run.wait():
            sys.exit(f"the uninterrupted training failed: {run.args}")
    rows = []
    for index, settings in enumerate(ROWS):
        rows.append(row(folder, index, *settings))
        write(rows)


def write(rows: list[dict[str, Any]]) -> None:
    """What is known by now."""
    kinds = [end["kind"] for entry in rows for end in entry["ends"]]
    summary = dict(
        kills=kinds.count("kill") + kinds.count("save"),
        of_these_during_a_save=kinds.count("save"),
        signals=sum(kind.startswith("SIG") for kind in kinds),
        all_equal=all(all(entry["equal"].values()) for entry in rows),
        machine=f"{platform.machine()} CPU, torch {torch.__version__}",
        trainings=rows,
    )
    (HERE / "results.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps({k: v for k, v in summary.items() if k != "trainings"}, indent=1))


def row(
    folder: Path, index: int, processes: int, workers: int, persistent: bool, kinds: list[str]
) -> dict[str, Any]:
    """One training that is ended in the ways of ``kinds`` and resumed each time."""
    name = f"row_{index}"
    ends = []
    for kind in kinds:
        process = start(folder, name, processes, workers, persistent)
        ends.append(end(process, folder / name, kind))
        print(name, ends[-1], flush=True)
    code = start(folder, name, processes, workers, persistent).wait()
    whole = folder / f"whole_{processes}"
    equal = compare(folder / name, whole) if code == 0 else dict(ended=False)
    print(name, equal, flush=True)
    return dict(
        processes=processes, workers=workers, persistent=persistent, ends=ends, equal=equal
    )


def start(
    folder: Path, name: str, processes: int, workers: int, persistent: bool
) -> subprocess.Popen:
    tool = [sys.executable, "tools/train.py"] if processes == 1 else ["tools/dist_train.sh"]
    count = [str(processes)] if processes > 1 else []
    settings = [
        f"data_root={folder / 'data'}",
        f"train_dataloader.batch_size={4 // processes}",
        f"train_dataloader.num_workers={workers}",
        f"train_dataloader.persistent_workers={persistent}",
    ]
    with (folder / f"{name}.log").open("a") as log:
        return subprocess.Popen(
            [*tool, HERE / "segmentor.py", *count, "--work-dir", folder / name, "--resume"]
            + ["--cfg-options", *settings],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHON": sys.executable}
            | {"OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=hear_interrupts,
        )


def hear_interrupts() -> None:
    """A shell lets its background jobs, and their children, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def end(process: subprocess.Popen, work_dir: Path, kind: str) -> dict[str, Any]:
    """End a training some iterations after it began; ``save`` waits for a file half written."""
    begun = len(losses(work_dir))
    wait_for(process, lambda: len(losses(work_dir)) > begun)
    time.sleep(random.uniform(0, 1.0))
    if kind == "save":
        before = set(os.listdir(work_dir))
        wait_for(process, lambda: unfinished(work_dir) - before, pause=0.0)
    if kind.startswith("SIG"):
        since = time.monotonic()
        os.killpg(process.pid, getattr(signal, kind))
        code = process.wait(timeout=60)
        seconds = round(time.monotonic() - since, 1)
        return dict(kind=kind, after=len(losses(work_dir)), exit_code=code, seconds=seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    left = unfinished(work_dir)
    kind = "save" if left else "kill"  # what a save was doing shows in what it left
    return dict(kind=kind, after=len(losses(work_dir)))


def unfinished(work_dir: Path) -> set[str]:
    return {name for name in os.listdir(work_dir) if name.endswith(".tmp")}


def wait_for(process: subprocess.Popen, condition: Any, pause: float = 0.01) -> None:
    while not condition():
        if process.poll() is not None:
            sys.exit(f"a training ended by itself with {process.returncode}: {process.args}")
        time.sleep(pause)


def losses(work_dir: Path) -> dict[int, float]:
    """The loss of each step, of the last run that logged it."""
    found = {}
    for file in sorted(work_dir.glob("*/vis_data/scalars.json")):
        for line in file.read_text().splitlines():
            try:
                record = json.loads(line)
            except ValueError:  # the last words before a kill
                continue
            if "loss" in record:
                found[record["step"]] = record["loss"]
    return found


def compare(ours: Path, theirs: Path) -> dict[str, bool]:
    one, other = load(ours / LAST), load(theirs / LAST)
    parts = dict(weights="state_dict", averaged="ema_state_dict", optimizer="optimizer")
    result = {name: same(one[part], other[part]) for name, part in parts.items()}
    result["losses"] = losses(ours) == losses(theirs)
    result["best"] = {f.name for f in ours.glob("best*")} == {f.name for f in theirs.glob("best*")}
    return result


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


if __name__ == "__main__":
    main()
