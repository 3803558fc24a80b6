"""Our STViT with the settings of a golden case."""

from typing import Any

from fdam_mm.models import STViT

NEW = ()
CLASSIFIER = ("proj", "norm", "head")
_OURS = {
    "embed_dim": "embed_dims",
    "depths": "depths",
    "num_heads": "num_heads",
    "stoken_size": "cell_sizes",
    "n_iter": "num_rounds",
    "mlp_ratio": "mlp_ratio",
    "qkv_bias": "qkv_bias",
    "drop_path_rate": "drop_path_rate",
    "in_chans": "in_channels",
}


def build(spec: dict[str, Any], **options: Any) -> STViT:
    official = spec["build"]
    ours = {name: official[key] for key, name in _OURS.items() if key in official}
    init = official.get("init_values", 1e-6)
    scales = official.get("layerscale", [False] * len(official["depths"]))
    ours["layer_scale_inits"] = [init if scale else None for scale in scales]
    return STViT(**ours, **options)
