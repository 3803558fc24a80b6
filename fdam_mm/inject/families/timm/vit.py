"""Plain ViTs: ``vit_*``, ``deit*``, DINOv2, DINOv3, ``beit*``, ``eva02*`` and their relatives."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from fdam_mm.inject.adapter import (
    AttentionAdapter,
    BlockAdapter,
    Call,
    NoAttInv,
    Unsupported,
    nearest,
    register_adapter,
    widths,
)

from .qkv import QKVAttention, SeparateBiasAttention, require_same_width


@register_adapter(
    "timm.layers.attention.Attention",
    "timm.models.vision_transformer.Attention",  # its home in older timm
)
class ViTAttention(QKVAttention):
    """AttInv acts on ``y`` itself, before a norm and a gate that may stand before ``proj``."""

    def __init__(self, attn: Any) -> None:
        super().__init__(attn)
        if isinstance(getattr(attn, "norm", None), nn.Module):
            self.projection = "norm"


@register_adapter("timm.models.beit.Attention")
class BeitAttention(SeparateBiasAttention):
    """Relative position bias changes A alone."""


@register_adapter("timm.models.eva.EvaAttention")
class EvaAttention(SeparateBiasAttention):
    """EVA-02 and DINOv3: one ``qkv`` or three projections; rotation leaves the values alone."""

    projection = "norm"

    def __init__(self, attn: Any) -> None:
        if attn.qkv is not None:
            super().__init__(attn)
            return
        self.values = "v_proj"
        self.dim, self.num_heads = widths(attn.proj)[0], attn.num_heads
        require_same_width(widths(attn.v_proj)[0], self.dim)


@register_adapter("timm.layers.attention.AttentionRope")
class RopeAttention(AttentionAdapter):
    """ViTs with rotary position; values that several heads share are given to each of them."""

    projection = "norm"

    def __init__(self, attn: Any) -> None:
        super().__init__(attn)
        self.values = "qkv" if attn.qkv is not None else "v_proj"
        require_same_width(widths(getattr(attn, self.values))[0], self.dim)
        self.num_kv_groups = getattr(attn, "num_kv_groups", 1)

    def v(self, call: Call) -> Tensor:
        if self.num_kv_groups == 1:
            return super().v(call)
        heads = call.captured.unflatten(-1, (self.num_heads // self.num_kv_groups, -1))
        return heads.repeat_interleave(self.num_kv_groups, dim=-2).flatten(-2)


@register_adapter("timm.layers.attention_pool.AttentionPoolLatent")
class PoolingAttention(NoAttInv):
    """The pooling head of some ViTs."""

    reason = "it pools all tokens into one"


@register_adapter(
    "timm.models.vision_transformer.Block",
    "timm.models.vision_transformer.ResPostBlock",
    "timm.models.beit.Block",
    "timm.models.eva.EvaBlock",
    "timm.models.eva.EvaBlockPostNorm",
)
class ViTBlock(BlockAdapter):
    """The grid is the patch embedding's; class, distillation and register tokens stay out.

    A block that is given further tokens before them says so by a ``num_prefix_tokens`` of its own.
    """

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        super().__init__(block, parents)
        model = nearest(parents, "patch_embed")
        if not (hasattr(model, "num_prefix_tokens") and hasattr(model.patch_embed, "proj")):
            raise Unsupported(f"{type(model).__name__} is no plain ViT: its grid is unknown")
        if getattr(getattr(model, "patch_drop", None), "prob", 0.0):
            raise Unsupported("patch dropout leaves no grid; build the model without it")
        self.num_prefix_tokens = getattr(block, "num_prefix_tokens", model.num_prefix_tokens)

    def grid_source(self, parents: Sequence[nn.Module]) -> nn.Module:
        return nearest(parents, "patch_embed").patch_embed.proj
