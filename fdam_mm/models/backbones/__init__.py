"""Backbones, each plain (``fdam=None``) and with FDAM."""

from fdam_mm.toolkits.optional import importable

from .crossformer import CrossFormer
from .l2vit import L2ViT
from .lsknet import LSKNet
from .mit import FDAMMixVisionTransformer
from .nat import NAT
from .stvit import STViT
from .vit import FDAMVisionTransformer
from .vmamba import VMamba

__all__ = [
    "CrossFormer",
    "FDAMMixVisionTransformer",
    "FDAMVisionTransformer",
    "L2ViT",
    "LSKNet",
    "NAT",
    "STViT",
    "VMamba",
]

if importable("timm"):
    from .timm import FDAMTimmBackbone

    __all__ += ["FDAMTimmBackbone"]
