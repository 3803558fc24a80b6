"""Backbones, each plain (``fdam=None``) and with FDAM."""

from fdam_mm.toolkits.optional import importable

from .attnet import AttNet
from .crossformer import CrossFormer
from .l2vit import L2ViT
from .lsknet import LSKNet
from .mambavision import MambaVision
from .mit import FDAMMixVisionTransformer
from .nat import NAT
from .sgformer import SGFormer
from .soft import SOFT
from .stvit import STViT
from .vit import FDAMVisionTransformer
from .vmamba import VMamba

__all__ = [
    "SOFT",
    "AttNet",
    "CrossFormer",
    "FDAMMixVisionTransformer",
    "FDAMVisionTransformer",
    "L2ViT",
    "LSKNet",
    "MambaVision",
    "NAT",
    "SGFormer",
    "STViT",
    "VMamba",
]

if importable("timm"):
    from .timm import FDAMTimmBackbone

    __all__ += ["FDAMTimmBackbone"]
