"""A small backbone of every family of stages: its class and settings."""

from typing import Any

from fdam_mm.models import (
    NAT,
    SOFT,
    AttNet,
    CrossFormer,
    L2ViT,
    MambaVision,
    SGFormer,
    STViT,
    VMamba,
)
from fdam_mm.models.backbones.staged import StagedBackbone

DIMS = (16, 32, 32, 48)
FAMILIES: dict[str, tuple[type[StagedBackbone], dict[str, Any]]] = {
    "l2vit": (L2ViT, dict(embed_dims=DIMS, depths=(2, 1, 2, 1), num_heads=(1, 2, 2, 4))),
    "crossformer": (
        CrossFormer,
        dict(
            embed_dims=(128, 128, 128, 128),  # the position bias has a sixteenth of them
            depths=(2, 1, 4, 1),
            num_heads=(1, 2, 2, 4),
            group_sizes=(3, 3, 2, 2),
            intervals=(2, 2, 2, 1),
            cooling=True,
        ),
    ),
    "stvit": (
        STViT,
        dict(
            embed_dims=DIMS,
            depths=(2, 1, 2, 1),
            num_heads=(1, 2, 2, 4),
            num_rounds=(2, 1, 1, 1),
            layer_scale_inits=(None, 0.5, 0.5, None),
        ),
    ),
    "nat": (
        NAT,
        dict(
            embed_dims=DIMS,
            depths=(2, 1, 2, 1),
            num_heads=(1, 2, 2, 4),
            kernel_size=3,
            dilations=((1, 3), (2,), (1, 2), (1,)),
            layer_scale_init=0.5,
        ),
    ),
    "vmamba": (VMamba, dict(embed_dims=DIMS, depths=(2, 1, 2, 1))),
    "attnet": (
        AttNet,
        dict(embed_dims=DIMS, depths=(1, 1, 2, 1), mlp_ratios=(2, 2, 2, 2), layer_scale_init=0.5),
    ),
    "soft": (
        SOFT,
        dict(embed_dims=DIMS, depths=(1, 1, 2, 1), num_heads=(1, 2, 2, 4), img_size=64),
    ),
    "sgformer": (
        SGFormer,
        dict(embed_dims=DIMS, depths=(2, 2, 1, 1), num_heads=(2, 2, 4, 4), img_size=64),
    ),
    "mambavision": (
        MambaVision,
        dict(
            stem_channels=8,
            embed_dims=DIMS,
            depths=(1, 1, 2, 2),
            num_heads=(1, 1, 2, 4),
            window_sizes=(4, 2),
            layer_scale_init=0.5,
        ),
    ),
}
