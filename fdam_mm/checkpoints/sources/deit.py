"""The original DeiT and DeiT-III ImageNet files, and timm's plain ViTs without LayerScale."""

from collections.abc import Mapping

from torch import Tensor

from .renaming import drop_prefixes

# What a classifier has and a dense model does not use.
CLASSIFIER = ("head.", "head_dist.", "norm.", "fc_norm.", "dist_token", "pre_logits.")


def matches(state: Mapping[str, Tensor]) -> bool:
    return "blocks.0.attn.qkv.weight" in state and any(k.startswith(CLASSIFIER) for k in state)


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return drop_prefixes(state, CLASSIFIER)
