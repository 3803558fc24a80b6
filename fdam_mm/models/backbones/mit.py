"""SegFormer's Mix Transformer (MiT), with or without FDAM.

Parameters have the names of mmseg's ``MixVisionTransformer``, so its checkpoints load as they are,
here and there.

Legend of the shape comments: B batch, H x W grid of a stage, N = H * W tokens, h x w grid of its
keys and values, n = h * w, C channels, heads the number of attention heads.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.cnn.bricks import DropPath
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from fdam_mm.errors import ConfigError
from fdam_mm.layers import AttInv, FreqScale
from fdam_mm.models.fdam_cfg import parse_fdam

from .arguments import (
    GELU,
    LAYER_NORM,
    activation,
    check_counts,
    check_flags,
    check_per_stage,
    check_positive,
    check_rates,
    norm_of_tokens,
    start_from,
)
from .base import PretrainedBackbone
from .foreign_words import MIX_VISION_TRANSFORMER, refuse_foreign
from .residual import add_branch
from .stages import linear_ramp, reset_convolutions, stage_indices

VALUE_SOURCES = ("query", "reduced")


def to_map(x: Tensor, hw: tuple[int, int]) -> Tensor:
    """Tokens (B, N, C) -> (B, C, H, W), a view."""
    return x.transpose(1, 2).unflatten(2, hw)


def to_tokens(x: Tensor) -> Tensor:
    """Map (B, C, H, W) -> (B, N, C)."""
    return x.flatten(2).transpose(1, 2)


class OverlapPatchEmbed(nn.Module):
    """Overlapping patches to normed tokens."""

    def __init__(
        self,
        in_channels: int,
        dim: int,
        patch_size: int,
        stride: int,
        norm_cfg: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.projection = nn.Conv2d(in_channels, dim, patch_size, stride, patch_size // 2)
        self.norm = norm_of_tokens(norm_cfg, dim)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """(B, C_in, height, width) -> tokens (B, N, C) and their grid (H, W)."""
        x = self.projection(x)
        return self.norm(to_tokens(x)), tuple(x.shape[-2:])


class Projections(nn.Module):
    """The projections of an attention, under the names that ``nn.MultiheadAttention`` has.

    As there, ``bias`` is that of the output projection too.
    """

    def __init__(self, dim: int, bias: bool) -> None:
        super().__init__()
        self.dim = dim
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim)) if bias else None
        self.out_proj = nn.Linear(dim, dim, bias=bias)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.trunc_normal_(self.out_proj.weight, std=0.02)
        if bias:
            nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, parts: str) -> tuple[Tensor, ...]:
        """Project (B, N, C) to as many of the same.

        Args:
            x: Tokens.
            parts: Which projections, side by side in "qkv".
        """
        first, last = "qkv".index(parts) * self.dim, ("qkv".index(parts) + len(parts)) * self.dim
        bias = None if self.in_proj_bias is None else self.in_proj_bias[first:last]
        return F.linear(x, self.in_proj_weight[first:last], bias).chunk(len(parts), dim=-1)


class SpatialReductionAttention(nn.Module):
    """Multi-head attention on keys and values of a coarser grid, with Attention Inversion.

    AttInv's high-pass path is v - y, and where the grid is reduced (``sr_ratio`` > 1) there are no
    values at the queries. ``value_source`` says which to take:

    - ``query``: the value projection of the unreduced tokens;
    - ``reduced``: the values of the coarse grid, resized bilinearly to the queries' grid.

    At ``sr_ratio`` 1 both are the values themselves, AttInv's plain form.

    Args:
        dim: Channels C.
        num_heads: Heads; C must be a multiple of it.
        sr_ratio: Side of the patches that become one key and value; a rest at the right and at the
            bottom is left out.
        qkv_bias: Bias on every projection.
        attn_drop: Dropout on the attention matrix.
        proj_drop: Dropout after the output projection.
        norm_cfg: Norm of the reduced tokens.
        value_source: See above.
        att_inv: Arguments of :class:`fdam_mm.layers.AttInv`.

    Shape: (B, N, C) with its grid (H, W) -> (B, N, C).
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        sr_ratio: int,
        qkv_bias: bool,
        attn_drop: float,
        proj_drop: float,
        norm_cfg: Mapping[str, Any],
        value_source: str = "query",
        **att_inv: Any,
    ) -> None:
        super().__init__()
        self.num_heads, self.value_source, self.attn_drop = num_heads, value_source, attn_drop
        self.attn = Projections(dim, qkv_bias)
        self.sr = self.norm = None
        if sr_ratio > 1:
            self.sr = nn.Conv2d(dim, dim, sr_ratio, sr_ratio)
            self.norm = norm_of_tokens(norm_cfg, dim)
        self.att_inv = AttInv(dim, num_heads, **att_inv)
        self.proj_drop = nn.Dropout(proj_drop)

    def forward(self, x: Tensor, hw: tuple[int, int]) -> Tensor:
        if self.sr is None:
            q, k, v = self.attn(x, "qkv")
            v_at_queries = v
        else:
            reduced = self.sr(to_map(x, hw))  # (B, C, h, w)
            k, v = self.attn(self.norm(to_tokens(reduced)), "kv")
            (q,) = self.attn(x, "q")
            v_at_queries = self._values_at_queries(x, v, hw, tuple(reduced.shape[-2:]))
        y = self.att_inv(x, v_at_queries, self._attend(q, k, v))
        return self.proj_drop(self.attn.out_proj(y))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q (B, N, C), k and v (B, n, C) -> (B, N, C)."""
        q, k, v = (t.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for t in (q, k, v))
        dropout = self.attn_drop if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)  # (B, heads, N, C / heads)
        return y.transpose(1, 2).flatten(2)

    def _values_at_queries(
        self, x: Tensor, v: Tensor, hw: tuple[int, int], reduced_hw: tuple[int, int]
    ) -> Tensor:
        """Values (B, N, C) for the high-pass path; without that path nobody looks at them."""
        if not self.att_inv.high:
            return v
        if self.value_source == "query":
            return self.attn(x, "v")[0]
        return to_tokens(F.interpolate(to_map(v, reduced_hw), hw, mode="bilinear"))


class MixFFN(nn.Module):
    """1x1 convolution, 3x3 depth-wise convolution, activation, 1x1 convolution."""

    def __init__(self, dim: int, hidden: int, act_cfg: Mapping[str, Any], drop: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(dim, hidden, 1),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
            activation(act_cfg),
            nn.Dropout(drop),
            nn.Conv2d(hidden, dim, 1),
            nn.Dropout(drop),
        )

    def forward(self, x: Tensor, hw: tuple[int, int]) -> Tensor:
        """(B, N, C) -> (B, N, C)."""
        return to_tokens(self.layers(to_map(x, hw)))


class Block(nn.Module):
    """Transformer block; FreqScale acts on what each sub-layer adds, before drop-path.

    ::

        a = attn(norm1(x));  x = x + drop_path(a + FreqScale_1(a))
        m = ffn(norm2(x));   x = x + drop_path(m + FreqScale_2(m))
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        sr_ratio: int,
        mlp_ratio: float,
        qkv_bias: bool,
        drop: float,
        attn_drop: float,
        drop_path: float,
        act_cfg: Mapping[str, Any],
        norm_cfg: Mapping[str, Any],
        att_inv: Mapping[str, Any],
        freq_scale: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.norm1 = norm_of_tokens(norm_cfg, dim)
        self.attn = SpatialReductionAttention(
            dim, num_heads, sr_ratio, qkv_bias, attn_drop, drop, norm_cfg, **att_inv
        )
        self.norm2 = norm_of_tokens(norm_cfg, dim)
        self.ffn = MixFFN(dim, int(dim * mlp_ratio), act_cfg, drop)
        self.drop_path = DropPath(drop_path)
        self.freq_scale_1 = None if freq_scale is None else FreqScale(dim, **freq_scale)
        self.freq_scale_2 = None if freq_scale is None else FreqScale(dim, **freq_scale)

    def forward(self, x: Tensor, hw: tuple[int, int]) -> Tensor:
        """(B, N, C) -> (B, N, C)."""
        a, m = self.freq_scale_1, self.freq_scale_2
        x = add_branch(x, self.attn(self.norm1(x), hw), a, None, self.drop_path, hw)
        return add_branch(x, self.ffn(self.norm2(x), hw), m, None, self.drop_path, hw)


@MODELS.register_module()
class FDAMMixVisionTransformer(PretrainedBackbone):
    """SegFormer's Mix Transformer, plain or with FDAM.

    With ``fdam=None`` it computes what mmseg's ``MixVisionTransformer`` does, from the same keys.
    The original SegFormer's ImageNet files load too (:mod:`fdam_mm.checkpoints`).

    Args:
        in_channels: Channels of the input.
        embed_dims: Channels of one attention head; stage i has ``embed_dims * num_heads[i]``.
        num_stages: Stages.
        num_layers: Blocks of each stage.
        num_heads: Attention heads of each stage.
        patch_sizes: Side of each stage's patches, in cells of the stage before (pixels at first).
        strides: Their stride.
        sr_ratios: Spatial reduction of each stage's keys and values.
        out_indices: Stages whose output is returned, ascending from 0; -1 is the last.
        mlp_ratio: Hidden channels of the Mix-FFN over a stage's channels.
        qkv_bias: Bias on the attention's projections.
        drop_rate: Dropout after the attention and in the Mix-FFN.
        attn_drop_rate: Dropout on the attention matrix.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0.
        act_cfg: Activation of the Mix-FFN.
        norm_cfg: Every norm.
        pretrained: Deprecated, as in mmseg: give ``init_cfg``.
        init_cfg: ``dict(type="Pretrained", checkpoint=...)`` to start from a file.
        with_cp: Activation checkpointing of every block: less memory, a second forward.
        fdam: None, or ``dict(att_inv=True, freq_scale=True)``: see
            :func:`fdam_mm.models.fdam_cfg.parse_fdam`. ``att_inv`` may hold ``value_source``,
            ``"query"`` or ``"reduced"``: see :class:`SpatialReductionAttention`.
        **foreign: Words of other backbones, at the values that mean what this one does
            (:mod:`.foreign_words`).

    Shape: (B, in_channels, height, width) -> a tuple of (B, C_i, H_i, W_i), one per
    ``out_indices``; with the default strides H_i = ceil(height / 4 / 2**i).

    Raises:
        ConfigError: An argument of another type, range or length than it needs, one that does not
            exist, or ``init_cfg`` beside ``pretrained``.
        ValueError: A stage or a setting of ``fdam`` that does not exist, or stages that do not
            ascend.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: int = 64,
        num_stages: int = 4,
        num_layers: Sequence[int] = (3, 4, 6, 3),
        num_heads: Sequence[int] = (1, 2, 4, 8),
        patch_sizes: Sequence[int] = (7, 3, 3, 3),
        strides: Sequence[int] = (4, 2, 2, 2),
        sr_ratios: Sequence[int] = (8, 4, 2, 1),
        out_indices: int | Sequence[int] = (0, 1, 2, 3),
        mlp_ratio: float = 4,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        act_cfg: Mapping[str, Any] = GELU,
        norm_cfg: Mapping[str, Any] = LAYER_NORM,
        pretrained: str | None = None,
        init_cfg: Mapping[str, Any] | None = None,
        with_cp: bool = False,
        fdam: Mapping[str, Any] | None = None,
        **foreign: Any,
    ) -> None:
        super().__init__(init_cfg=start_from(init_cfg, pretrained))
        refuse_foreign(type(self), foreign, MIX_VISION_TRANSFORMER)
        check_counts(in_channels=in_channels, embed_dims=embed_dims, num_stages=num_stages)
        _check_stages(num_stages, num_layers, num_heads, patch_sizes, strides, sr_ratios)
        check_positive(mlp_ratio=mlp_ratio)
        check_rates(
            drop_rate=drop_rate, attn_drop_rate=attn_drop_rate, drop_path_rate=drop_path_rate
        )
        check_flags(qkv_bias=qkv_bias, with_cp=with_cp)
        att_inv, freq_scale = parse_fdam(fdam, dict(value_source=VALUE_SOURCES))
        self.out_indices = stage_indices(out_indices, num_stages)
        self.with_cp = with_cp

        drop_paths = linear_ramp(drop_path_rate, num_layers)
        self.layers = nn.ModuleList()
        for stage in range(num_stages):
            dim = embed_dims * num_heads[stage]
            embed = OverlapPatchEmbed(
                in_channels, dim, patch_sizes[stage], strides[stage], norm_cfg
            )
            blocks = nn.ModuleList(
                Block(
                    dim, num_heads[stage], sr_ratios[stage], mlp_ratio, qkv_bias, drop_rate,
                    attn_drop_rate, drop_path, act_cfg, norm_cfg, att_inv, freq_scale,
                )
                for drop_path in drop_paths[stage]
            )  # fmt: skip
            norm = norm_of_tokens(norm_cfg, dim)
            self.layers.append(nn.ModuleList([embed, blocks, norm]))
            in_channels = dim
        reset_convolutions(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        outs = []
        for stage, (embed, blocks, norm) in enumerate(self.layers):
            x, hw = embed(x)
            for block in blocks:
                if self.with_cp and torch.is_grad_enabled():
                    x = checkpoint(block, x, hw, use_reentrant=False)
                else:
                    x = block(x, hw)
            x = to_map(norm(x), hw)
            if stage in self.out_indices:
                outs.append(x)
        return tuple(outs)


def _check_stages(
    num_stages: int,
    num_layers: Sequence[int],
    num_heads: Sequence[int],
    patch_sizes: Sequence[int],
    strides: Sequence[int],
    sr_ratios: Sequence[int],
) -> None:
    per_stage = dict(
        num_layers=num_layers,
        num_heads=num_heads,
        patch_sizes=patch_sizes,
        strides=strides,
        sr_ratios=sr_ratios,
    )
    check_per_stage(**per_stage)
    lengths = [len(setting) for setting in per_stage.values()]
    if any(length != num_stages for length in lengths):
        raise ConfigError(
            f"{', '.join(per_stage)} need {num_stages} values each (num_stages), got {lengths}"
        )
