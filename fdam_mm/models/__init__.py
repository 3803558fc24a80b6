"""Models, registered in mmengine's root registry so that every OpenMMLab toolkit finds them.

Mask DINO needs mmdet, :class:`FDAMTimmBackbone` timm, EoMT both; without these the others are
there.
"""

from fdam_mm.toolkits.optional import importable
from fdam_mm.toolkits.patches.absent_kernels import go_without_absent_kernels
from fdam_mm.toolkits.patches.absent_operations import stand_in_for_absent_operations

stand_in_for_absent_operations()  # before a toolkit is imported, which imports them
go_without_absent_kernels()

from . import backbones  # noqa: E402
from .backbones import *  # noqa: E402, F403
from .necks import ViTPyramid  # noqa: E402
from .with_fdam import WithFDAM  # noqa: E402

__all__ = [*backbones.__all__, "ViTPyramid", "WithFDAM"]

if importable("mmdet.models"):
    from .mask_dino import MaskDINO, MaskDINOFusionHead, MaskDINOHead, MaskDINOPixelDecoder

    __all__ += ["MaskDINO", "MaskDINOFusionHead", "MaskDINOHead", "MaskDINOPixelDecoder"]

if importable("mmdet.models") and importable("timm"):
    from . import eomt
    from .eomt import *  # noqa: F403

    __all__ += eomt.__all__
