"""Our AttNet with a golden case's settings."""

from typing import Any

from fdam_mm.models import AttNet

NEW = ()
CLASSIFIER = ("norm", "head")


def build(spec: dict[str, Any], **options: Any) -> AttNet:
    build = spec["build"]
    return AttNet(
        embed_dims=build["dims"],
        depths=build["depths"],
        mlp_ratios=build["exp_rates"],
        kernel_sizes=build["kernel_sizes"],
        glu_dwconv=build["glu_dconv"],
        glu_norm=build["glu_norm"],
        layer_scale_init=1e-6 if build["use_layer_scale"] else None,
        **options,
    )
