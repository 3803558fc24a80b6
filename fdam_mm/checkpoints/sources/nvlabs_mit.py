"""The original SegFormer's Mix Transformer: its ImageNet files, or the backbone of a segmentor."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from fdam_mm.errors import CheckpointError

from .renaming import drop_prefixes, rename, rename_stage

_PARTS = {"patch_embed": "0", "block": "1", "norm": "2"}  # of a stage in ours
# LSKNet's keys are alike but for the attention.
_KEY_VALUE = re.compile(r"^(backbone\.)?block[1-9]\.\d+\.attn\.kv\.")
_PROJECTION = re.compile(r"(.*\.attn)\.(q|kv)\.(weight|bias)")
_NAMES = {
    "attn.proj": "attn.attn.out_proj",
    "proj": "projection",  # of the patch embedding
    "mlp.fc1": "ffn.layers.0",
    "mlp.dwconv.dwconv": "ffn.layers.1",
    "mlp.fc2": "ffn.layers.4",
}


def matches(state: Mapping[str, Tensor]) -> bool:
    return any(_KEY_VALUE.match(key) for key in state)


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Also joins the query and key-value projections, and makes the linears 1x1 convolutions.

    Raises:
        CheckpointError: Of an attention's query and key-value projections one is missing.
    """
    converted = {}
    for key, value in _join_projections(drop_prefixes(state, ("head.",))).items():
        in_stage = rename_stage(key, "layers", _PARTS)
        if in_stage is None:
            converted[key] = value
            continue
        if key.endswith((".mlp.fc1.weight", ".mlp.fc2.weight")):
            value = value[:, :, None, None]
        converted.update(rename({in_stage: value}, _NAMES))
    return converted


def _join_projections(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``attn.q`` and ``attn.kv`` -> ``attn.attn.in_proj``, queries first."""
    found = {key: match for key in state if (match := _PROJECTION.fullmatch(key))}
    joined = {key: value for key, value in state.items() if key not in found}
    for attention, _, kind in (match.groups() for match in found.values()):
        parts = [f"{attention}.{name}.{kind}" for name in ("q", "kv")]
        if not all(part in state for part in parts):
            raise CheckpointError(f"{parts[0]} and {parts[1]} make one tensor, one is missing")
        joined[f"{attention}.attn.in_proj_{kind}"] = torch.cat([state[part] for part in parts])
    return joined
