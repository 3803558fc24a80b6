"""Models, registered in mmengine's root registry so that every OpenMMLab toolkit finds them."""

from importlib.util import find_spec

from .backbones import FDAMMixVisionTransformer, FDAMTimmBackbone, FDAMVisionTransformer, LSKNet
from .necks import ViTPyramid

__all__ = [
    "FDAMMixVisionTransformer",
    "FDAMTimmBackbone",
    "FDAMVisionTransformer",
    "LSKNet",
    "ViTPyramid",
]

if find_spec("mmdet"):
    from .mask_dino import MaskDINO, MaskDINOFusionHead, MaskDINOHead, MaskDINOPixelDecoder

    __all__ += ["MaskDINO", "MaskDINOFusionHead", "MaskDINOHead", "MaskDINOPixelDecoder"]
