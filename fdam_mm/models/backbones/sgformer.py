"""SG-Former, attention to tokens that are merged by their significance, plain or with FDAM.

Written from the paper (arXiv 2308.12216) and the facts of the authors' classifier, which takes
pictures of 224 x 224 alone; how other sizes are served is ours.
Legend of the shape comments: B batch, H x W grid of a stage, N = H * W tokens, n merged tokens,
C channels, h heads, d = C / h channels of a head.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.cnn.bricks import DropPath
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm.errors import ConfigError
from fdam_mm.layers import AttInv
from fdam_mm.layers.children import part_of
from fdam_mm.layers.fused import is_exporting
from fdam_mm.models.fdam_cfg import parse_fdam

from .arguments import check_counts, check_ratios
from .checkpointing import run
from .foreign_words import SGFORMER
from .position import resize_position, sincos_position
from .staged import (
    MapSequential,
    StagedBackbone,
    channels_first,
    channels_last,
    check_four,
    check_heads,
    make_freq_scale,
    scaled,
)
from .stages import linear_ramp, reset_convolutions, reset_linears
from .windows import from_windows, to_windows

EPS = 1e-6  # of the norms of blocks and stages
WINDOW = 7
RATIOS = (8, 4, 2)  # stride of the global tokens of the first three stages
# How many tokens become one there, in the parts of ascending significance, and where parts end.
GROUPS = ((196, 56, 28), (49, 14, 7), (2, 1))
PARTS = ((0.25, 0.75, 1.0), (0.25, 0.75, 1.0), (0.5, 1.0))


class PositionalEncoding(nn.Module):
    """Locally enhanced (LePE): a linear and a 3x3 depth-wise convolution. (B, H, W, C)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, dim)
        self.conv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        return channels_last(self.conv(channels_first(self.linear(x))))


class ConvMlp(nn.Module):
    """``fc2(GELU(h + dwconv(h)))`` with ``h = fc1(x)``: (B, H, W, C) -> the same."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.dwconv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        return self.fc2(F.gelu(x + channels_last(self.dwconv(channels_first(x)))))


class HybridAttention(nn.Module):
    """Half the heads attend to strided tokens of the whole map, half within 7x7 windows.

    A token's significance is the attention that it receives on average: as a part of a strided
    token, and within its window. AttInv's values are exact in the windows; for the global half
    they are the value projection of the tokens themselves. Of a map that is no multiple of the
    stride a rest at the right and at the bottom is left out of the strided tokens; windows are
    made whole by zeros there, which are not attended to.

    Args:
        dim: Channels C.
        num_heads: Heads h, even.
        ratio: Stride of the global tokens.
        att_inv: Arguments of :class:`fdam_mm.layers.AttInv`.

    Shape: (B, H, W, C) -> the same, and the significance (B, H, W).
    """

    def __init__(self, dim: int, num_heads: int, ratio: int, **att_inv: Any) -> None:
        super().__init__()
        self.num_heads, self.scale = num_heads // 2, (dim // num_heads) ** -0.5
        self.sr = nn.Conv2d(dim, dim, ratio, ratio)
        self.norm = nn.LayerNorm(dim)
        self.q1 = nn.Linear(dim, dim // 2)
        self.kv1 = nn.Linear(dim, dim)
        self.q2 = nn.Linear(dim, dim // 2)
        self.kv2 = nn.Linear(dim, dim)
        self.lepe = PositionalEncoding(dim)
        self.att_inv = AttInv(dim, num_heads, **att_inv)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        far, v_far, far_significance = self._attend_far(x)
        near, v_near, near_significance = self._attend_near(x)
        y = self.att_inv(x, torch.cat([v_far, v_near], 3), torch.cat([far, near], 3))
        return self.proj(y + self.lepe(x)), far_significance + near_significance

    def _attend_far(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Result and values (B, H, W, C / 2), significance (B, H, W)."""
        reduced = channels_last(self.sr(channels_first(x)))
        k, v = self.kv1(F.gelu(self.norm(reduced))).flatten(1, 2).chunk(2, 2)
        y, received = attend(self.q1(x).flatten(1, 2), k, v, self.num_heads, self.scale)
        hw = (x.shape[1], x.shape[2])
        received = received.unflatten(1, reduced.shape[1:3]).unsqueeze(1)
        received = F.interpolate(received.float(), hw, mode="nearest").squeeze(1)
        y = y.unflatten(1, hw)
        return y, values_of(self.kv1, x) if self.att_inv.high else y, received

    def _attend_near(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hw = (x.shape[1], x.shape[2])
        kv = self.kv2(x)
        outside = None
        if hw[0] % WINDOW or hw[1] % WINDOW:
            inside = to_windows(x.new_ones(1, *hw, 1), WINDOW).squeeze(2)  # (windows, 49)
            outside = (1 - inside).repeat(x.shape[0], 1)[:, None, None] * -1e4
        q, k, v = (to_windows(t, WINDOW) for t in (self.q2(x), *kv.chunk(2, 3)))
        y, received = attend(q, k, v, self.num_heads, self.scale, outside)
        y, received = (from_windows(t, WINDOW, hw) for t in (y, received.unsqueeze(2)))
        return y, kv.chunk(2, 3)[1], received.squeeze(3)


class GuidedAttention(nn.Module):
    """Attention to tokens that are merged by their significance.

    Tokens are sorted by it, cut into parts, and within a part so many neighbours become one by
    learned weights: fewer where they matter more. Half the heads see those of the row-major
    sorting, half those of the column-major one (they differ where tokens matter alike, and in the
    order within equal values). The last group of a part is made whole by tokens of the group
    before. AttInv's values are the value projections of the tokens themselves.

    Args:
        dim: Channels C.
        num_heads: Heads h, even.
        groups: Tokens that become one, in the parts of ascending significance.
        parts: Where the parts end, as shares of all tokens.
        att_inv: Arguments of :class:`fdam_mm.layers.AttInv`.

    Shape: (B, H, W, C) and the significance (B, H, W) -> (B, H, W, C).
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        groups: Sequence[int],
        parts: Sequence[float],
        **att_inv: Any,
    ) -> None:
        super().__init__()
        self.num_heads, self.groups, self.parts = num_heads, groups, parts
        self.scale = (dim // num_heads) ** -0.5
        self.q = nn.Linear(dim, dim)
        self.kv1 = nn.Linear(dim, dim)
        self.kv2 = nn.Linear(dim, dim)
        self.merges = nn.ModuleList(nn.Linear(group, 1) for group in groups)
        self.lepe = PositionalEncoding(dim)
        self.att_inv = AttInv(dim, num_heads, **att_inv)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, significance: Tensor) -> Tensor:
        rows = self.kv1(self._merge(x, significance)).chunk(2, 2)
        columns = self.kv2(self._merge(x.transpose(1, 2), significance.transpose(1, 2))).chunk(
            2, 2
        )
        k, v = (torch.cat(halves, 2) for halves in zip(rows, columns, strict=True))  # (B, n, C)
        y, _ = attend(self.q(x).flatten(1, 2), k, v, self.num_heads, self.scale)
        y = y.view_as(x)
        if self.att_inv.low or self.att_inv.high:
            values = torch.cat([values_of(self.kv1, x), values_of(self.kv2, x)], 3)
            y = self.att_inv(x, values, y)
        return self.proj(y + self.lepe(x))

    def _merge(self, x: Tensor, significance: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, n, C), the least significant first."""
        significance = significance.flatten(1)  # (B, N)
        if is_exporting():  # ONNX has no stable sort; its TopK keeps the order of equal values
            order = significance.topk(significance.shape[1], dim=1, largest=False).indices
        else:
            order = significance.argsort(dim=1, stable=True)
        num_tokens, first, merged = order.shape[1], 0, []
        x = x.flatten(1, 2).gather(1, order.unsqueeze(2).expand(-1, -1, x.shape[3]))
        for merge, size, end in zip(self.merges, self.groups, self.parts, strict=True):
            last = int(num_tokens * end)
            part = x[:, first:last][:, _whole_groups(last - first, size, x.device)]
            merged.append(merge(part.transpose(2, 3)).squeeze(3))  # (B, groups, C)
            first = last
        return torch.cat(merged, 1)


def _whole_groups(length: int, size: int, device: torch.device) -> Tensor:
    """Indices (groups, size) into ``length`` tokens; the last group ends with the last token."""
    groups = -(-length // size)
    indices = torch.arange(groups * size, device=device).view(groups, size)
    indices[-1:] += length - groups * size
    return indices % max(length, 1)


class FullAttention(nn.Module):
    """Attention among all tokens: (B, H, W, C) -> the same."""

    def __init__(self, dim: int, num_heads: int, **att_inv: Any) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.lepe = PositionalEncoding(dim)
        self.att_inv = AttInv(dim, num_heads, **att_inv)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x).flatten(1, 2).chunk(3, 2)
        q, k, v = (split_heads(t, self.num_heads) for t in qkv)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2).view_as(x)
        y = self.att_inv(x, v.transpose(1, 2).flatten(2).view_as(x), y)
        return self.proj(y + self.lepe(x))


def attend(
    q: Tensor, k: Tensor, v: Tensor, num_heads: int, scale: float, bias: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Softmax attention, and what each key receives on average over queries and heads.

    Args:
        q: (B, N, C).
        k: (B, n, C).
        v: (B, n, C).
        num_heads: Heads h.
        scale: Factor of the logits.
        bias: Added to the logits (B, h, N, n).

    Returns:
        (B, N, C) and (B, n), the latter without gradient.
    """
    q, k, v = (split_heads(t, num_heads) for t in (q, k, v))
    logits = scale * q @ k.transpose(2, 3)
    attention = (logits if bias is None else logits + bias).softmax(-1)
    y = (attention.to(v.dtype) @ v).transpose(1, 2).flatten(2)
    return y, attention.detach().mean((1, 2))


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(B, N, C) -> (B, h, N, d)."""
    return x.unflatten(2, (num_heads, -1)).transpose(1, 2)


def values_of(kv: nn.Linear, x: Tensor) -> Tensor:
    """The value half of ``kv(x)``."""
    return part_of(kv, x, lambda both: both.chunk(2, -1)[1])


class Block(nn.Module):
    """Attention and MLP; FreqScale acts on what each adds, before drop-path.

    ::

        a = attn(norm1(x));  x = x + drop_path(a + FreqScale_1(a))
        m = mlp(norm2(x));   x = x + drop_path(m + FreqScale_2(m))

    Shape: (B, H, W, C) and, where the attention is guided, the significance (B, H, W) -> the same,
    and the significance where the attention finds one, else None.
    """

    def __init__(
        self,
        dim: int,
        attn: nn.Module,
        mlp_ratio: float,
        drop_path: float,
        freq_scale: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        self.attn = attn
        self.norm2 = nn.LayerNorm(dim, eps=EPS)
        self.mlp = ConvMlp(dim, int(dim * mlp_ratio))
        self.drop_path = DropPath(drop_path)
        self.freq_scale_1 = make_freq_scale(dim, freq_scale)
        self.freq_scale_2 = make_freq_scale(dim, freq_scale)

    def forward(self, x: Tensor, significance: Tensor | None) -> tuple[Tensor, Tensor | None]:
        a = self.norm1(x)
        if isinstance(self.attn, HybridAttention):
            a, significance = self.attn(a)
        elif isinstance(self.attn, GuidedAttention):
            a, significance = self.attn(a, significance), None
        else:
            a = self.attn(a)
        x = x + self.drop_path(scaled(a, self.freq_scale_1))
        return x + self.drop_path(scaled(self.mlp(self.norm2(x)), self.freq_scale_2)), significance


class Stem(nn.Module):
    """Three convolutions, a LayerNorm, and the position, resized to the grid at hand.

    Shape: (B, height, width, in_channels) -> (B, H, W, C), H = ceil(height / 4).
    """

    def __init__(self, in_channels: int, dim: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.proj = convolutions(
            nn.Conv2d(in_channels, dim, 3, 2, 1, bias=False),
            nn.Conv2d(dim, dim, 3, 1, 1, bias=False),
            nn.Conv2d(dim, dim, 3, 2, 1, bias=False),
        )
        self.norm = nn.LayerNorm(dim)
        self.pos_embed = nn.Parameter(sincos_position(dim, (side, side)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.proj(x))
        hw = (x.shape[1], x.shape[2])
        position = resize_position(self.pos_embed, (self.side, self.side), hw)
        return x + position.unflatten(1, hw)


def merging(in_channels: int, dim: int) -> MapSequential:
    """Half the grid: (B, H_in, W_in, C_in) -> (B, H, W, C)."""
    return convolutions(
        nn.Conv2d(in_channels, dim, 1, bias=False),
        nn.Conv2d(dim, dim, 3, 2, 1, groups=dim, bias=False),
        nn.Conv2d(dim, dim, 1, bias=False),
    )


def convolutions(*convs: nn.Conv2d) -> MapSequential:
    """Convolutions, each with a norm over the whole map, and GELUs between."""
    layers: list[nn.Module] = []
    for conv in convs:
        layers += [conv, nn.GroupNorm(1, conv.out_channels), nn.GELU()]
    return MapSequential(*layers[:-1])


class SignificanceStage(nn.Module):
    """A stage whose blocks hand on the significance of its tokens, and a norm at its end.

    Shape: (B, H_in, W_in, C_in) -> (B, H, W, C).
    """

    def __init__(self, embed: nn.Module, blocks: Sequence[Block], dim: int) -> None:
        super().__init__()
        self.embed = embed
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(dim, eps=EPS)

    def forward(self, x: Tensor, with_cp: bool = False) -> Tensor:
        x, significance = self.embed(x), None
        for block in self.blocks:
            x, significance = run(block, x, significance, with_cp=with_cp)
        return self.norm(x)


@MODELS.register_module()
class SGFormer(StagedBackbone):
    """SG-Former, plain or with FDAM. The default is SG-Former-S.

    SG-Former-M has ``depths=(2, 6, 28, 2)``; SG-Former-B ``depths=(4, 6, 24, 2)``,
    ``embed_dims=(96, 192, 384, 768)`` and ``num_heads=(4, 6, 12, 24)``. The authors' files load
    too, see :mod:`fdam_mm.checkpoints.sources.sgformer`; no dense model of theirs is public.

    Tokens are sorted by a computed significance, so that rounding may swap two that matter nearly
    alike: results of two machines differ by more than rounding.

    Args:
        img_size: Side of the square pictures in pixels that the position stands for.
        in_channels: Channels of the input.
        embed_dims: Channels of each of the four stages.
        depths: Blocks of each stage.
        num_heads: Attention heads of each stage, even in the first three.
        mlp_ratios: Hidden channels of the MLP over a stage's channels.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0.
        out_indices: Stages whose output is returned, ascending from 0; -1 is the last.
        frozen_stages: This many first stages do not learn, FDAM's layers in them neither; -1 and 0
            freeze none.
        with_cp: Activation checkpointing of every block: less memory, a second forward.
        fdam: None, or ``dict(att_inv=True, freq_scale=True)``: see
            :func:`fdam_mm.models.fdam_cfg.parse_fdam`.
        pretrained: Deprecated: give ``init_cfg``.
        init_cfg: ``dict(type="Pretrained", checkpoint=...)`` to start from a file.
        **foreign: Further arguments of the authors' class, at the values that mean what this one
            does (:mod:`.foreign_words`).

    Shape: (B, in_channels, height, width) -> a tuple of (B, C_i, H_i, W_i), one per
    ``out_indices``, with H_i = ceil(height / 4 / 2**i). Height and width at least 29.

    Raises:
        ConfigError: An argument of another type, range or length than it needs, one that does not
            exist, or channels that the heads do not divide.
        ValueError: A stage or a setting of ``fdam`` that does not exist, or stages that do not
            ascend.
    """

    def __init__(
        self,
        img_size: int = 224,
        in_channels: int = 3,
        embed_dims: Sequence[int] = (64, 128, 256, 512),
        depths: Sequence[int] = (2, 4, 16, 1),
        num_heads: Sequence[int] = (2, 4, 8, 16),
        mlp_ratios: Sequence[float] = (4, 4, 4, 4),
        drop_path_rate: float = 0.0,
        out_indices: int | Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        with_cp: bool = False,
        fdam: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
        init_cfg: Mapping[str, Any] | None = None,
        **foreign: Any,
    ) -> None:
        per_stage = dict(embed_dims=embed_dims, depths=depths, num_heads=num_heads)
        super().__init__(
            per_stage, in_channels, drop_path_rate, out_indices, frozen_stages, with_cp,
            pretrained, init_cfg, foreign, SGFORMER, dict(mlp_ratios=mlp_ratios),
        )  # fmt: skip
        check_four(depths)
        check_heads(embed_dims, num_heads)
        if any(heads % 2 for heads in num_heads[:3]):
            raise ConfigError(
                f"num_heads is {num_heads!r}, expected even numbers in stages 0 to 2"
            )
        if embed_dims[0] % 4:
            raise ConfigError(f"embed_dims[0] is {embed_dims[0]}, expected a multiple of 4")
        check_counts(least=32, img_size=img_size)
        check_ratios(mlp_ratios=mlp_ratios)
        att_inv, freq_scale = parse_fdam(fdam)

        def attention(index: int, stage: int) -> nn.Module:
            sizes = (embed_dims[stage], num_heads[stage])
            if stage == 3:
                return FullAttention(*sizes, **att_inv)
            if index % 2:
                return GuidedAttention(*sizes, GROUPS[stage], PARTS[stage], **att_inv)
            return HybridAttention(*sizes, RATIOS[stage], **att_inv)

        for stage, rates in enumerate(linear_ramp(drop_path_rate, depths)):
            dim = embed_dims[stage]
            if self.stages:
                embed = merging(embed_dims[stage - 1], dim)
            else:
                embed = Stem(in_channels, dim, img_size // 4)
            blocks = [
                Block(dim, attention(index, stage), mlp_ratios[stage], rate, freq_scale)
                for index, rate in enumerate(rates)
            ]
            self.stages.append(SignificanceStage(embed, blocks, dim))
        reset_convolutions(self)
        reset_linears(self)
        self._freeze()
