"""mmseg's and mmdet's backbones and encoders, built from mmcv's pieces; mmpretrain's."""

from . import deformable, mmpretrain_vit, pyramid, swin, van, vit  # noqa: F401
