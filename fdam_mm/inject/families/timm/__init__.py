"""timm's models, one file per family."""

from . import (  # noqa: F401
    convit,
    convolution,
    davit,
    gcvit,
    halonet,
    hiera,
    maxvit,
    pyramid,
    swin,
    vit,
    xcit,
)
