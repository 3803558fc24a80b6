"""The model families that :func:`fdam_mm.apply_fdam` knows, by the library they come from."""

from . import openmmlab, pytorch, smp, timm, torchvision, transformers  # noqa: F401
