"""Multi-head self-attention of a plain ViT, with Attention Inversion."""

from torch import Tensor, nn
from torch.nn import functional as F

from .att_inv import AttInv


class AttInvAttention(nn.Module):
    """Multi-head self-attention whose output also carries the high frequencies of its values.

    With ``low=False, high=False`` it is plain attention, without any parameter of AttInv.

    Args:
        dim: Channels C.
        num_heads: Heads; C must be a multiple of it.
        qkv_bias: Bias on the query, key and value projections.
        attn_drop: Dropout on the attention matrix.
        proj_drop: Dropout after the output projection.
        low: Low-pass path of :class:`AttInv`.
        high: High-pass path of :class:`AttInv`.
        gamma_init: Start value of AttInv's γ.

    Shape: (B, N, C) -> (B, N, C).

    Raises:
        ValueError: ``dim`` is not a multiple of ``num_heads``.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int = 8,
        qkv_bias: bool = True,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        low: bool = True,
        high: bool = True,
        gamma_init: float = 1e-5,
    ) -> None:
        super().__init__()
        self.att_inv = AttInv(dim, num_heads, low=low, high=high, gamma_init=gamma_init)
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.attn_drop = attn_drop
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))  # (B, N, 3, h, d)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, h, N, d)
        dropout = self.attn_drop if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        return self.proj_drop(self.proj(self.att_inv(x, v, y)))  # (B, N, C)
