"""L2ViT, a vision transformer of local windows and linear global attention, plain or with FDAM.

Written from the paper (arXiv 2501.16182) and the facts of the authors' dense model.
Legend of the shape comments: B batch, H x W grid of a stage, N tokens, C channels, h heads,
d = C / h channels of a head.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.cnn.bricks import DropPath
from mmengine.registry import MODELS
from torch import Tensor, nn

from fdam_mm.errors import ConfigError
from fdam_mm.layers.autocast import at_least_float32, float32_island
from fdam_mm.models.fdam_cfg import parse_fdam

from .arguments import check_counts, check_flags, check_ratios, check_sequence
from .foreign_words import L2VIT
from .mlp import Mlp
from .staged import (
    StagedBackbone,
    channels_first,
    channels_last,
    check_heads,
    make_freq_scale,
    pad_to_multiple,
    scaled,
)
from .stages import reset_convolutions, reset_linears
from .windows import WindowAttention, split_heads

BLOCK_TYPES = ("window", "linear")
LEAST_DENOMINATOR = 100.0  # of the linear attention: keeps trainings stable, says the paper


class PatchEmbed(nn.Module):
    """The stem (two strided convolutions, or one of patches) and a LayerNorm; stride 4.

    Shape: (B, height, width, in_channels) -> (B, H, W, C), H = ceil(height / 4).
    """

    def __init__(self, in_channels: int, dim: int, conv_stem: bool) -> None:
        super().__init__()
        self.proj: nn.Module = nn.Conv2d(in_channels, dim, 4, 4)
        if conv_stem:
            self.proj = nn.Sequential(
                nn.Conv2d(in_channels, dim // 2, 3, 2, 1),
                nn.BatchNorm2d(dim // 2),
                nn.ReLU(),
                nn.Conv2d(dim // 2, dim, 3, 2, 1),
                nn.BatchNorm2d(dim),
            )
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(channels_last(self.proj(channels_first(pad_to_multiple(x, 4)))))


class Downsample(nn.Module):
    """LayerNorm and a 2x2 convolution of stride 2: (B, H, W, C_in) -> (B, H / 2, W / 2, C)."""

    def __init__(self, in_channels: int, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(in_channels)
        self.proj = nn.Conv2d(in_channels, dim, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return channels_last(self.proj(channels_first(pad_to_multiple(self.norm(x), 2))))


class ConditionalPosition(nn.Conv2d):
    """``x`` and a 3x3 depth-wise convolution of it: (B, H, W, C) -> the same."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, dim, 3, padding=1, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        return x + channels_last(super().forward(channels_first(x)))


class LinearAttention(nn.Module):
    """Global attention of linear cost; its weights need not sum to 1.

    With q and k after a ReLU, and a learned temperature t per head::

        y = t * q (kᵀ v) / max(q Σ_n k_n, 100)

    It is computed in float32 also under autocast: it sums over all tokens.

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.temperature = nn.Parameter(torch.full((num_heads, 1, 1), (dim / num_heads) ** -0.5))
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = split_heads(self.qkv(x.flatten(1, 2)), self.num_heads)  # (B, h, N, d)
        with float32_island(x):
            q, k, v = (at_least_float32(t) for t in (q.relu(), k.relu(), v))
            total = (q @ k.sum(2).unsqueeze(-1)).clamp(min=LEAST_DENOMINATOR)  # (B, h, N, 1)
            y = q @ (k.transpose(2, 3) @ v * self.temperature) / total
        y = y.transpose(1, 2).flatten(2).to(x.dtype)
        return self.proj(y).view_as(x)


class LocalConcentration(nn.Module):
    """7x7 depth-wise convolution, GELU, batch norm, 7x7 depth-wise convolution.

    It brings back the neighbourhood that linear attention spreads over the whole map.

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.act = nn.GELU()
        self.bn = nn.BatchNorm2d(dim)
        self.conv2 = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.act(self.conv1(channels_first(x))))
        return channels_last(self.conv2(x))


class WindowBlock(nn.Module):
    """Attention within windows, then an MLP, each after a conditional position (cpe).

    ::

        x = cpe_0(x);  a = attn(norm1(x));  x = x + drop_path(a + FreqScale_1(a))
        x = cpe_1(x);  m = mlp(norm2(x));   x = x + drop_path(m + FreqScale_2(m))

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float,
        drop_path: float,
        window_size: int,
        att_inv: Mapping[str, Any],
        freq_scale: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.cpe = nn.ModuleList([ConditionalPosition(dim), ConditionalPosition(dim)])
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, num_heads, window_size, **att_inv)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.drop_path = DropPath(drop_path)
        self.freq_scale_1 = make_freq_scale(dim, freq_scale)
        self.freq_scale_2 = make_freq_scale(dim, freq_scale)

    def forward(self, x: Tensor) -> Tensor:
        x = self.cpe[0](x)
        x = x + self.drop_path(scaled(self.attn(self.norm1(x)), self.freq_scale_1))
        x = self.cpe[1](x)
        return x + self.drop_path(scaled(self.mlp(self.norm2(x)), self.freq_scale_2))


class LinearBlock(nn.Module):
    """Linear global attention, local concentration, then an MLP; a conditional position first.

    ::

        x = cpe_0(x);  a = attn(norm1(x));  x = x + drop_path(a + FreqScale_1(a))
        c = lcm(norm3(x));                  x = x + drop_path(c + FreqScale_3(c))
        m = mlp(norm2(x));                  x = x + drop_path(m + FreqScale_2(m))

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float,
        drop_path: float,
        freq_scale: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.cpe = nn.ModuleList([ConditionalPosition(dim)])
        self.norm1 = nn.LayerNorm(dim)
        self.attn = LinearAttention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.norm3 = nn.LayerNorm(dim)
        self.lcm = LocalConcentration(dim)
        self.drop_path = DropPath(drop_path)
        self.freq_scale_1 = make_freq_scale(dim, freq_scale)
        self.freq_scale_2 = make_freq_scale(dim, freq_scale)
        self.freq_scale_3 = make_freq_scale(dim, freq_scale)

    def forward(self, x: Tensor) -> Tensor:
        x = self.cpe[0](x)
        x = x + self.drop_path(scaled(self.attn(self.norm1(x)), self.freq_scale_1))
        x = x + self.drop_path(scaled(self.lcm(self.norm3(x)), self.freq_scale_3))
        return x + self.drop_path(scaled(self.mlp(self.norm2(x)), self.freq_scale_2))


@MODELS.register_module()
class L2ViT(StagedBackbone):
    """L2ViT, plain or with FDAM. The default is L2ViT-T.

    L2ViT-S has ``depths=(2, 2, 18, 2)``; L2ViT-B that, ``embed_dims=(128, 256, 512, 1024)`` and
    ``num_heads=(4, 8, 16, 32)``. The authors' files load too, see
    :mod:`fdam_mm.checkpoints.sources.l2vit`.

    AttInv acts within the windows. The weights of the linear attention sum to no constant, so that
    v - y is no high-pass there; it has none. FreqScale acts on attention, local concentration and
    MLP.

    Args:
        in_channels: Channels of the input.
        embed_dims: Channels of each stage.
        depths: Blocks of each stage.
        num_heads: Attention heads of each stage.
        mlp_ratios: Hidden channels of the MLP over a stage's channels.
        block_types: The blocks of every stage in turn, ``"window"`` or ``"linear"``.
        window_size: Side of the windows.
        conv_stem: Two convolutions as stem; False is one of 4x4 patches.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0.
        out_indices: Stages whose normed output is returned, ascending from 0; -1 is the last.
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
        embed_dims: Sequence[int] = (96, 192, 384, 768),
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        mlp_ratios: Sequence[float] = (4, 4, 4, 4),
        block_types: Sequence[str] = BLOCK_TYPES,
        window_size: int = 7,
        conv_stem: bool = True,
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
            pretrained, init_cfg, foreign, L2VIT, dict(mlp_ratios=mlp_ratios),
        )  # fmt: skip
        check_heads(embed_dims, num_heads)
        check_ratios(mlp_ratios=mlp_ratios)
        check_counts(window_size=window_size)
        check_flags(conv_stem=conv_stem)
        _check_block_types(block_types)
        att_inv, freq_scale = parse_fdam(fdam)

        def embed(stage: int) -> nn.Module:
            if stage:
                return Downsample(embed_dims[stage - 1], embed_dims[stage])
            return PatchEmbed(in_channels, embed_dims[0], conv_stem)

        def block(stage: int, index: int, drop_path: float) -> nn.Module:
            options = (embed_dims[stage], num_heads[stage], mlp_ratios[stage], drop_path)
            if block_types[index % len(block_types)] == "window":
                return WindowBlock(*options, window_size, att_inv, freq_scale)
            return LinearBlock(*options, freq_scale)

        self._add_stages(depths, drop_path_rate, embed, block)
        self._norm_outputs(embed_dims)
        reset_convolutions(self)
        reset_linears(self)
        self._freeze()


def _check_block_types(block_types: Sequence[str]) -> None:
    check_sequence("block_types", block_types)
    if not block_types or not set(block_types) <= set(BLOCK_TYPES):
        raise ConfigError(f"block_types is {block_types!r}, expected some of {BLOCK_TYPES}")
