"""mmseg's ViT, BEiT and MAE."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm.inject.adapter import (
    AttentionAdapter,
    BlockAdapter,
    Call,
    Site,
    nearest,
    register_adapter,
    widths,
)


@register_adapter("mmseg.models.backbones.beit.BEiTAttention")
class BEiTAttention(AttentionAdapter):
    """With a bias of queries and values alone it reads the weight of ``qkv``, not calling it."""

    def __init__(self, attn: Any) -> None:
        super().__init__(attn)
        self.values = None if attn.bias == "qv_bias" else "qkv"

    def v(self, call: Call) -> Tensor:
        if self.values is not None:
            return super().v(call)
        return F.linear(self.x(call), call.attn.qkv.weight[-self.dim :], call.attn.v_bias)


@register_adapter("mmseg.models.backbones.beit.BEiTTransformerEncoderLayer")
class BEiTBlock(BlockAdapter):
    """BEiT and MAE: before LayerScale; the class token stays out."""

    sites = (Site("attn", "output", "tokens"), Site("ffn.layers", "output", "tokens"))
    num_prefix_tokens = 1

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = widths(block.attn.proj)[1]

    def grid_source(self, parents: Sequence[nn.Module]) -> nn.Module:
        return nearest(parents, "patch_embed").patch_embed.projection


@register_adapter("mmseg.models.backbones.vit.TransformerEncoderLayer")
class ViTBlock(BEiTBlock):
    """Its attention is torch's own in mmcv's, which adds the identity after ``proj_drop``."""

    sites = (Site("attn.proj_drop", "output", "tokens"), Site("ffn.layers", "output", "tokens"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = block.attn.embed_dims
        self.num_prefix_tokens = int(nearest(parents, "patch_embed").with_cls_token)
