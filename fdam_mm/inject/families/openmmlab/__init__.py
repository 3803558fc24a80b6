"""mmseg's and mmdet's backbones and encoders, built from mmcv's pieces; VAN of mmpretrain."""

from . import deformable, pyramid, swin, van, vit  # noqa: F401
