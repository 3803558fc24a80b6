from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from fdam_mm.data.pictures.windows import place_windows
from fdam_mm.errors import PictureError
from fdam_mm.oriented.large_picture import detect_windows, reduced_picture


class BlobDetector:
    """Finds each connected white blob of a window and notes how many windows it got together."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def test_step(self, data: dict[str, list[torch.Tensor]]) -> list[SimpleNamespace]:
        self.batches.append(len(data["inputs"]))
        return [SimpleNamespace(pred_instances=self._find(part)) for part in data["inputs"]]

    def _find(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        white = (pixels.numpy() == 255).all(axis=2).astype(np.uint8)
        stats = cv2.connectedComponentsWithStats(white)[2][1:]  # without the background
        x, y, width, height, area = torch.from_numpy(stats).float().T
        boxes = torch.stack([x + width / 2, y + height / 2, width, height, 0 * x], dim=1)
        return dict(bboxes=boxes, scores=area / 1000, labels=torch.zeros(len(boxes)).long())


def as_tensor(results: dict[str, Any]) -> dict[str, torch.Tensor]:
    return dict(inputs=torch.from_numpy(results["img"].copy()))


def draw_blobs(file: Path, width: int, height: int, blobs: list[tuple[int, ...]]) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    for left, top, right, bottom in blobs:
        image[top:bottom, left:right] = 255
    cv2.imwrite(str(file), image)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_boxes_are_in_pixels_of_the_whole_picture_and_once(
    tmp_path: Path, batch_size: int
) -> None:
    blobs = [(5, 7, 25, 17), (90, 90, 110, 96), (285, 190, 299, 199)]  # the second is in four
    draw_blobs(tmp_path / "large.png", 300, 200, blobs)
    windows = place_windows(300, 200, [128], [40])
    model, done = BlobDetector(), []
    found = detect_windows(
        model, as_tensor, tmp_path / "large.png", windows, batch_size, done.append
    )
    left, top, right, bottom = np.array(
        sorted(blobs, key=lambda b: -(b[2] - b[0]) * (b[3] - b[1]))
    ).T
    wanted = np.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], axis=1)
    np.testing.assert_allclose(found.boxes[:, :4], wanted)
    assert sum(done) == sum(model.batches) == len(windows) and max(model.batches) == batch_size


def test_a_small_picture_is_filled_up_not_enlarged(tmp_path: Path) -> None:
    draw_blobs(tmp_path / "small.png", 40, 30, [(10, 10, 20, 16)])
    seen = []

    def pipeline(results: dict[str, Any]) -> dict[str, torch.Tensor]:
        seen.append(results["img"])
        return as_tensor(results)

    windows = place_windows(40, 30, [64], [10])
    found = detect_windows(BlobDetector(), pipeline, tmp_path / "small.png", windows)
    assert [part.shape for part in seen] == [(64, 64, 3)]
    np.testing.assert_allclose(found.boxes, [[15, 13, 10, 6, 0]])


def test_reduced_picture(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (301, 203, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    same, factor = reduced_picture(tmp_path / "a.png", 301)
    assert factor == 1
    np.testing.assert_array_equal(same, image)
    small, factor = reduced_picture(tmp_path / "a.png", 110)
    assert factor == 3 and small.shape == (101, 68, 3)
    blocks = image[:300, :201].reshape(100, 3, 67, 3, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(small[:100, :67], blocks, atol=0.51)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(PictureError, match="bad.png"):
        reduced_picture(tmp_path / "bad.png", 110)
