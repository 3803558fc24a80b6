"""Backbones, each plain (``fdam=None``) and with FDAM."""

from .lsknet import LSKNet
from .mit import FDAMMixVisionTransformer
from .timm import FDAMTimmBackbone
from .vit import FDAMVisionTransformer

__all__ = ["FDAMMixVisionTransformer", "FDAMTimmBackbone", "FDAMVisionTransformer", "LSKNet"]
