"""Deformable self-attention of the encoder, with Attention Inversion."""

import functools
import logging
from collections.abc import Mapping
from typing import Any

import torch
from mmcv.ops import MultiScaleDeformableAttention
from mmcv.ops.multi_scale_deform_attn import (
    MultiScaleDeformableAttnFunction,
    multi_scale_deformable_attn_pytorch,
)
from mmengine.logging import print_log
from torch import Tensor

from fdam_mm.layers import AttInv
from fdam_mm.toolkits import operations

from .tokens import Levels


class DeformableSelfAttention(MultiScaleDeformableAttention):
    """mmcv's deformable attention, under its keys, of tokens that are queries and values.

    Every query is also a value, so AttInv finds its two signals: v, the token's own value
    projection, and y, what the sampling returned. The gates act before the output projection.
    On a GPU that mmcv has no kernel for it samples by ``grid_sample``, which the log says once.

    Args:
        embed_dims: Channels C.
        num_heads: Heads; C must be a multiple of it.
        num_levels: Levels L.
        num_points: Points sampled per head and level.
        att_inv: Arguments of :class:`AttInv`.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        num_levels: int,
        num_points: int,
        att_inv: Mapping[str, Any],
    ) -> None:
        super().__init__(
            embed_dims, num_heads, num_levels, num_points, dropout=0.0, batch_first=True
        )
        self.att_inv = AttInv(embed_dims, num_heads, **att_inv)
        self.has_kernel = operations.has_kernels()
        if reason := operations.why_missing("cuda" if torch.cuda.is_available() else "cpu"):
            _warn(reason)

    def forward(self, x: Tensor, position: Tensor, reference: Tensor, levels: Levels) -> Tensor:
        """Attend, without the identity.

        Args:
            x: (B, N, C) tokens of all levels.
            position: (B or 1, N, C), added to the queries alone.
            reference: (N, 2), each token's own (x, y) in 0..1.
            levels: Levels of ``x``.

        Returns:
            (B, N, C).
        """
        v = self.value_proj(x)
        y = self._sample(x + position, v, reference, levels)
        return self.output_proj(self.att_inv(x, v, y))

    def _sample(self, query: Tensor, v: Tensor, reference: Tensor, levels: Levels) -> Tensor:
        points = (self.num_heads, self.num_levels, self.num_points)
        weights = self.attention_weights(query).unflatten(-1, (self.num_heads, -1)).softmax(-1)
        weights = weights.unflatten(-1, points[1:])  # (B, N, heads, L, points)
        offsets = self.sampling_offsets(query).unflatten(-1, (*points, 2))
        size = levels.shapes.flip(1)[:, None].to(offsets.dtype)  # (L, 1, 2): width, height
        locations = reference[:, None, None, None].to(offsets.dtype) + offsets / size
        v = v.unflatten(-1, (self.num_heads, -1))
        if v.is_cuda and self.has_kernel:
            return MultiScaleDeformableAttnFunction.apply(
                v.contiguous(), levels.shapes, levels.starts, locations, weights, self.im2col_step
            )
        # Sizes as numbers: read out of a tensor they would be data, which no export knows.
        return multi_scale_deformable_attn_pytorch(v, levels.sizes, locations, weights)


@functools.cache
def _warn(reason: str) -> None:
    """Once a process."""
    print_log(
        f"Mask DINO samples by grid_sample, the same numbers and slower on a GPU: {reason} "
        "(docs/gpu.md)",
        "current",
        logging.WARNING,
    )
