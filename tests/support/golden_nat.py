"""Our NAT with the settings of a golden case."""

from typing import Any

from fdam_mm.models import NAT

NEW = ("norm0", "norm1", "norm2", "norm3")
CLASSIFIER = ("norm", "head")
_OURS = {
    "depths": "depths",
    "num_heads": "num_heads",
    "kernel_size": "kernel_size",
    "dilations": "dilations",
    "mlp_ratio": "mlp_ratio",
    "qkv_bias": "qkv_bias",
    "drop_path_rate": "drop_path_rate",
    "out_indices": "out_indices",
    "in_chans": "in_channels",
}


def build(spec: dict[str, Any], **options: Any) -> NAT:
    official = spec["build"]
    dims = [official["embed_dim"] * 2**stage for stage in range(len(official["depths"]))]
    ours = {name: official[key] for key, name in _OURS.items() if key in official}
    if any(key.endswith(".gamma1") for key, *_ in spec["keys"]):
        ours["layer_scale_init"] = 1e-5
    return NAT(embed_dims=dims, **ours, **options)
