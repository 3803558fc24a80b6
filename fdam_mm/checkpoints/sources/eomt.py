"""Trained EoMT models on DINOv2 or DINOv3: the authors' files and those of transformers."""

from collections.abc import Mapping

import torch
from torch import Tensor

from fdam_mm.errors import CheckpointError

from .renaming import Pattern, rename_by_patterns

_QUERIES = ("network.q.weight", "query.weight")  # of the authors, of transformers
_AUTHORS: list[Pattern] = [
    (r"^network\.encoder\.backbone\.", "timm_model."),
    (r"^network\.q\.", "queries."),
    (r"^network\.class_head\.", "predictor.cls_embed."),
    (r"^network\.mask_head\.", "predictor.mask_embed."),
    (r"^network\.upscale\.(\d+)\.conv1\.", r"predictor.upscale.\1.0."),
    (r"^network\.upscale\.(\d+)\.conv2\.", r"predictor.upscale.\1.2."),
    (r"^network\.upscale\.(\d+)\.norm\.", r"predictor.upscale.\1.3."),
    (r"^network\.attn_mask_probs$", "masking.probs"),
]
_TRANSFORMERS: list[Pattern] = [
    (r"^embeddings\.cls_token$", "timm_model.cls_token"),
    (r"^embeddings\.register_tokens$", "timm_model.reg_token"),
    (r"^embeddings\.position_embeddings\.weight$", "timm_model.pos_embed"),
    (r"^embeddings\.patch_embeddings\.(projection\.)?", "timm_model.patch_embed.proj."),
    (r"^layernorm\.", "timm_model.norm."),
    (r"^layers\.", "timm_model.blocks."),
    (r"\.attention\.(out_proj|o_proj)\.", ".attn.proj."),
    (r"\.attention\.", ".attn."),
    (r"\.mlp\.up_proj\.", ".mlp.fc1."),
    (r"\.mlp\.down_proj\.", ".mlp.fc2."),
    (r"^query\.", "queries."),
    (r"^class_predictor\.", "predictor.cls_embed."),
    (r"^mask_head\.fc1\.", "predictor.mask_embed.0."),
    (r"^mask_head\.fc2\.", "predictor.mask_embed.2."),
    (r"^mask_head\.fc3\.", "predictor.mask_embed.4."),
    (r"^upscale_block\.block\.(\d+)\.conv1\.", r"predictor.upscale.\1.0."),
    (r"^upscale_block\.block\.(\d+)\.conv2\.", r"predictor.upscale.\1.2."),
    (r"^upscale_block\.block\.(\d+)\.layernorm2d\.", r"predictor.upscale.\1.3."),
    (r"^attn_mask_probs$", "masking.probs"),
]
_DINOV2: list[Pattern] = [(r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma")]
_DINOV3: list[Pattern] = [(r"\.layer_scale([12])\.lambda1$", r".gamma_\1")]
_UNUSED = ("criterion.", "network.encoder.pixel_", "embeddings.mask_token")


def matches(state: Mapping[str, Tensor]) -> bool:
    return any(key in state for key in _QUERIES) and any(
        key.startswith(("network.upscale.", "upscale_block.")) for key in state
    )


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """To a whole detector or segmentor, in whose ``backbone`` all of the weights are.

    Raises:
        CheckpointError: Of queries, keys and values of an attention a part is missing.
    """
    used = {key: value for key, value in state.items() if not key.startswith(_UNUSED)}
    if _QUERIES[0] in state:
        converted = rename_by_patterns(used, _AUTHORS)
    else:
        learned = "embeddings.position_embeddings.weight" in state  # DINOv3 has none
        patterns = _TRANSFORMERS + (_DINOV2 if learned else _DINOV3)
        converted = _join_gates(_join_projections(rename_by_patterns(used, patterns), learned))
        if learned:
            converted["timm_model.pos_embed"] = converted["timm_model.pos_embed"][None]
    return {f"backbone.{key}": value for key, value in converted.items()}


def _join_projections(state: Mapping[str, Tensor], one_bias: bool) -> dict[str, Tensor]:
    """Three projections to timm's ``qkv``; DINOv3 has biases of queries and of values alone."""
    joined = dict(state)
    for key in (key for key in state if key.endswith(".attn.q_proj.weight")):
        attn = key.removesuffix("q_proj.weight")
        joined[f"{attn}qkv.weight"] = _take(joined, attn, "weight")
        if one_bias:
            joined[f"{attn}qkv.bias"] = _take(joined, attn, "bias")
        elif f"{attn}q_proj.bias" in joined:
            joined[f"{attn}q_bias"] = joined.pop(f"{attn}q_proj.bias")
            if f"{attn}v_proj.bias" in joined:
                joined[f"{attn}v_bias"] = joined.pop(f"{attn}v_proj.bias")
    return joined


def _take(state: dict[str, Tensor], attn: str, kind: str) -> Tensor:
    names = [f"{attn}{part}_proj.{kind}" for part in "qkv"]
    missing = [name for name in names if name not in state]
    if missing:
        raise CheckpointError(f"{', '.join(names)} make one tensor, {missing[0]} is missing")
    return torch.cat([state.pop(name) for name in names])


def _join_gates(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gate and value of a gated MLP (``giant``): timm's ``fc1`` holds both, the gate first."""
    joined = dict(state)
    for key in (key for key in state if ".mlp.gate_proj." in key):
        value = key.replace(".gate_proj.", ".fc1.")
        if value not in joined:
            raise CheckpointError(f"{key} has no up_proj beside it; they make one tensor")
        joined[value] = torch.cat([joined.pop(key), joined[value]])
    return joined
