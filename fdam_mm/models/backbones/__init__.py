"""Backbones, each plain (``fdam=None``) and with FDAM."""

from .vit import FDAMVisionTransformer

__all__ = ["FDAMVisionTransformer"]
