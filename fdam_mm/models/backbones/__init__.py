"""Backbones, each plain (``fdam=None``) and with FDAM."""

from fdam_mm.toolkits.optional import importable

from .l2vit import L2ViT
from .lsknet import LSKNet
from .mit import FDAMMixVisionTransformer
from .vit import FDAMVisionTransformer
from .vmamba import VMamba

__all__ = ["FDAMMixVisionTransformer", "FDAMVisionTransformer", "L2ViT", "LSKNet", "VMamba"]

if importable("timm"):
    from .timm import FDAMTimmBackbone

    __all__ += ["FDAMTimmBackbone"]
