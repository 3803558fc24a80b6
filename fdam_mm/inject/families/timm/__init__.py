"""The shipped adapters, one file per family; all of timm's unless the file says otherwise."""

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
