#!/usr/bin/env python
"""A training on a disk that fills up: what is left, and what is said.

A small training (one matrix, 8 MiB with its optimizer) runs in a folder of a small disk, made as
root by ``mount -t tmpfs -o size=40m none FOLDER``. Another file takes the space away until
checkpoints no longer fit.
"""

import argparse
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModel
from toy import Numbers, toy_runner

from fdam_mm.errors import WriteError
from fdam_mm.files import write_atomically
from fdam_mm.training import FDAMRunner


class Matrix(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1024, 1024)  # 4 MiB

    def forward(self, inputs: list[torch.Tensor], mode: str) -> dict[str, torch.Tensor]:
        return dict(loss=self.layer(torch.stack(inputs)).square().mean())


def runner(folder: Path, max_iters: int, resume: bool) -> FDAMRunner:
    return toy_runner(
        folder,
        max_iters,
        Matrix(),
        Numbers(width=1024),
        lr=1e-6,
        hook=dict(interval=1, max_keep_ckpts=1),
        resume=resume,
        experiment_name=f"disk_full_{max_iters}",
    )


def checkpoints(folder: Path) -> dict[str, bool]:
    """Whether each is whole."""
    found = {}
    for file in sorted(folder.glob("*.pth")):
        try:
            with zipfile.ZipFile(file) as archive:
                found[file.name] = archive.testzip() is None
        except zipfile.BadZipFile:
            found[file.name] = False
    return found


def measure(folder: Path) -> dict[str, Any]:
    run, ballast = folder / "run", folder / "ballast"
    runner(run, 3, resume=False).train()
    before = checkpoints(run)
    ballast.write_bytes(bytes(max(0, shutil.disk_usage(folder).free - 4 * 2**20)))
    try:
        runner(run, 6, resume=True).train()
        said = "nothing: it fitted"
    except WriteError as error:
        said = str(error)
    result = dict(
        before=before,
        said=said,
        after=checkpoints(run),
        last_checkpoint=(run / "last_checkpoint").read_text(),
        unfinished=[file.name for file in run.glob(".*.tmp")],
    )
    ballast.unlink()
    resumed = runner(run, 6, resume=True)
    resumed.train()
    return dict(**result, resumed_with_space=checkpoints(run), iterations=resumed.iter)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="empty folder on the small disk")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    args = parser.parse_args()
    if shutil.disk_usage(args.folder).total > 2**30 or os.listdir(args.folder):
        sys.exit(f"{args.folder} is not an empty folder of a disk below 1 GiB, which this fills")
    result = measure(args.folder)
    text = json.dumps(result, indent=2)
    print(text)
    if args.out:
        write_atomically(args.out, text + "\n")


if __name__ == "__main__":
    main()
