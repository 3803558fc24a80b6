"""EoMT (arXiv 2503.19108): a plain ViT that segments, for mmdet and mmseg."""

from fdam_mm.toolkits.optional import importable

from .head import EoMTHead
from .network import EoMT

__all__ = ["EoMT", "EoMTHead"]

if importable("mmseg.models"):
    from .decode_head import EoMTDecodeHead

    __all__ += ["EoMTDecodeHead"]
