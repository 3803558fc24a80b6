"""The authors' CrossFormer and CrossFormer++: ImageNet files, detectors and segmentors."""

import re
from collections.abc import Mapping

from torch import Tensor

from .renaming import Pattern, drop_prefixes, next_stage, rename_by_patterns

_POSITION = re.compile(r"(^|\.)layers\.\d+\.blocks\.\d+\.attn\.pos\.pos")
_PATTERNS: list[Pattern] = [
    (r"^patch_embed\.projs\.", "stages.0.embed.proj.convs."),
    (r"^patch_embed\.norm\.", "stages.0.embed.norm."),
    (r"^layers\.(\d+)\.downsample\.reductions\.", next_stage("embed.proj.convs.")),
    (r"^layers\.(\d+)\.downsample\.norm\.", next_stage("embed.norm.")),
    (r"^layers\.(\d+)\.", r"stages.\1."),
    (r"\.attn\.pos\.pos_proj\.", ".attn.position.proj."),
    (r"\.attn\.pos\.pos(\d)\.", lambda match: f".attn.position.layers.{int(match[1]) - 1}."),
    (r"\.ex_conv\.", ".cool.conv."),
    (r"\.ex_ln\.", ".cool.norm."),
]


def matches(state: Mapping[str, Tensor]) -> bool:
    return any(_POSITION.search(key) for key in state)


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Also leaves out the classifier."""
    return rename_by_patterns(drop_prefixes(state, ("head.", "norm.")), _PATTERNS)
