"""What the runtime does around its graph: windows, the resizing before them, the choice of one."""

from typing import Any

import numpy as np
import pytest
import torch
from mmcv.image import imrescale
from mmengine.config import ConfigDict
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor

from fdam_mm.errors import MissingFileError, PictureError
from fdam_mm.runtime import Description, Segmentor

ABOUT = dict(
    task="segmentation", name="a", graphs=(), processing=True, precision="fp32",
    classes=("a", "b"),
    palette=((0, 0, 0), (9, 9, 9)), offset=0, threshold=None, scale=None, keep_ratio=True,
    stride=None, mean=(0.0,) * 3, std=(1.0,) * 3, bgr_to_rgb=False, align_corners=False,
    suppression=None, float32=(), versions={},
)  # fmt: skip


def logits_of(x: Any) -> Any:
    """(B, 3, h, w) -> (B, 2, h, w) that depend on where a window begins."""
    return x[:, :2] - x[:, :2, :1, :1] / 2


class Session:
    """Of a graph that computes ``logits_of``."""

    def run(self, outputs: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        logits = logits_of(inputs["image"].astype(np.float32).transpose(0, 3, 1, 2))
        return [logits if outputs == ["logits"] else logits.argmax(1)]


def segmentor(sizes: tuple[Any, ...], tmp_path: Any, **about: Any) -> Segmentor:
    made = Segmentor(Description(**{**ABOUT, **about}), tmp_path, ())
    made._sessions = {size: Session() for size in sizes}
    return made


@pytest.fixture(autouse=True)
def _needs_onnxruntime() -> None:
    pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("size", [(40, 70), (33, 33), (20, 90)])
def test_windows_are_mmsegs(size: tuple[int, int], tmp_path: Any) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    found = segmentor(((32, 32),), tmp_path, stride=(21, 21)).logits(picture)

    class Slid(EncoderDecoder):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)
            self.test_cfg = ConfigDict(stride=(21, 21), crop_size=(32, 32))

        out_channels = 2

        def encode_decode(self, inputs: Tensor, batch_img_metas: Any) -> Tensor:
            return logits_of(inputs)

    image = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    expected = Slid().slide_inference(image, [{}])[0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


def test_pictures_are_resized_as_mmcv_does(tmp_path: Any) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (50, 77, 3), np.uint8)
    kept = segmentor(((32, 32),), tmp_path, scale=(200, 60))
    np.testing.assert_array_equal(kept._resized(picture), imrescale(picture, (200, 60)))
    stretched = segmentor(((32, 32),), tmp_path, scale=(30, 20), keep_ratio=False)
    assert stretched._resized(picture).shape == (20, 30, 3)


def test_the_graph_that_a_picture_fills_most(tmp_path: Any) -> None:
    several = segmentor(((32, 32), (32, 64), (64, 32)), tmp_path)
    assert several._nearest((100, 210)) == (32, 64)
    assert several._nearest((50, 51)) == (32, 32)
    assert segmentor((None,), tmp_path)._nearest((1, 9)) is None


def test_pictures_that_are_none(tmp_path: Any) -> None:
    model = segmentor((None,), tmp_path)
    with pytest.raises(MissingFileError, match="does not exist"):
        model(tmp_path / "none.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(PictureError, match="cannot be read"):
        model(tmp_path / "bad.png")
    with pytest.raises(PictureError, match="expected uint8"):
        model(np.zeros((4, 4), np.uint8))
