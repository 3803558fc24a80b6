"""Models, registered in mmengine's root registry so that every OpenMMLab toolkit finds them."""

from .backbones import FDAMMixVisionTransformer, FDAMTimmBackbone, FDAMVisionTransformer, LSKNet
from .necks import ViTPyramid

__all__ = [
    "FDAMMixVisionTransformer",
    "FDAMTimmBackbone",
    "FDAMVisionTransformer",
    "LSKNet",
    "ViTPyramid",
]
