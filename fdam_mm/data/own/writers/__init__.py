"""Writers of labelled sets, a file for each format; what a format cannot hold is refused or said.

A :class:`Writer` gets one picture after the other, linked into its folder already, and ends with
``finish``. What is there already is kept: an interrupted conversion goes on.
"""

from .base import Placed, Writer
from .coco import CocoWriter
from .coco_panoptic import PanopticWriter
from .dota import DotaWriter
from .labelme import LabelmeWriter
from .masks import MaskWriter
from .yolo import YoloWriter

__all__ = [
    "CocoWriter",
    "DotaWriter",
    "LabelmeWriter",
    "MaskWriter",
    "PanopticWriter",
    "Placed",
    "Writer",
    "YoloWriter",
]
