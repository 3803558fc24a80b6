"""Mask DINO (arXiv 2206.02777) for mmdet, plain and with FDAM in its pixel decoder."""

from .detector import MaskDINO
from .fusion_head import MaskDINOFusionHead
from .head import MaskDINOHead
from .pixel_decoder import MaskDINOPixelDecoder

__all__ = ["MaskDINO", "MaskDINOFusionHead", "MaskDINOHead", "MaskDINOPixelDecoder"]
