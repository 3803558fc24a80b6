"""mmdet's inferencer on the panoptic Mask DINO."""

import numpy as np
import pytest
from support.tools import ROOT

from fdam_mm.data.formats.segment_ids import segment_ids
from fdam_mm.panoptic.inferencing import id_colors


def test_colors_are_those_that_are_read() -> None:
    ids = np.array([[0, 1, 255], [256, 70001, (1 << 24) - 1]])
    assert (segment_ids(id_colors(ids).astype(np.uint8)) == ids).all()


def test_inferencer(monkeypatch: pytest.MonkeyPatch) -> None:
    from mmdet.apis import DetInferencer

    monkeypatch.chdir(ROOT)
    config = "configs/demo/mask-dino_demo.py"
    inferencer = DetInferencer(config, weights=None, device="cpu", show_progress=False)
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    found = inferencer(picture, no_save_vis=True)["predictions"][0]["panoptic_seg"]
    assert found.shape == (64, 96, 3)
