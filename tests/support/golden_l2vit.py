"""Our L2ViT with the settings of a golden case."""

from typing import Any

from fdam_mm.models import L2ViT

NEW = ("norm0", "norm1", "norm2", "norm3")  # not in ImageNet files
CLASSIFIER = ("norm", "head")
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
