"""The MiT encoders of segmentation_models_pytorch; its ``tu-`` encoders are timm's."""

from . import mit  # noqa: F401
