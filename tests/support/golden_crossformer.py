"""Our CrossFormer with the settings of a golden case."""

from typing import Any

from fdam_mm.models import CrossFormer

NEW = ()
CLASSIFIER = ("norm", "head")
_OURS = {
    "depths": "depths",
    "num_heads": "num_heads",
    "group_size": "group_sizes",
    "crs_interval": "intervals",
    "mlp_ratio": "mlp_ratio",
    "qkv_bias": "qkv_bias",
    "patch_size": "patch_sizes",
    "merge_size": "merge_sizes",
    "use_acl": "cooling",
    "drop_path_rate": "drop_path_rate",
    "in_chans": "in_channels",
}


def build(spec: dict[str, Any], **options: Any) -> CrossFormer:
    official = spec["build"]
    dims = [official["embed_dim"] * 2**stage for stage in range(len(official["depths"]))]
    ours = {name: official[key] for key, name in _OURS.items() if key in official}
    if official.get("adaptive_interval"):
        ours["intervals"] = None
    return CrossFormer(embed_dims=dims, **ours, **options)
