"""COCO's run-length masks, against pycocotools."""

import numpy as np
import pytest
from pycocotools import mask as masks

from fdam_mm.data.formats.rle import decode_rle
from fdam_mm.errors import LabelError


def noise(seed: int) -> np.ndarray:
    """Masks of all sizes and densities, empty and full ones too."""
    generator = np.random.default_rng(seed)
    height, width = generator.integers(1, 70, 2)
    density = (0, 1, generator.random() ** 2)[seed % 3]
    return np.asfortranarray(generator.random((height, width)) < density, dtype=np.uint8)


@pytest.mark.parametrize("seed", range(12))
def test_equals_pycocotools(seed: int) -> None:
    mask = noise(seed)
    encoded = masks.encode(mask)
    starts = np.flatnonzero(np.diff(mask.ravel("F"), prepend=0, append=0))
    runs = np.diff(starts, prepend=0, append=mask.size).tolist()
    for counts in (encoded["counts"], encoded["counts"].decode(), runs):
        ours = decode_rle(dict(size=list(mask.shape), counts=counts), *mask.shape)
        assert ours.dtype == np.uint8
        np.testing.assert_array_equal(ours, mask)


@pytest.mark.parametrize(
    "counts",
    [
        [15],  # pycocotools leaves the last pixel open
        [17],
        [-1, 17],
        [0.5, 15.5],
        [float("nan")],
        [10**400],
        [[16]],
        [None],
        [],
        {},
        None,
        7,
        "",
        "ä",
        "\x00",
        "0P",  # ends within a number
        "o" * 5000,
        b"",
    ],
)
def test_broken(counts: object) -> None:
    with pytest.raises(LabelError, match="a broken RLE, expected counts of 16 pixels in all"):
        decode_rle(dict(size=[4, 4], counts=counts), 4, 4)


@pytest.mark.parametrize("size", [[4, 5], [5, 4], None, "44", [4], [10**400, 1], [[4], 4]])
def test_other_size(size: object) -> None:
    with pytest.raises(LabelError, match=r"RLE of size .*expected \[4, 4\], the height and wid"):
        decode_rle(dict(size=size, counts=[16]), 4, 4)
