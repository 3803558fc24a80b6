"""``nn.MultiheadAttention``."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fdam_mm.errors import ForwardError
from fdam_mm.inject.adapter import AttentionAdapter, Unsupported, register_adapter


@register_adapter("torch.nn.modules.activation.MultiheadAttention")
class MultiheadAttentionAdapter(AttentionAdapter):
    """It reads its weights itself and never calls ``out_proj``, so its forward is written anew.

    Where keys and values are fewer than the queries (a reduced grid), the values of the high path
    are the value projection applied to the queries' tokens (the ``query`` reading).
    """

    in_known_blocks = True

    def __init__(self, attn: Any) -> None:
        self.dim, self.num_heads = attn.embed_dim, attn.num_heads
        if attn.in_proj_weight is None or attn.bias_k is not None or attn.add_zero_attn:
            raise Unsupported("keys and values of other widths, or with tokens added to them")

    @staticmethod
    def forward(
        attn: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """As torch's, for batches."""
        if query.ndim != 3 or (is_causal and attn_mask is None):
            raise ForwardError(
                "FDAM: nn.MultiheadAttention takes a batch, and is_causal with an attn_mask; got "
                f"a query of shape {tuple(query.shape)}"
            )
        q, k, v = _projected(attn, query, key, value)
        q, k, heads_v = (_heads(attn, t) for t in (q, k, v))  # (B, h, L, d)
        mask = _mask(q, attn_mask, key_padding_mask)
        dropout = attn.dropout if attn.training else 0.0
        weights = None
        if need_weights:
            weights = _weights(q, k, mask)
            y = F.dropout(weights, dropout) @ heads_v
            weights = weights.mean(1) if average_attn_weights else weights
        else:
            y = F.scaled_dot_product_attention(q, k, heads_v, attn_mask=mask, dropout_p=dropout)
        y = y.permute(0, 2, 1, 3) if attn.batch_first else y.permute(2, 0, 1, 3)
        if value.shape != query.shape:
            v = _linear(attn, query, 2)
        return attn.out_proj(attn.att_inv(query, v, y.flatten(2))), weights


def _projected(attn: Any, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    """q, k and v, (..., C), by as few products as the inputs allow."""
    if query is key and key is value:
        return F.linear(query, attn.in_proj_weight, attn.in_proj_bias).chunk(3, dim=-1)
    return tuple(_linear(attn, t, index) for index, t in enumerate((query, key, value)))


def _linear(attn: Any, x: Tensor, index: int) -> Tensor:
    """The part of the input projection for queries (0), keys (1) or values (2)."""
    bias = None if attn.in_proj_bias is None else attn.in_proj_bias.chunk(3)[index]
    return F.linear(x, attn.in_proj_weight.chunk(3)[index], bias)


def _heads(attn: Any, x: Tensor) -> Tensor:
    """(B, L, C), or (L, B, C) where the batch is not first, to (B, h, L, d)."""
    x = x.unflatten(-1, (attn.num_heads, -1))
    return x.permute(0, 2, 1, 3) if attn.batch_first else x.permute(1, 2, 0, 3)


def _mask(q: Tensor, attn_mask: Tensor | None, padding: Tensor | None) -> Tensor | None:
    """What is added to the scores (B, h, L, S) of queries (B, h, L, d).

    ``attn_mask`` is (L, S) or (B h, L, S), ``padding`` (B, S); where they are true nobody looks.
    """
    masks = []
    if attn_mask is not None:
        masks.append(attn_mask if attn_mask.ndim == 2 else attn_mask.unflatten(0, q.shape[:2]))
    if padding is not None:
        masks.append(padding[:, None, None])
    added = [_added(mask, q.dtype) for mask in masks]
    return sum(added[1:], added[0]) if added else None


def _added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    if mask.dtype != torch.bool:
        return mask.to(dtype)
    return torch.zeros_like(mask, dtype=dtype).masked_fill(mask, -math.inf)


def _weights(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    scores = q * q.shape[-1] ** -0.5 @ k.transpose(-2, -1)
    return (scores if mask is None else scores + mask).softmax(dim=-1)
