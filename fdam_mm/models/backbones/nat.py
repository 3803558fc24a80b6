"""NAT and DiNAT, backbones of neighbourhood attention, plain or with FDAM.

Written from the papers (arXiv 2204.07143, 2209.15001) and the facts of the authors' dense model.
Legend of the shape comments: B batch, H x W grid of a stage, C channels, h heads, c = C / h
channels of a head.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm.errors import ConfigError
from fdam_mm.layers import AttInv
from fdam_mm.layers.neighbourhood import neighbourhood_attention
from fdam_mm.models.fdam_cfg import parse_fdam

from .arguments import check_counts, check_flags, check_number_or_none, check_positive
from .foreign_words import NAT as NAT_WORDS
from .pre_norm import PreNormBlock
from .staged import StagedBackbone, channels_first, channels_last, check_even_start, check_heads
from .stages import reset_linears


class PatchEmbed(nn.Module):
    """Two 3x3 convolutions of stride 2 with nothing between, and a LayerNorm.

    Shape: (B, height, width, in_channels) -> (B, H, W, C), H = ceil(height / 4).
    """

    def __init__(self, in_channels: int, dim: int) -> None:
        super().__init__()
        self.proj1 = nn.Conv2d(in_channels, dim // 2, 3, 2, 1)
        self.proj2 = nn.Conv2d(dim // 2, dim, 3, 2, 1)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(channels_last(self.proj2(self.proj1(channels_first(x)))))


class Downsample(nn.Module):
    """A 3x3 convolution of stride 2 and a LayerNorm: (B, H_in, W_in, C_in) -> (B, H, W, C)."""

    def __init__(self, in_channels: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, dim, 3, 2, 1, bias=False)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(channels_last(self.proj(channels_first(x))))


class NeighbourhoodAttention(nn.Module):
    """Multi-head neighbourhood attention, with Attention Inversion.

    A map smaller than ``kernel_size * dilation`` gets zeros at the right and at the bottom, which
    are attended to, as in the authors' model.

    Args:
        dim: Channels C.
        num_heads: Heads h.
        kernel_size: Side of the neighbourhood, odd.
        dilation: Distance of its positions.
        qkv_bias: Bias on queries, keys and values.
        att_inv: Arguments of :class:`fdam_mm.layers.AttInv`.

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        kernel_size: int,
        dilation: int,
        qkv_bias: bool,
        **att_inv: Any,
    ) -> None:
        super().__init__()
        self.num_heads, self.dilation = num_heads, dilation
        self.least_side = kernel_size * dilation
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.rpb = nn.Parameter(torch.empty(num_heads, 2 * kernel_size - 1, 2 * kernel_size - 1))
        self.att_inv = AttInv(dim, num_heads, **att_inv)
        self.proj = nn.Linear(dim, dim)
        nn.init.trunc_normal_(self.rpb, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        pad_h, pad_w = (max(self.least_side - side, 0) for side in (height, width))
        padded = F.pad(x, (0, 0, 0, pad_w, 0, pad_h)) if pad_h or pad_w else x
        qkv = self.qkv(padded).unflatten(3, (3, self.num_heads, -1))
        q, k, v = qkv.permute(3, 0, 4, 1, 2, 5).unbind(0)  # (B, h, H, W, c)
        y = neighbourhood_attention(q, k, v, self.rpb, self.dilation)
        v, y = (t[:, :, :height, :width].permute(0, 2, 3, 1, 4).flatten(3) for t in (v, y))
        return self.proj(self.att_inv(x, v, y))


@MODELS.register_module()
class NAT(StagedBackbone):
    """NAT, and with ``dilations`` DiNAT, plain or with FDAM. The default is NAT-T.

    Mini has ``depths=(3, 4, 6, 5)``; -S and -B ``mlp_ratio=2`` and 96 or 128 first channels, a
    head for 32 of them; NAT-S, NAT-B and DiNAT-B ``layer_scale_init=1e-5``. The authors' files
    load too, see :mod:`fdam_mm.checkpoints.sources.nat`. natten is not needed.

    Args:
        in_channels: Channels of the input.
        embed_dims: Channels of each stage.
        depths: Blocks of each stage.
        num_heads: Attention heads of each stage.
        kernel_size: Side of the neighbourhood, odd.
        dilations: Of each stage a sequence that its blocks take in turn, over and over; None is 1
            everywhere. DiNAT for 512 x 512 has
            ``((1, 16), (1, 4, 1, 8), (1, 2, 1, 3, 1, 4), (1, 2))``.
        mlp_ratio: Hidden channels of the MLP over a stage's channels.
        qkv_bias: Bias on queries, keys and values.
        layer_scale_init: Start value of LayerScale; None leaves LayerScale out.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0.
        out_indices: Stages whose normed output is returned, ascending from 0; -1 is the last.
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
        embed_dims: Sequence[int] = (64, 128, 256, 512),
        depths: Sequence[int] = (3, 4, 18, 5),
        num_heads: Sequence[int] = (2, 4, 8, 16),
        kernel_size: int = 7,
        dilations: Sequence[Sequence[int]] | None = None,
        mlp_ratio: float = 3.0,
        qkv_bias: bool = True,
        layer_scale_init: float | None = None,
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
        further = {} if dilations is None else dict(dilations=dilations)
        super().__init__(
            per_stage, in_channels, drop_path_rate, out_indices, frozen_stages, with_cp,
            pretrained, init_cfg, foreign, NAT_WORDS, further,
        )  # fmt: skip
        dilations = [(1,)] * len(depths) if dilations is None else dilations
        _check_dilations(dilations)
        check_heads(embed_dims, num_heads)
        check_positive(mlp_ratio=mlp_ratio)
        check_counts(kernel_size=kernel_size)
        check_flags(qkv_bias=qkv_bias)
        check_number_or_none(layer_scale_init=layer_scale_init)
        if kernel_size % 2 == 0:
            raise ConfigError(f"kernel_size is {kernel_size}, expected an odd number")
        check_even_start(embed_dims)
        att_inv, freq_scale = parse_fdam(fdam)

        def embed(stage: int) -> nn.Module:
            if stage:
                return Downsample(embed_dims[stage - 1], embed_dims[stage])
            return PatchEmbed(in_channels, embed_dims[0])

        def block(stage: int, index: int, drop_path: float) -> nn.Module:
            dim, in_turn = embed_dims[stage], dilations[stage]
            sizes = (dim, num_heads[stage], kernel_size, in_turn[index % len(in_turn)])
            attn = NeighbourhoodAttention(*sizes, qkv_bias, **att_inv)
            return PreNormBlock(dim, attn, mlp_ratio, drop_path, layer_scale_init, freq_scale)

        self._add_stages(depths, drop_path_rate, embed, block)
        self._norm_outputs(embed_dims)
        reset_linears(self)
        self._freeze()


def _check_dilations(dilations: Any) -> None:
    for stage, of_stage in enumerate(dilations):
        if not isinstance(of_stage, list | tuple) or not of_stage:
            raise ConfigError(
                f"dilations[{stage}] is {of_stage!r}, expected a list such as (1, 2), which the "
                "stage's blocks take in turn"
            )
        check_counts(**{f"dilations[{stage}][{i}]": value for i, value in enumerate(of_stage)})
