"""STViT, a vision transformer of super tokens (arXiv 2211.11167), plain or with FDAM.

Written from the paper and the facts of the authors' classifier; they published no dense model.
Legend of the shape comments: B batch, H x W grid of a stage, C channels, h heads, d = C / h
channels of a head; Y x X cells of P = s * s pixels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm.layers import AttInv
from fdam_mm.layers.children import part_of, without_bias
from fdam_mm.models.fdam_cfg import parse_fdam

from .arguments import check_flags, check_number_or_none, check_positive
from .foreign_words import STVIT
from .pre_norm import BranchesBlock
from .staged import StagedBackbone, channels_first, channels_last, check_even_start, check_heads
from .stages import reset_linears

NEAR_ZERO = 1e-12  # keeps the weight of a cell that no pixel belongs to from dividing by zero


class PatchEmbed(nn.Module):
    """Four 3x3 convolutions of strides 2, 1, 2, 1, each with a GELU and a batch norm.

    Shape: (B, height, width, in_channels) -> (B, H, W, C), H = ceil(height / 4).
    """

    def __init__(self, in_channels: int, dim: int) -> None:
        super().__init__()
        widths = [in_channels, dim // 2, dim // 2, dim, dim]
        self.layers = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(widths[i], widths[i + 1], 3, 1 + (i + 1) % 2, 1),
                    nn.GELU(),
                    nn.BatchNorm2d(widths[i + 1]),
                )
                for i in range(4)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return channels_last(self.layers(channels_first(x)))


class Downsample(nn.Module):
    """A 3x3 convolution of stride 2 and a batch norm: (B, H_in, W_in, C_in) -> (B, H, W, C)."""

    def __init__(self, in_channels: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, dim, 3, 2, 1)
        self.norm = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        return channels_last(self.norm(self.proj(channels_first(x))))


class Depthwise(nn.Conv2d):
    """``x`` and a 3x3 depth-wise convolution of it: (B, H, W, C) -> the same."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, dim, 3, padding=1, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        return x + channels_last(super().forward(channels_first(x)))


class SuperTokenAttention(nn.Module):
    """Attention among super tokens, with Attention Inversion.

    Each cell of ``cell_size x cell_size`` pixels gathers a super token from its own and the eight
    cells around it; the super tokens attend to each other, and each pixel takes their result with
    the shares that it gave. Shares are formed without gradient. With cells of one pixel this is
    plain attention.

    AttInv needs values and a result at the pixels. Values are the pixels' own, and ``y`` is the
    super tokens' result before its projection, taken back to the pixels; what AttInv adds to it
    goes through the projection's weight. That is our reading where a cell has several pixels.

    Args:
        dim: Channels C.
        num_heads: Heads h.
        cell_size: Side s of a cell.
        num_rounds: Rounds in which shares and super tokens are refined.
        qkv_bias: Bias on queries, keys and values.
        att_inv: Arguments of :class:`fdam_mm.layers.AttInv`.

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        cell_size: int,
        num_rounds: int,
        qkv_bias: bool,
        **att_inv: Any,
    ) -> None:
        super().__init__()
        self.num_heads, self.cell_size, self.num_rounds = num_heads, cell_size, num_rounds
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)  # by heads: q, k and v of each
        self.att_inv = AttInv(dim, num_heads, **att_inv)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        if self.cell_size == 1:
            v, y = self._attend(x)
            return self.proj(self.att_inv(x, v, y))
        pixels = to_cells(x, self.cell_size)  # (B, Y, X, P, C)
        shares = self._shares(pixels)  # (B, Y, X, P, 9)
        gathered = from_neighbours(shares.transpose(3, 4) @ pixels)
        tokens = gathered / (from_neighbours(shares.sum(3).unsqueeze(4)) + NEAR_ZERO)
        _, y = self._attend(tokens)  # (B, Y, X, C)
        hw = (x.shape[1], x.shape[2])
        out = from_cells(shares @ to_neighbours(self.proj(y)), self.cell_size, hw)
        if not (self.att_inv.low or self.att_inv.high):
            return out
        y = from_cells(shares @ to_neighbours(y), self.cell_size, hw)
        added = self.att_inv(x, part_of(self.qkv, x, self._values), y) - y
        return out + without_bias(self.proj, added)

    def _shares(self, pixels: Tensor) -> Tensor:
        """Of each pixel (B, Y, X, P, C), how much belongs to the nine cells around: (..., P, 9).

        Cells off the grid are zeros and take a share too.
        """
        with torch.no_grad():
            tokens = pixels.mean(3)
            for last in reversed(range(self.num_rounds)):
                logits = pixels @ to_neighbours(tokens).transpose(3, 4) * pixels.shape[-1] ** -0.5
                shares = logits.softmax(-1).to(pixels.dtype)
                if last:
                    weight = from_neighbours(shares.sum(3).unsqueeze(4)) + NEAR_ZERO
                    tokens = from_neighbours(shares.transpose(3, 4) @ pixels) / weight
        return shares

    def _attend(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Values of (B, H, W, C), and what attention makes of them, both of that shape."""
        qkv = self.qkv(x.flatten(1, 2)).unflatten(2, (self.num_heads, 3, -1))
        q, k, v = qkv.permute(3, 0, 2, 1, 4).unbind(0)  # (B, h, N, d)
        y = F.scaled_dot_product_attention(q, k, v)
        v, y = (t.transpose(1, 2).flatten(2).view_as(x) for t in (v, y))
        return v, y

    def _values(self, qkv: Tensor) -> Tensor:
        """Those of what ``qkv`` returns: (..., 3C) -> (..., C)."""
        return qkv.unflatten(-1, (self.num_heads, 3, -1))[..., 2, :].flatten(-2)


def to_cells(x: Tensor, size: int) -> Tensor:
    """(B, H, W, C) -> (B, Y, X, P, C); zeros at the right and at the bottom make cells whole."""
    pad_h, pad_w = (-side % size for side in x.shape[1:3])
    if pad_h or pad_w:
        x = F.pad(x, (0, 0, 0, pad_w, 0, pad_h))
    x = x.unflatten(2, (-1, size)).unflatten(1, (-1, size))  # (B, Y, s, X, s, C)
    return x.transpose(2, 3).flatten(3, 4)


def from_cells(x: Tensor, size: int, hw: tuple[int, int]) -> Tensor:
    """Undo :func:`to_cells`: (B, Y, X, P, C) -> (B, H, W, C)."""
    x = x.unflatten(3, (size, size)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
    return x[:, : hw[0], : hw[1]]


def to_neighbours(x: Tensor) -> Tensor:
    """Each cell's 3x3 surroundings, zeros off the grid: (B, Y, X, C) -> (B, Y, X, 9, C)."""
    height, width = x.shape[1:3]
    x = F.pad(x, (0, 0, 1, 1, 1, 1))
    shifted = [x[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return torch.stack(shifted, dim=3)


def from_neighbours(x: Tensor) -> Tensor:
    """The transpose of :func:`to_neighbours`: each cell's sum of what the nine cells around it
    have for it, (B, Y, X, 9, C) -> (B, Y, X, C)."""
    height, width = x.shape[1:3]
    x = F.pad(x, (0, 0, 0, 0, 1, 1, 1, 1))
    shifted = [
        x[:, 2 - i : 2 - i + height, 2 - j : 2 - j + width, 3 * i + j]
        for i in range(3)
        for j in range(3)
    ]
    return torch.stack(shifted).sum(0)


class ConvMlp(nn.Module):
    """Linear, GELU, a 3x3 depth-wise convolution beside its input, linear.

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = nn.GELU()
        self.conv = Depthwise(hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.conv(self.act(self.fc1(x))))


class Block(BranchesBlock):
    """STViT's block; FreqScale acts on what each sub-layer adds, before LayerScale and drop-path.

    ::

        x = x + conv(x)
        a = attn(norm1(x));  x = x + drop_path(gamma_1 * (a + FreqScale_1(a)))
        m = mlp(norm2(x));   x = x + drop_path(gamma_2 * (m + FreqScale_2(m)))

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(
        self,
        attn: SuperTokenAttention,
        dim: int,
        mlp_ratio: float,
        drop_path: float,
        layer_scale_init: float | None,
        freq_scale: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.position = Depthwise(dim)
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = attn
        self.norm2 = nn.BatchNorm2d(dim)
        self.mlp = ConvMlp(dim, int(dim * mlp_ratio))
        self._make_branches(dim, drop_path, layer_scale_init, freq_scale)

    def forward(self, x: Tensor) -> Tensor:
        x = self.position(x)
        x = self._add_first(x, self.attn(self.norm1(x)))
        return self._add_second(x, self.mlp(channels_last(self.norm2(channels_first(x)))))


@MODELS.register_module()
class STViT(StagedBackbone):
    """STViT, plain or with FDAM. The default is STViT-S.

    -B has ``embed_dims=(96, 192, 384, 512)``, ``depths=(4, 6, 14, 6)`` and
    ``num_heads=(2, 3, 6, 8)``, -L ``(96, 192, 448, 640)``, ``(4, 7, 19, 8)`` and
    ``(2, 3, 7, 10)``; both have
    ``layer_scale_inits=(None, None, 1e-6, 1e-6)``. The authors' files load too, see
    :mod:`fdam_mm.checkpoints.sources.stvit`.

    Args:
        in_channels: Channels of the input.
        embed_dims: Channels of each stage.
        depths: Blocks of each stage.
        num_heads: Attention heads of each stage.
        cell_sizes: Side of each stage's cells, in cells of its grid; 1 is plain attention.
        num_rounds: Rounds in which each stage refines its super tokens.
        mlp_ratio: Hidden channels of the MLP over a stage's channels.
        qkv_bias: Bias on queries, keys and values.
        layer_scale_inits: Start value of LayerScale in each stage; None leaves it out there.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0.
        out_indices: Stages whose output is returned as it is, ascending from 0; -1 is the last.
        frozen_stages: This many first stages do not learn, FDAM's layers in them neither, and keep
            their running statistics; -1 and 0 freeze none.
        with_cp: Activation checkpointing of every block: less memory, a second forward.
        fdam: None, or ``dict(att_inv=True, freq_scale=True)``: see
            :func:`fdam_mm.models.fdam_cfg.parse_fdam`.
        pretrained: Deprecated: give ``init_cfg``.
        init_cfg: ``dict(type="Pretrained", checkpoint=...)`` to start from a file.
        **foreign: Further arguments of the authors' class, at the values that mean what this one
            does (:mod:`.foreign_words`).

    Shape: (B, in_channels, height, width) -> a tuple of (B, C_i, H_i, W_i), one per
    ``out_indices``, with H_i = ceil(height / 4 / 2**i).

    Raises:
        ConfigError: An argument of another type, range or length than it needs, one that does not
            exist, or channels that the heads do not divide.
        ValueError: A stage or a setting of ``fdam`` that does not exist, or stages that do not
            ascend.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: Sequence[int] = (64, 128, 320, 512),
        depths: Sequence[int] = (3, 5, 9, 3),
        num_heads: Sequence[int] = (1, 2, 5, 8),
        cell_sizes: Sequence[int] = (8, 4, 1, 1),
        num_rounds: Sequence[int] = (1, 1, 1, 1),
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        layer_scale_inits: Sequence[float | None] = (None, None, None, None),
        drop_path_rate: float = 0.0,
        out_indices: int | Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        with_cp: bool = False,
        fdam: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
        init_cfg: Mapping[str, Any] | None = None,
        **foreign: Any,
    ) -> None:
        per_stage = dict(
            embed_dims=embed_dims,
            depths=depths,
            num_heads=num_heads,
            cell_sizes=cell_sizes,
            num_rounds=num_rounds,
        )
        super().__init__(
            per_stage, in_channels, drop_path_rate, out_indices, frozen_stages, with_cp,
            pretrained, init_cfg, foreign, STVIT, dict(layer_scale_inits=layer_scale_inits),
        )  # fmt: skip
        check_heads(embed_dims, num_heads)
        check_positive(mlp_ratio=mlp_ratio)
        check_flags(qkv_bias=qkv_bias)
        for stage, value in enumerate(layer_scale_inits):
            check_number_or_none(**{f"layer_scale_inits[{stage}]": value})
        check_even_start(embed_dims)
        att_inv, freq_scale = parse_fdam(fdam)

        def embed(stage: int) -> nn.Module:
            if stage:
                return Downsample(embed_dims[stage - 1], embed_dims[stage])
            return PatchEmbed(in_channels, embed_dims[0])

        def block(stage: int, _: int, drop_path: float) -> Block:
            dim = embed_dims[stage]
            attn = SuperTokenAttention(
                dim, num_heads[stage], cell_sizes[stage], num_rounds[stage], qkv_bias, **att_inv
            )
            return Block(attn, dim, mlp_ratio, drop_path, layer_scale_inits[stage], freq_scale)

        self._add_stages(depths, drop_path_rate, embed, block)
        reset_linears(self)
        self._freeze()
