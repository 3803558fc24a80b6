"""Decoder of Mask DINO: queries with boxes that every layer refines.

Legend of the shape comments: B batch, Q queries, N tokens of all levels, C channels.
"""

from typing import Any

from mmdet.models.layers import DeformableDetrTransformerDecoderLayer, inverse_sigmoid
from mmdet.models.layers.transformer.utils import MLP, coordinate_to_encoding
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from .deformable import DeformableCrossAttention
from .tokens import Levels


class DecoderLayer(DeformableDetrTransformerDecoderLayer):
    """mmdet's, with :class:`DeformableCrossAttention`, under its keys."""

    def _init_layers(self) -> None:
        super()._init_layers()
        self.cross_attn = DeformableCrossAttention(**self.cross_attn_cfg)


class MaskDINODecoder(BaseModule):
    """Self-attention, deformable cross-attention into the memory, feed-forward; then the box.

    Args:
        num_layers: Layers.
        embed_dims: Channels C.
        num_heads: Heads of both attentions.
        num_levels: Levels of the memory.
        num_points: Points sampled per head and level.
        feedforward_channels: Hidden channels.
    """

    def __init__(
        self,
        num_layers: int = 9,
        embed_dims: int = 256,
        num_heads: int = 8,
        num_levels: int = 4,
        num_points: int = 4,
        feedforward_channels: int = 2048,
    ) -> None:
        super().__init__()
        attention: dict[str, Any] = dict(embed_dims=embed_dims, num_heads=num_heads, dropout=0.0)
        self.layers = ModuleList(
            DecoderLayer(
                self_attn_cfg=dict(**attention),
                cross_attn_cfg=dict(**attention, num_levels=num_levels, num_points=num_points),
                ffn_cfg=dict(embed_dims=embed_dims, feedforward_channels=feedforward_channels),
            )
            for _ in range(num_layers)
        )
        self.ref_point_head = MLP(2 * embed_dims, embed_dims, embed_dims, 2)
        self.norm = nn.LayerNorm(embed_dims)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
        for layer in self.layers:
            layer.cross_attn.init_weights()

    def forward(
        self,
        query: Tensor,
        boxes: Tensor,
        memory: Tensor,
        levels: Levels,
        box_head: nn.Module,
        self_attn_mask: Tensor | None = None,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Run all layers.

        Args:
            query: (B, Q, C) content of the queries.
            boxes: (B, Q, 4) their boxes, cx cy w h in 0..1.
            memory: (B, N, C).
            levels: Levels of ``memory``.
            box_head: (B, Q, C) -> (B, Q, 4), what a layer adds to the box's logits.
            self_attn_mask: (Q, Q), True where a query must not look.

        Returns:
            Per layer the normed output (B, Q, C), and the boxes (B, Q, 4) that it started from.
            These carry the gradient of the layer that refined them (look forward twice, arXiv
            2203.03605); the layers themselves see them detached.
        """
        outputs, starts = [], [boxes]
        for layer in self.layers:
            encoding = coordinate_to_encoding(boxes, num_feats=query.shape[-1] // 2)
            query = layer(
                query,
                value=memory,
                query_pos=self.ref_point_head(encoding),
                self_attn_mask=self_attn_mask,
                reference_points=boxes[:, :, None].expand(-1, -1, len(levels.sizes), -1),
                spatial_shapes=levels.shapes,
                level_start_index=levels.starts,
                sizes=levels.sizes,
            )
            starts.append((box_head(query) + inverse_sigmoid(boxes, eps=1e-5)).sigmoid())
            boxes = starts[-1].detach()
            outputs.append(self.norm(query))
        return outputs, starts[:-1]
