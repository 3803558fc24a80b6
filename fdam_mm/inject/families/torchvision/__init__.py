"""torchvision's models."""

from . import convnext, maxvit, swin, vit  # noqa: F401
