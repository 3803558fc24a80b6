from pathlib import Path

import cv2
import numpy as np
import pytest

from fdam_mm.data.pictures.reduced import reduced_picture
from fdam_mm.errors import PictureError


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
