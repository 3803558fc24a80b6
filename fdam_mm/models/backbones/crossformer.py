"""CrossFormer and CrossFormer++ (arXiv 2108.00154, 2303.06908), plain or with FDAM.

Written from the papers and the facts of the authors' dense model.
Legend of the shape comments: B batch, H x W grid of a stage, C channels, h heads, c = C / h
channels of a head, G groups of N = rows x cols tokens.
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
from fdam_mm.models.fdam_cfg import parse_fdam

from .arguments import check_flags, check_per_stage, check_positive, check_sequence
from .foreign_words import CROSSFORMER
from .mlp import Mlp
from .staged import (
    StagedBackbone,
    channels_first,
    channels_last,
    check_heads,
    make_freq_scale,
    scaled,
)
from .stages import reset_linears

MASKED = -3e4  # added to a logit: no share is left, and half precision can hold it
COOLED = 3  # every third block of CrossFormer++ ends in a cooling layer


class CrossScaleConvolutions(nn.Module):
    """Convolutions of several sizes and one stride, side by side in the channels.

    Of all but the last each has half the channels of the one before; the last fills up.

    Shape: (B, C_in, height, width) -> (B, C, H, W), H = floor(height / stride).
    """

    def __init__(self, in_channels: int, dim: int, sizes: Sequence[int], stride: int) -> None:
        super().__init__()
        widths = [dim // 2 ** (i + 1) for i in range(len(sizes) - 1)]
        widths.append(dim - sum(widths))
        self.convs = nn.ModuleList(
            nn.Conv2d(in_channels, width, size, stride, (size - stride) // 2)
            for width, size in zip(widths, sizes, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([conv(x) for conv in self.convs], dim=1)


class PatchEmbed(nn.Module):
    """Cross-scale convolutions and a LayerNorm; a rest at the right and at the bottom is left out.

    Shape: (B, height, width, in_channels) -> (B, H, W, C), H = floor(height / sizes[0]).
    """

    def __init__(self, in_channels: int, dim: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.proj = CrossScaleConvolutions(in_channels, dim, sizes, sizes[0])
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(channels_last(self.proj(channels_first(x))))


class PatchMerging(nn.Module):
    """A LayerNorm and cross-scale convolutions of stride 2; odd sides get a row of zeros.

    Shape: (B, H_in, W_in, C_in) -> (B, H, W, C), H = ceil(H_in / 2).
    """

    def __init__(self, in_channels: int, dim: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(in_channels)
        self.proj = CrossScaleConvolutions(in_channels, dim, sizes, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(self.norm(x), (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        return channels_last(self.proj(channels_first(x)))


class PositionBias(nn.Module):
    """Dynamic position bias: an MLP makes a bias from the offset between two tokens of a group.

    Shape: the group's (rows, cols), on the device and in the precision of ``like`` -> (h, N, N),
    query before key.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.proj = nn.Linear(2, dim)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(dim), nn.ReLU(), nn.Linear(dim, width))
            for width in (dim, dim, num_heads)
        )

    def forward(self, rows: int, cols: int, like: Tensor) -> Tensor:
        sides = [torch.arange(1 - side, side, device=like.device) for side in (rows, cols)]
        x = self.proj(torch.cartesian_prod(*sides).to(like))  # (2 rows - 1) * (2 cols - 1)
        for layer in self.layers:
            x = layer(x)
        row, col = (torch.arange(side, device=like.device) for side in (rows, cols))
        down = row[:, None, None, None] - row[:, None] + rows - 1  # (rows, 1, rows, 1)
        right = col[:, None, None] - col + cols - 1  # (cols, 1, cols)
        index = down * (2 * cols - 1) + right  # (rows, cols, rows, cols)
        return x[index.flatten(2, 3).flatten(0, 1)].permute(2, 0, 1)


class GroupAttention(nn.Module):
    """Multi-head attention within groups of tokens, with Attention Inversion.

    A group is ``group_size x group_size`` tokens which stand ``interval`` apart; a map whose
    shorter side is no longer than ``group_size`` is one group. Zeros complete the groups and are
    not attended to.

    Args:
        dim: Channels C.
        num_heads: Heads h.
        group_size: Side of a group.
        interval: Distance of its tokens; None is the longer side over ``group_size``, rounded up.
        qkv_bias: Bias on queries, keys and values.
        att_inv: Arguments of :class:`fdam_mm.layers.AttInv`.

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        group_size: int,
        interval: int | None,
        qkv_bias: bool,
        **att_inv: Any,
    ) -> None:
        super().__init__()
        self.num_heads, self.group_size, self.interval = num_heads, group_size, interval
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.position = PositionBias(dim // 16, num_heads)
        self.att_inv = AttInv(dim, num_heads, **att_inv)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        if min(height, width) <= self.group_size:
            return self._attend(x.flatten(1, 2)[:, None], None, height, width).view_as(x)
        size, interval = self.group_size, self.interval
        if interval is None:
            interval = -(-max(height, width) // size)
        padded, mask = x, None
        pad_h, pad_w = (-side % (size * interval) for side in (height, width))
        if pad_h or pad_w:
            pad = (0, 0, 0, pad_w, 0, pad_h)
            padded = F.pad(x, pad)
            mask = F.pad(x.new_zeros(1, height, width, 1), pad, value=MASKED)
            mask = to_groups(mask, size, interval).squeeze(3)  # (1, G, N)
        y = self._attend(to_groups(padded, size, interval), mask, size, size)
        y = from_groups(y, size, interval, padded.shape[1] // (size * interval))
        return y[:, :height, :width]

    def _attend(self, x: Tensor, mask: Tensor | None, rows: int, cols: int) -> Tensor:
        """(B, G, N, C), and what to add for each key (1, G, N) -> (B, G, N, C)."""
        qkv = self.qkv(x).unflatten(3, (3, self.num_heads, -1))
        q, k, v = qkv.permute(3, 0, 1, 4, 2, 5).unbind(0)  # (B, G, h, N, c)
        bias = self.position(rows, cols, x).to(q.dtype)  # (h, N, N)
        # Four axes, as exporters want it: groups join the batch, or the heads where masks differ
        if mask is None:
            q, k, values = (t.flatten(0, 1) for t in (q, k, v))
            y = F.scaled_dot_product_attention(q, k, values, bias).unflatten(0, (-1, x.shape[1]))
        else:
            bias = (bias + mask[:, :, None, None].to(q.dtype)).flatten(1, 2)  # (1, G * h, N, N)
            q, k, values = (t.flatten(1, 2) for t in (q, k, v))
            y = F.scaled_dot_product_attention(q, k, values, bias)
            y = y.unflatten(1, (-1, self.num_heads))
        v, y = (t.transpose(2, 3).flatten(3) for t in (v, y))  # (B, G, N, C)
        return self.proj(self.att_inv(x, v, y))


def to_groups(x: Tensor, size: int, interval: int) -> Tensor:
    """(B, H, W, C), H and W multiples of size * interval -> (B, G, N, C)."""
    x = x.unflatten(2, (-1, size, interval)).unflatten(1, (-1, size, interval))
    return x.permute(0, 1, 4, 3, 6, 2, 5, 7).flatten(5, 6).flatten(1, 4)


def from_groups(x: Tensor, size: int, interval: int, num_rows: int) -> Tensor:
    """Undo :func:`to_groups`; ``num_rows`` is H / (size * interval)."""
    x = x.unflatten(2, (size, size)).unflatten(1, (num_rows, -1, interval, interval))
    return x.permute(0, 1, 5, 3, 2, 6, 4, 7).flatten(4, 6).flatten(1, 3)


class CoolingLayer(nn.Module):
    """A 3x3 depth-wise convolution and a LayerNorm, which keep activations from growing.

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(channels_last(self.conv(channels_first(x))))


class Block(nn.Module):
    """CrossFormer's block; FreqScale acts on what each sub-layer adds, before drop-path.

    ::

        a = attn(norm1(x));  x = x + drop_path(a + FreqScale_1(a))
        m = mlp(norm2(x));   x = x + drop_path(m + FreqScale_2(m))
        x = cool(x)                                     where the block has a cooling layer

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(
        self,
        attn: GroupAttention,
        dim: int,
        mlp_ratio: float,
        drop_path: float,
        cooled: bool,
        freq_scale: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = attn
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.drop_path = DropPath(drop_path)
        self.cool = CoolingLayer(dim) if cooled else nn.Identity()
        self.freq_scale_1 = make_freq_scale(dim, freq_scale)
        self.freq_scale_2 = make_freq_scale(dim, freq_scale)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(scaled(self.attn(self.norm1(x)), self.freq_scale_1))
        x = x + self.drop_path(scaled(self.mlp(self.norm2(x)), self.freq_scale_2))
        return self.cool(x)


@MODELS.register_module()
class CrossFormer(StagedBackbone):
    """CrossFormer, and with ``cooling`` CrossFormer++, plain or with FDAM. The default is -S.

    -T has 64 first channels and ``depths=(1, 1, 8, 6)``, -B and -L ``depths=(2, 2, 18, 2)`` and 96
    or 128 first channels, a head for 32 of them; ++S is -B with 64. The authors' files load too,
    see :mod:`fdam_mm.checkpoints.sources.crossformer`.

    Args:
        in_channels: Channels of the input.
        embed_dims: Channels of each stage.
        depths: Blocks of each stage; the even ones attend to neighbours, the odd to tokens apart.
        num_heads: Attention heads of each stage.
        group_sizes: Side of each stage's groups.
        intervals: Distance of the tokens of a group in the odd blocks of each stage; None is the
            map's longer side over the group's, rounded up.
        mlp_ratio: Hidden channels of the MLP over a stage's channels.
        qkv_bias: Bias on queries, keys and values.
        patch_sizes: Sides of the stem's convolutions, ascending; the first is their stride.
        merge_sizes: Sides of the convolutions before each further stage.
        cooling: A cooling layer after every third block but a stage's last.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0.
        out_indices: Stages whose output is returned as it is, ascending from 0; -1 is the last.
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
    ``out_indices``, with H_0 = floor(height / 4) and H_i = ceil(H_0 / 2**i).

    Raises:
        ConfigError: An argument of another type, range or length than it needs, one that does not
            exist, or channels that the heads do not divide.
        ValueError: A stage or a setting of ``fdam`` that does not exist, or stages that do not
            ascend.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: Sequence[int] = (96, 192, 384, 768),
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        group_sizes: Sequence[int] = (7, 7, 7, 7),
        intervals: Sequence[int] | None = (8, 4, 2, 1),
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        patch_sizes: Sequence[int] = (4, 8, 16, 32),
        merge_sizes: Sequence[Sequence[int]] = ((2, 4), (2, 4), (2, 4)),
        cooling: bool = False,
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
            embed_dims=embed_dims, depths=depths, num_heads=num_heads, group_sizes=group_sizes
        )
        if intervals is not None:
            per_stage["intervals"] = intervals
        super().__init__(
            per_stage, in_channels, drop_path_rate, out_indices, frozen_stages, with_cp,
            pretrained, init_cfg, foreign, CROSSFORMER,
        )  # fmt: skip
        check_heads(embed_dims, num_heads)
        _check_channels(embed_dims)
        check_positive(mlp_ratio=mlp_ratio)
        check_flags(qkv_bias=qkv_bias, cooling=cooling)
        _check_sizes(patch_sizes, merge_sizes, len(depths))
        att_inv, freq_scale = parse_fdam(fdam)

        def embed(stage: int) -> nn.Module:
            if stage:
                sizes = merge_sizes[stage - 1]
                return PatchMerging(embed_dims[stage - 1], embed_dims[stage], sizes)
            return PatchEmbed(in_channels, embed_dims[0], patch_sizes)

        def block(stage: int, index: int, drop_path: float) -> Block:
            dim = embed_dims[stage]
            apart = None if intervals is None else intervals[stage]
            attn = GroupAttention(
                dim,
                num_heads[stage],
                group_sizes[stage],
                apart if index % 2 else 1,
                qkv_bias,
                **att_inv,
            )
            cooled = cooling and index % COOLED == COOLED - 1 and index < depths[stage] - 1
            return Block(attn, dim, mlp_ratio, drop_path, cooled, freq_scale)

        self._add_stages(depths, drop_path_rate, embed, block)
        reset_linears(self)
        self._freeze()


def _check_channels(embed_dims: Sequence[int]) -> None:
    for stage, dim in enumerate(embed_dims):
        if dim < 16:
            raise ConfigError(
                f"embed_dims[{stage}] is {dim}, expected 16 or more: the position bias has a "
                "sixteenth of the channels"
            )


def _check_sizes(patch_sizes: Any, merge_sizes: Any, num_stages: int) -> None:
    check_per_stage(patch_sizes=patch_sizes)
    check_sequence("merge_sizes", merge_sizes)
    if len(merge_sizes) != num_stages - 1:
        raise ConfigError(
            f"merge_sizes has {len(merge_sizes)} values, expected {num_stages - 1}: one before "
            "every stage but the first"
        )
    check_per_stage(**{f"merge_sizes[{i}]": sizes for i, sizes in enumerate(merge_sizes)})
    for name, sizes, stride in [
        ("patch_sizes", patch_sizes, patch_sizes[0] if patch_sizes else 0),
        *((f"merge_sizes[{i}]", sizes, 2) for i, sizes in enumerate(merge_sizes)),
    ]:
        if not sizes or any(size < stride or (size - stride) % 2 for size in sizes):
            raise ConfigError(
                f"{name} is {sizes!r}, expected sizes that are the stride {stride} and an even "
                "number more"
            )
