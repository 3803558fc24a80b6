"""Deformable encoder of the pixel decoder, plain or with FDAM."""

from collections.abc import Mapping
from typing import Any

import torch
from mmcv.cnn.bricks.transformer import FFN
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fdam_mm.layers import FreqScale

from .deformable import DeformableSelfAttention
from .tokens import Levels, centres


class EncoderLayer(BaseModule):
    """Post-norm layer; FreqScale acts, level by level, on what each sub-layer adds.

    ::

        a = self_attn(x);  x = norm_1(x + a + FreqScale_1(a))
        f = ffn(x);        x = norm_2(x + f + FreqScale_2(f))
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        num_levels: int,
        num_points: int,
        feedforward_channels: int,
        att_inv: Mapping[str, Any],
        freq_scale: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.self_attn = DeformableSelfAttention(
            embed_dims, num_heads, num_levels, num_points, att_inv
        )
        self.ffn = FFN(embed_dims, feedforward_channels, add_identity=False)
        self.norms = ModuleList(nn.LayerNorm(embed_dims) for _ in range(2))
        self.freq_scale_1 = None if freq_scale is None else FreqScale(embed_dims, **freq_scale)
        self.freq_scale_2 = None if freq_scale is None else FreqScale(embed_dims, **freq_scale)
        for linear in (m for m in self.ffn.modules() if isinstance(m, nn.Linear)):
            nn.init.xavier_uniform_(linear.weight)

    def forward(self, x: Tensor, position: Tensor, reference: Tensor, levels: Levels) -> Tensor:
        """(B, N, C) -> (B, N, C)."""
        attended = self.self_attn(x, position, reference, levels)
        x = self.norms[0](x + _scale(attended, levels, self.freq_scale_1))
        return self.norms[1](x + _scale(self.ffn(x), levels, self.freq_scale_2))


def _scale(x: Tensor, levels: Levels, freq_scale: FreqScale | None) -> Tensor:
    """FreqScale on the tokens (B, N, C) of each level, which all share its bases."""
    if freq_scale is None:
        return x
    parts = zip(x.split(levels.lengths, dim=1), levels.sizes, strict=True)
    return torch.cat([freq_scale(part, hw=size) for part, size in parts], dim=1)


class DeformableEncoder(BaseModule):
    """Layers of deformable self-attention over the tokens of all levels.

    Args:
        num_layers: Layers.
        with_cp: Activation checkpointing of every layer: less memory, a second forward.
        layer_cfg: Arguments of :class:`EncoderLayer`.
    """

    def __init__(self, num_layers: int, with_cp: bool = False, **layer_cfg: Any) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.layers = ModuleList(EncoderLayer(**layer_cfg) for _ in range(num_layers))

    def forward(self, x: Tensor, position: Tensor, levels: Levels) -> Tensor:
        """Encode.

        Args:
            x: (B, N, C) tokens of all levels.
            position: (1, N, C) their position and level embedding.
            levels: Levels of ``x``.

        Returns:
            (B, N, C).
        """
        reference = torch.cat([centres(size, x.device) for size in levels.sizes])
        for layer in self.layers:
            if self.with_cp and torch.is_grad_enabled():
                x = checkpoint(layer, x, position, reference, levels, use_reentrant=False)
            else:
                x = layer(x, position, reference, levels)
        return x
