"""Our L2ViT on a golden case's weights and inputs."""

from typing import Any

import torch
from torch import Tensor

from fdam_mm.checkpoints import convert
from fdam_mm.models import L2ViT

NEW = ("norm0", "norm1", "norm2", "norm3")  # not in ImageNet files
_BLOCK_TYPES = {
    "mix_local_enhanced_vit": ("window", "linear"),
    "local": ("window",),
    "enhanced_vit": ("linear",),
}


def build(spec: dict[str, Any], **options: Any) -> L2ViT:
    build = spec["build"]
    return L2ViT(
        embed_dims=build["dims"],
        depths=build["depths"],
        num_heads=build["num_heads"],
        mlp_ratios=build["mlp_ratio"],
        block_types=_BLOCK_TYPES[build["block_type"]],
        conv_stem=build["conv_stem"],
        **options,
    )


def outputs(
    spec: dict[str, Any], state_dict: dict[str, Tensor], inputs: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Every output that the case names, before thinning."""
    model = build(spec).eval()
    model.load_state_dict(convert(state_dict, source="l2vit"))
    with torch.no_grad():
        return {
            f"{name}:{index}": out
            for name, x in inputs.items()
            for index, out in enumerate(model(x))
        }
