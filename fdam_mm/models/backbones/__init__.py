"""Backbones, each plain (``fdam=None``) and with FDAM."""

from .mit import FDAMMixVisionTransformer
from .vit import FDAMVisionTransformer

__all__ = ["FDAMMixVisionTransformer", "FDAMVisionTransformer"]
