"""Our VMamba with the settings of a golden case."""

from typing import Any

from fdam_mm.models import VMamba

NEW = ("outnorm",)
CLASSIFIER = ("classifier.norm", "classifier.head")
_OURS = {
    "ssm_ratio": "ssm_ratio",
    "ssm_d_state": "d_state",
    "ssm_dt_rank": "dt_rank",
    "ssm_conv": "conv_size",
    "ssm_conv_bias": "conv_bias",
    "mlp_ratio": "mlp_ratio",
    "drop_path_rate": "drop_path_rate",
    "out_indices": "out_indices",
    "in_chans": "in_channels",
    "depths": "depths",
}


def build(spec: dict[str, Any], **options: Any) -> VMamba:
    official = spec["build"]
    dims = official["dims"]
    if isinstance(dims, int):
        dims = [dims * 2**stage for stage in range(len(official["depths"]))]
    ours = {name: official[key] for key, name in _OURS.items() if key in official}
    return VMamba(embed_dims=dims, **ours, **options)
