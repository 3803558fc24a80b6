"""The authors' NAT and DiNAT: their ImageNet files, and detectors and segmentors with them."""

import re
from collections.abc import Mapping

from torch import Tensor

from .renaming import Pattern, drop_prefixes, next_stage, rename_by_patterns

_BIAS = re.compile(r"(^|\.)levels\.\d+\.blocks\.\d+\.attn\.rpb$")
_PATTERNS: list[Pattern] = [
    (r"^patch_embed\.proj\.0\.", "stages.0.embed.proj1."),
    (r"^patch_embed\.proj\.1\.", "stages.0.embed.proj2."),
    (r"^patch_embed\.norm\.", "stages.0.embed.norm."),
    (r"^levels\.(\d+)\.downsample\.reduction\.", next_stage("embed.proj.")),
    (r"^levels\.(\d+)\.downsample\.norm\.", next_stage("embed.norm.")),
    (r"^(levels\.\d+\.blocks\.\d+)\.attn\.", r"\1.mixer."),
    (r"^levels\.(\d+)\.", r"stages.\1."),
    (r"\.gamma([12])$", r".gamma_\1"),
    (r"^norm(\d+)\.", r"out_norms.\1."),
]


def matches(state: Mapping[str, Tensor]) -> bool:
    return any(_BIAS.search(key) for key in state)


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Also leaves out the classifier."""
    return rename_by_patterns(drop_prefixes(state, ("head.", "norm.")), _PATTERNS)
