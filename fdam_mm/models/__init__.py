"""Models, registered in mmengine's root registry so that every OpenMMLab toolkit finds them.

Mask DINO needs mmdet, :class:`FDAMTimmBackbone` timm; without these the others are there.
"""

from fdam_mm.toolkits.optional import importable

from . import backbones
from .backbones import *  # noqa: F403
from .necks import ViTPyramid
from .with_fdam import WithFDAM

__all__ = [*backbones.__all__, "ViTPyramid", "WithFDAM"]

if importable("mmdet.models"):
    from .mask_dino import MaskDINO, MaskDINOFusionHead, MaskDINOHead, MaskDINOPixelDecoder

    __all__ += ["MaskDINO", "MaskDINOFusionHead", "MaskDINOHead", "MaskDINOPixelDecoder"]
