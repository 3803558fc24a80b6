"""How a panoptic PNG holds the id of each pixel's segment, and how it is found."""

import os.path

import numpy as np


def segment_ids(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (H, W) int32: red + 256 green + 65536 blue; 0 is void."""
    red, green, blue = np.moveaxis(rgb.astype(np.int32), -1, 0)
    return red + (green << 8) + (blue << 16)


def png_of(picture: str) -> str:
    """The name of a picture's PNG: mmdet's for `.jpg`, and of the same stem for all others."""
    return with_png(picture.replace(".jpg", ".png"))


def with_png(path: str) -> str:
    """A path with the suffix `.png`; mmdet gives it to what was `.jpg`, and to nothing else."""
    return os.path.splitext(path)[0] + ".png"
