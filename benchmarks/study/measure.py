"""What is measured of a finished training: its errors on the test pictures, and its layers."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from setups import Setup

from fdam_mm.analysis.flops import count
from fdam_mm.analysis.measuring import measure
from fdam_mm.apis import load_model, predict
from fdam_mm.apis.training import Run
from fdam_mm.data.pictures.labels import read_label_map
from fdam_mm.report.boundary import boundary_counts

_BLOCK = 10  # neighbouring pictures, which show much the same, are resampled as one
_ANALYSED = 4  # pictures whose layers are measured


def measure_run(setup: Setup, run: Run, device: str) -> dict[str, Any]:
    """Validations, cost, errors and layers."""
    scores = map(_scores, run.metrics)
    found: dict[str, Any] = dict(validations=[point for point in scores if len(point) > 1])
    model: Any = load_model(run.work_dir, run.best_checkpoint or run.last_checkpoint, "cpu")
    cost = count(model.backbone, lambda: model.backbone(torch.zeros(1, 3, *setup.shape)))["total"]
    found.update(
        parameters=sum(p.numel() for p in model.parameters()),
        backbone=dict(parameters=cost.parameters, gflop=round(cost.flops / 1e9, 4)),
    )
    if setup.data == "rotated":
        return found
    model.to(device)
    root = Path(model.cfg.data_root)
    pairs = pairs_of_camvid(root) if setup.data == "camvid" else pairs_of_textures(root)
    offset = 0 if setup.data == "camvid" else 1
    pictures = [picture for picture, _ in pairs]
    return found | dict(
        classes=list(model.dataset_meta["classes"]),
        test=counts_by_block(model, pairs, offset),
        layers=layers(model, pictures[:: max(1, len(pictures) // _ANALYSED)][:_ANALYSED]),
    )


def _scores(point: dict[str, Any]) -> dict[str, float]:
    """Step and metrics of a validation; nothing of a line of losses."""
    if "loss" in point:
        return {}
    names = ("mIoU", "mAcc", "aAcc", "dota/mAP", "dota/AP50", "step")
    return {key: point[key] for key in names if key in point}


def pairs_of_camvid(root: Path) -> list[tuple[Path, Path]]:
    pictures = sorted((root / "images/test").iterdir())
    return [(file, root / "annotations/test" / f"{file.stem}.png") for file in pictures]


def pairs_of_textures(root: Path) -> list[tuple[Path, Path]]:
    test = root.parent / "textures_test"
    pictures = sorted((test / "images/validation").iterdir())
    return [(file, test / "annotations/validation" / f"{file.stem}.png") for file in pictures]


def counts_by_block(
    model: Any, pairs: Sequence[tuple[Path, Path]], offset: int
) -> dict[str, list[list[list[int]]]]:
    """Pixels of intersections and unions, of classes and of their boundaries.

    Args:
        model: A segmentor.
        pairs: Pictures and label maps.
        offset: What label maps add to a class; less is no label.

    Returns:
        ``area`` and ``boundary``, each [block][intersection or union][class].
    """
    num_classes = len(model.dataset_meta["classes"])
    area, boundary = [], []
    predictions = predict(model, [picture for picture, _ in pairs], progress=False)
    for (_, file), result in zip(pairs, predictions, strict=True):
        labels = read_label_map(file).astype(np.int64) - offset
        ignored = (labels < 0) | (labels >= num_classes)
        area.append(area_counts(labels, result.labels, num_classes, ignored))
        boundary.append(boundary_counts(labels, result.labels, num_classes, ignored))
    return dict(area=_blocks(area), boundary=_blocks(boundary))


def area_counts(
    labels: np.ndarray, predicted: np.ndarray, num_classes: int, ignored: np.ndarray
) -> np.ndarray:
    """(2, K): intersections and unions of each class, of maps (H, W)."""
    tally = partial(np.bincount, minlength=num_classes)
    true, found = labels[~ignored], predicted[~ignored].astype(np.int64)
    both = tally(true[true == found])
    return np.stack([both, tally(true) + tally(found) - both])


def _blocks(counts: list[np.ndarray]) -> list[list[list[int]]]:
    starts = range(0, len(counts), _BLOCK)
    return [np.sum(counts[start : start + _BLOCK], axis=0).tolist() for start in starts]


def layers(model: Any, pictures: Sequence[Path]) -> list[dict[str, Any]]:
    """High-frequency ratio and effective rank of each layer of the backbone."""
    found = measure(
        model.backbone, pictures, lambda file: next(predict(model, file, progress=False))
    )
    return [
        dict(
            layer=layer.layer,
            high_frequency_ratio=round(layer.high_frequency_ratio, 5),
            effective_rank=round(layer.effective_rank, 2),
        )
        for layer in found
    ]
