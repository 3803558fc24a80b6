"""What a user does on an mmcv without compiled operations, in a process of its own.

python without_operations.py DEMO_SET WORK_DIR     prints a JSON
"""

import importlib.abc
import io
import json
import logging
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import torch


class Absent(importlib.abc.MetaPathFinder):
    """mmcv's library is not there, as in a wheel that was built without torch."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        if name == "mmcv._ext":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def main(demo_set: Path, work_dir: Path) -> dict[str, Any]:
    sys.meta_path.insert(0, Absent())
    from mmengine.logging import MMLogger

    from fdam_mm.apis import load_model, predict, train
    from fdam_mm.cli import info
    from fdam_mm.errors import OperationError
    from support.mask_dino import batch, small_mask_dino
    from support.tools import ROOT, TINY

    run = train(TINY, work_dir, data_root=str(demo_set))
    pictures = sorted((demo_set / "images/validation").glob("*.jpg"))
    model = load_model(run.work_dir, device="cpu")
    labels = [result.labels.tolist() for result in predict(model, pictures, progress=False)]

    heard: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    MMLogger.get_current_instance().addHandler(handler)
    mask_dino = small_mask_dino(dict(fdam=dict(att_inv=True, freq_scale=True)))
    small_mask_dino()
    torch.manual_seed(1)
    losses = mask_dino.loss(*batch([2, 1]))

    def refused(config: str) -> str:
        try:
            load_model(ROOT / "configs" / config, device="cpu")
        except OperationError as error:
            return str(error)
        return ""

    with redirect_stdout(io.StringIO()) as said:
        info.main([])
    return dict(
        steps=[entry["step"] for entry in run.metrics if "mIoU" in entry],
        labels=labels,
        warnings=[line for line in heard if "grid_sample" in line],
        losses={name: value.item() for name, value in losses.items()},
        oriented=refused("lsknet/fdam-oriented-rcnn-le90_lsknet-s_fpn_1x_dota.py"),
        info=said.getvalue(),
    )


if __name__ == "__main__":
    found = main(Path(sys.argv[1]), Path(sys.argv[2]))
    sys.stdout.write("\n" + json.dumps(found))
