"""Deformable attention: the encoder's on itself, with Attention Inversion, and the decoder's."""

import functools
import logging
from collections.abc import Mapping, Sequence
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
        weights, offsets = _weights_and_offsets(self, query)
        size = levels.shapes.flip(1)[:, None].to(offsets.dtype)  # (L, 1, 2): width, height
        locations = reference[:, None, None, None].to(offsets.dtype) + offsets / size
        v = v.unflatten(-1, (self.num_heads, -1))
        if v.is_cuda and self.has_kernel:
            return MultiScaleDeformableAttnFunction.apply(
                v.contiguous(), levels.shapes, levels.starts, locations, weights, self.im2col_step
            )
        # Sizes as numbers: read out of a tensor they would be data, which no export knows.
        return multi_scale_deformable_attn_pytorch(v, levels.sizes, locations, weights)


class DeformableCrossAttention(MultiScaleDeformableAttention):
    """mmcv's, of queries that have boxes. On a CPU it takes the levels' sizes as numbers: read out
    of a tensor they would be data, which no export knows."""

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        identity: Tensor | None = None,
        query_pos: Tensor | None = None,
        *,
        reference_points: Tensor,
        sizes: Sequence[tuple[int, int]],
        **settings: Any,
    ) -> Tensor:
        """As mmcv's, with its arguments.

        Args:
            reference_points: (B, Q, L, 4) cx, cy, w, h in 0..1.
            sizes: (H, W) of each level, as ``spatial_shapes`` has them.
        """
        assert value is not None
        if value.is_cuda:
            boxes: Any = dict(reference_points=reference_points, query_pos=query_pos)
            return super().forward(query, key, value, identity, **boxes, **settings)
        weights, offsets = _weights_and_offsets(
            self, query if query_pos is None else query + query_pos
        )
        centre, extent = reference_points[:, :, None, :, None].chunk(2, dim=-1)
        locations = centre + offsets / self.num_points * extent * 0.5
        v = self.value_proj(value).unflatten(-1, (self.num_heads, -1))
        y = multi_scale_deformable_attn_pytorch(v, sizes, locations, weights)
        return self.dropout(self.output_proj(y)) + (query if identity is None else identity)


def _weights_and_offsets(
    attention: MultiScaleDeformableAttention, query: Tensor
) -> tuple[Tensor, Tensor]:
    """(B, Q, heads, L, points) and the same with (x, y) in a level's pixels."""
    points = (attention.num_heads, attention.num_levels, attention.num_points)
    weights = attention.attention_weights(query).unflatten(-1, (points[0], -1)).softmax(-1)
    offsets = attention.sampling_offsets(query).unflatten(-1, (*points, 2))
    return weights.unflatten(-1, points[1:]), offsets


@functools.cache
def _warn(reason: str) -> None:
    """Once a process."""
    print_log(
        f"Mask DINO samples by grid_sample, the same numbers and slower on a GPU: {reason} "
        "(docs/gpu.md)",
        "current",
        logging.WARNING,
    )
