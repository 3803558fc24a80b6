"""Models, registered in mmengine's root registry so that every OpenMMLab toolkit finds them."""

from .backbones import FDAMVisionTransformer
from .necks import ViTPyramid

__all__ = ["FDAMVisionTransformer", "ViTPyramid"]
