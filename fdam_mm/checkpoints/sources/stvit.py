"""The authors' STViT: its ImageNet files."""

import re
from collections.abc import Mapping

from torch import Tensor

from .renaming import Pattern, drop_prefixes, has_component, next_stage, rename_by_patterns

_CONSTANT = re.compile(r"\.attn\.(un)?fold\.weights$")  # one-hot filters that shift by a cell
_PATTERNS: list[Pattern] = [
    (
        r"^patch_embed\.proj\.(\d+)\.",
        lambda match: f"stages.0.embed.layers.{int(match[1]) // 3}.{int(match[1]) % 3}.",
    ),
    (r"^layers\.(\d+)\.downsample\.proj\.0\.", next_stage("embed.proj.")),
    (r"^layers\.(\d+)\.downsample\.proj\.1\.", next_stage("embed.norm.")),
    (r"^layers\.(\d+)\.", r"stages.\1."),
    (r"\.pos_embed\.conv\.", ".position."),
    (r"\.norm1\.norm\.", ".norm1."),
    (r"\.attn\.stoken_refine\.", ".attn."),
    (r"\.mlp2\.conv\.conv\.", ".mlp.conv."),
    (r"\.mlp2\.", ".mlp."),
]
_LINEARS = ("qkv.weight", "attn.proj.weight", "fc1.weight", "fc2.weight")


def matches(state: Mapping[str, Tensor]) -> bool:
    return has_component(state, ("attn.stoken_refine",))


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Also leaves out the classifier and constant filters, and makes 1x1 convolutions linears."""
    state = drop_prefixes(state, ("head.", "norm.", "proj."))
    state = {key: value for key, value in state.items() if not _CONSTANT.search(key)}
    renamed = rename_by_patterns(state, _PATTERNS)
    return {key: _fitting(key, value) for key, value in renamed.items()}


def _fitting(key: str, value: Tensor) -> Tensor:
    if ".blocks." not in key:
        return value
    if key.endswith((".gamma_1", ".gamma_2")):
        return value.flatten()
    return value.flatten(1) if key.endswith(_LINEARS) else value
