"""Decode a whole picture as mmcv's loader does in training, and see that nothing of it is missing.

cv2 decodes (mmcv's default): it turns JPEG, PNG and TIFF by their orientation, keeps the upper 8
of 16 bits, drops or applies alpha as the format has it. Some versions take a JPEG that is cut off,
with grey for the rest; Pillow, which does not, has to read it first.
"""

import struct
import warnings
import zlib
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

UNREADABLE = (
    OSError,
    SyntaxError,  # Pillow's, for a broken PNG
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    cv2.error,
    Image.DecompressionBombError,
)


def decode(stream: BinaryIO) -> np.ndarray:
    """Return (H, W, 3) uint8 BGR, as it is to be seen, from an open file.

    Raises:
        UNREADABLE: It is no whole picture, cv2 cannot read its kind, or it is above Pillow's limit
            of pixels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        picture = Image.open(stream)
    mode = picture.mode
    picture.load()
    del picture  # its pixels
    stream.seek(0)
    pixels = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError(f"its pixels are of Pillow's mode {mode}, which cv2 does not decode")
    return pixels
