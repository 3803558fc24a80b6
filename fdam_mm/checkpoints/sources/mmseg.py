"""mmseg's ``VisionTransformer``, bare or inside a segmentor."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from .renaming import rename

_NAMES = {
    "patch_embed.projection": "patch_embed.proj",
    "ln1": "norm1",
    "ln2": "norm2",
    "attn.attn.in_proj_weight": "attn.qkv.weight",
    "attn.attn.in_proj_bias": "attn.qkv.bias",
    "attn.attn.out_proj": "attn.proj",
    "ffn.layers.0.0": "mlp.fc1",
    "ffn.layers.1": "mlp.fc2",
    "layers": "blocks",  # after the rules above, which name other ``layers``
}
# A plain ViT's block is ``layers.0``; a MiT's, which has an ``attn.attn`` too, ``layers.0.1.0``.
_BLOCK = re.compile(r"(^|\.)layers\.\d+\.attn\.attn\.in_proj_weight$")
_FINAL_NORM = re.compile(r"(|backbone\.)ln1\.(weight|bias)$")  # a block's has more before it


def matches(state: Mapping[str, Tensor]) -> bool:
    return any(_BLOCK.search(key) for key in state)


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    converted = {}
    for key, value in state.items():
        if final := _FINAL_NORM.match(key):
            converted[f"{final[1]}final_norm.{final[2]}"] = value
        elif key.startswith(("decode_head.", "auxiliary_head.", "neck.")):
            converted[key] = value
        else:
            converted.update(rename({key: value}, _NAMES))
    for key, value in list(converted.items()):  # of mmseg's linears these may have no bias
        if key.endswith(("patch_embed.proj.weight", ".attn.proj.weight")):
            bias = torch.zeros(len(value), dtype=value.dtype)
            converted.setdefault(key.removesuffix("weight") + "bias", bias)
    return converted
