"""Rotated boxes of a whole large picture, by a detector that sees it window by window."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from torch import nn

from fdam_mm.data.pictures.rows import PictureRows, pad_patch, read_windows
from fdam_mm.data.prepare.dota_split import PADDING

from .patches import IOU_THRESHOLD, merge_windows
from .results import OrientedBoxes

_BAND = 64  # rows of the reduced picture that are made at once


def detect_windows(
    model: nn.Module,
    pipeline: Compose,
    file: Path,
    windows: np.ndarray,
    batch_size: int = 1,
    advance: Callable[[int], object] = int,
    iou_threshold: float = IOU_THRESHOLD,
) -> OrientedBoxes:
    """Detect in all windows and merge what they find.

    Args:
        model: a detector of mmrotate, in evaluation mode.
        pipeline: as `pipelines.for_arrays` gives it.
        file: the picture.
        windows: (N, 4) ints: left, top, right, bottom, all squares. What sticks out is filled.
        batch_size: windows that the model sees at once.
        advance: called with the number of windows that are done since the last call.
        iou_threshold: IoU at which the worse of two boxes of a class goes.

    Returns:
        The boxes in pixels of the picture, best first.

    Raises:
        PictureError: the picture cannot be read.
    """
    found: list[tuple[tuple[int, int], OrientedBoxes]] = []
    corners: list[tuple[int, int]] = []
    batch: list[dict[str, Any]] = []
    for index, part in read_windows(file, windows):
        left, top, right, _ = windows[index].tolist()
        pixels = pad_patch(part, right - left, PADDING)
        corners.append((left, top))
        batch.append(pipeline(dict(img=pixels, img_id=index)))
        if len(batch) == batch_size or len(found) + len(batch) == len(windows):
            found += zip(corners, _detect(model, batch), strict=True)
            advance(len(batch))
            corners, batch = [], []
    return merge_windows(found, iou_threshold)


@torch.no_grad()
def _detect(model: nn.Module, batch: list[dict[str, Any]]) -> list[OrientedBoxes]:
    samples = model.test_step(pseudo_collate(batch))
    boxes = []
    for sample in samples:
        instances = sample.pred_instances
        values = (instances[name].cpu().numpy() for name in ("bboxes", "scores", "labels"))
        boxes.append(OrientedBoxes(*values))
    return boxes


def reduced_picture(file: Path, max_side: int) -> tuple[np.ndarray, int]:
    """Read a picture band by band, reduced by a whole number so that it is at most this large.

    Returns:
        (H, W, 3) uint8 BGR, and the factor.

    Raises:
        PictureError: the picture cannot be read.
    """
    with PictureRows(file) as rows:
        factor = -(-max(rows.width, rows.height) // max_side)
        width, height = -(-rows.width // factor), -(-rows.height // factor)
        bands = []
        for start in range(0, rows.height, factor * _BAND):
            band = rows.read(min(factor * _BAND, rows.height - start))
            # whole blocks of factor x factor, the last ones filled with copies of the border
            below, right = -len(band) % factor, width * factor - rows.width
            band = cv2.copyMakeBorder(band, 0, below, 0, right, cv2.BORDER_REPLICATE)
            size = (width, len(band) // factor)
            bands.append(cv2.resize(band, size, interpolation=cv2.INTER_AREA))
    return np.concatenate(bands)[:height], factor
