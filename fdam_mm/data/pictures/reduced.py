"""A picture of any size, reduced for drawing on."""

from pathlib import Path

import cv2
import numpy as np

from .rows import PictureRows

_BAND = 64  # rows of the reduced picture that are made at once


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
