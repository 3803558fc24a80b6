"""How a panoptic PNG holds the id of each pixel's segment."""

import numpy as np


def segment_ids(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (H, W) int32: red + 256 green + 65536 blue; 0 is void."""
    red, green, blue = np.moveaxis(rgb.astype(np.int32), -1, 0)
    return red + (green << 8) + (blue << 16)
