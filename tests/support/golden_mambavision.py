"""Our MambaVision with the settings of a golden case."""

from typing import Any

from fdam_mm.models import MambaVision

NEW = ("outnorm0", "outnorm1", "outnorm2", "outnorm3")
CLASSIFIER = ("norm", "head")


def build(spec: dict[str, Any], **options: Any) -> MambaVision:
    build = spec["build"]
    return MambaVision(
        stem_channels=build["in_dim"],
        embed_dims=[build["dim"] * 2**stage for stage in range(4)],
        depths=build["depths"],
        num_heads=build["num_heads"],
        window_sizes=build["window_size"][2:],
        mlp_ratio=build["mlp_ratio"],
        layer_scale_init=build["layer_scale"],
        **options,
    )
