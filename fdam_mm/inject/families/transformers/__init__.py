"""The models of transformers, 5.0 or newer."""

from . import (  # noqa: F401
    convolution,
    deformable,
    hiera,
    mobilevit,
    pyramid,
    swin,
    vit,
)
