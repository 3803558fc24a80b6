"""LSKNet, the Large Selective Kernel Network (arXiv 2303.09030), with or without FDAM.

Written from the paper. Legend of the shape comments: B batch, C channels, H x W grid of a stage.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.cnn.bricks import DropPath
from mmengine.registry import MODELS
from torch import Tensor, nn

from fdam_mm.errors import ConfigError
from fdam_mm.layers import AttInv, FreqScale
from fdam_mm.layers.autocast import at_least_float32, float32_island
from fdam_mm.layers.children import call
from fdam_mm.models.fdam_cfg import parse_fdam

from .arguments import (
    BATCH_NORM,
    check_counts,
    check_flags,
    check_frozen_stages,
    check_per_stage,
    check_positive,
    check_rates,
    check_sequence,
    norm_of_maps,
    start_from,
)
from .base import PretrainedBackbone
from .checkpointing import run
from .foreign_words import LSKNET, Word, refuse_foreign
from .residual import add_branch
from .stages import gate_heads, linear_ramp, reset_convolutions, stage_indices

LAYER_SCALE_INIT = 1e-2


def depthwise(dim: int, kernel_size: int, dilation: int = 1) -> nn.Conv2d:
    """Depth-wise convolution that keeps the grid."""
    padding = dilation * (kernel_size // 2)
    return nn.Conv2d(dim, dim, kernel_size, padding=padding, dilation=dilation, groups=dim)


def fast_layout(x: Tensor) -> Tensor:
    """Channels last in memory on a CPU, a quarter faster there; elsewhere PyTorch's usual layout.

    Shape: (B, C, H, W), unchanged.
    """
    if x.device.type != "cpu":
        return x.contiguous()
    return x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)  # vmap knows no memory_format


class SelectiveKernel(nn.Module):
    """Large selective kernel: a map of context whose receptive field each position chooses.

    A 5x5 depth-wise convolution sees the near, a dilated 7x7 one after it the far (23x23 in all).
    The mean and the maximum over the channels of both decide their shares at every position.

    Shape: (B, C, H, W) -> the same.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.near = depthwise(dim, 5)
        self.far = depthwise(dim, 7, dilation=3)
        self.near_proj = nn.Conv2d(dim, dim // 2, 1)
        self.far_proj = nn.Conv2d(dim, dim // 2, 1)
        self.select = nn.Conv2d(2, 2, 7, padding=3)
        self.proj = nn.Conv2d(dim // 2, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        near = self.near(x)
        far = self.far_proj(self._see_far(near))  # (B, C / 2, H, W)
        near = self.near_proj(near)  # (B, C / 2, H, W)
        both = torch.cat([near, far], dim=1)
        summary = torch.cat([both.mean(1, keepdim=True), both.amax(1, keepdim=True)], dim=1)
        near_share, far_share = self.select(summary).sigmoid().chunk(2, dim=1)  # (B, 1, H, W)
        return self.proj(near * near_share + far * far_share)

    def _see_far(self, near: Tensor) -> Tensor:
        """In float32 under a CPU's autocast: oneDNN's bf16 weight gradient of a dilated depth-wise
        convolution is now and then 1e30 (torch 2.11, channels last)."""
        if near.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return self.far(near)
        with float32_island(near):
            return call(self.far, at_least_float32(near))


class LSKAttention(nn.Module):
    """Spatial gate by a large selective kernel, with an analogue of Attention Inversion.

    ::

        u = GELU(proj_in(x));  y = u * context(u);  out = x + proj_out(AttInv(x, u, y))

    There is no softmax here, so AttInv is our reading, and no one has measured it: the gate's
    context is a low-pass filter of ``u``, and ``u - y``, what the gate takes away, the high path.

    Args:
        dim: Channels C.
        att_inv: Arguments of :class:`fdam_mm.layers.AttInv`; a "head" is 32 channels, or as many
            as divide both 32 and C.

    Shape: (B, C, H, W) -> the same.
    """

    def __init__(self, dim: int, **att_inv: Any) -> None:
        super().__init__()
        self.proj_in = nn.Conv2d(dim, dim, 1)
        self.act = nn.GELU()
        self.context = SelectiveKernel(dim)
        self.att_inv = AttInv(dim, gate_heads(dim), **att_inv)
        self.proj_out = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        u = self.act(self.proj_in(x))
        y = u * self.context(u)
        x_last, u_last, y_last = (t.permute(0, 2, 3, 1) for t in (x, u, y))  # (B, H, W, C)
        y = self.att_inv(x_last, u_last, y_last).permute(0, 3, 1, 2)
        return x + self.proj_out(y)


class ConvMLP(nn.Module):
    """1x1 convolution, 3x3 depth-wise convolution, GELU, 1x1 convolution.

    Shape: (B, C, H, W) -> the same.
    """

    def __init__(self, dim: int, hidden: int, drop: float) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(dim, hidden, 1)
        self.dwconv = depthwise(hidden, 3)
        self.act = nn.GELU()
        self.fc2 = nn.Conv2d(hidden, dim, 1)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(self.act(self.dwconv(self.fc1(x))))
        return self.drop(self.fc2(x))


class Block(nn.Module):
    """LSKNet's block; FreqScale acts on what each sub-layer adds, before LayerScale and drop-path.

    ::

        a = attn(norm1(x));  x = x + drop_path(gamma_1 * (a + FreqScale_1(a)))
        m = mlp(norm2(x));   x = x + drop_path(gamma_2 * (m + FreqScale_2(m)))

    Shape: (B, C, H, W) -> the same.
    """

    def __init__(
        self,
        dim: int,
        mlp_ratio: float,
        drop: float,
        drop_path: float,
        norm_cfg: Mapping[str, Any],
        att_inv: Mapping[str, Any],
        freq_scale: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.norm1 = norm_of_maps(norm_cfg, dim)
        self.attn = LSKAttention(dim, **att_inv)
        self.norm2 = norm_of_maps(norm_cfg, dim)
        self.mlp = ConvMLP(dim, int(dim * mlp_ratio), drop)
        self.gamma_1 = nn.Parameter(torch.full((dim,), LAYER_SCALE_INIT))
        self.gamma_2 = nn.Parameter(torch.full((dim,), LAYER_SCALE_INIT))
        self.drop_path = DropPath(drop_path)
        self.freq_scale_1 = None if freq_scale is None else FreqScale(dim, **freq_scale)
        self.freq_scale_2 = None if freq_scale is None else FreqScale(dim, **freq_scale)

    def forward(self, x: Tensor) -> Tensor:
        a, m = self.freq_scale_1, self.freq_scale_2
        x = add_branch(x, self.attn(self.norm1(x)), a, self.gamma_1, self.drop_path)
        return add_branch(x, self.mlp(self.norm2(x)), m, self.gamma_2, self.drop_path)


class Stage(nn.Module):
    """Overlapping patch embedding, blocks, and a LayerNorm over the channels.

    Shape: (B, C_in, height, width) -> (B, C, H, W) with H = ceil(height / stride).
    """

    def __init__(
        self,
        in_channels: int,
        dim: int,
        patch_size: int,
        stride: int,
        norm_cfg: Mapping[str, Any],
        blocks: Sequence[Block],
    ) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, dim, patch_size, stride, patch_size // 2)
        self.proj_norm = norm_of_maps(norm_cfg, dim)
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, x: Tensor, with_cp: bool = False) -> Tensor:
        x = self.proj_norm(self.proj(x))
        for block in self.blocks:
            x = run(block, x, with_cp=with_cp)
        return fast_layout(self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))


@MODELS.register_module()
class LSKNet(PretrainedBackbone):
    """LSKNet, plain or with FDAM. The default is LSKNet-S.

    LSKNet-T has ``embed_dims=(32, 64, 160, 256)``, ``depths=(3, 3, 5, 2)``. The authors' files
    load too, see :mod:`fdam_mm.checkpoints.sources.lsknet`.

    Args:
        in_channels: Channels of the input.
        embed_dims: Channels of each stage.
        depths: Blocks of each stage.
        mlp_ratios: Hidden channels of the MLP over a stage's channels.
        drop_rate: Dropout in the MLP.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0.
        norm_cfg: The batch norms: BN, also for None, or SyncBN where a GPU holds few pictures.
        out_indices: Stages whose output is returned, ascending from 0; -1 is the last.
        frozen_stages: This many first stages do not learn, FDAM's layers in them neither, and keep
            their running statistics; -1, as the toolkits write it, and 0 freeze none.
        with_cp: Activation checkpointing of every block: less memory, a second forward.
        fdam: None, or ``dict(freq_scale=True)``: see
            :func:`fdam_mm.models.fdam_cfg.parse_fdam`. ``att_inv=True`` adds the analogue of
            :class:`LSKAttention`.
        pretrained: Deprecated: give ``init_cfg``.
        init_cfg: ``dict(type="Pretrained", checkpoint=...)`` to start from a file.
        **foreign: Further arguments of the authors' class, at the values that mean what this one
            does (:mod:`.foreign_words`).

    Shape: (B, in_channels, height, width) -> a tuple of (B, C_i, H_i, W_i), one per
    ``out_indices``, with H_i = ceil(height / 4 / 2**i).

    Raises:
        ConfigError: An argument of another type, range or length than it needs, one that does not
            exist, or an odd number of channels.
        ValueError: A stage or a setting of ``fdam`` that does not exist, or stages that do not
            ascend.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: Sequence[int] = (64, 128, 320, 512),
        depths: Sequence[int] = (2, 2, 4, 2),
        mlp_ratios: Sequence[float] = (8, 8, 4, 4),
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        norm_cfg: Mapping[str, Any] | None = BATCH_NORM,
        out_indices: int | Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        with_cp: bool = False,
        fdam: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
        init_cfg: Mapping[str, Any] | None = None,
        **foreign: Any,
    ) -> None:
        super().__init__(init_cfg=start_from(init_cfg, pretrained))
        _check_stages(embed_dims, depths, mlp_ratios)
        own = dict(
            in_chans=Word((in_channels,), "write in_channels"),
            num_stages=Word((len(embed_dims),), "embed_dims and depths have one value per stage"),
        )
        refuse_foreign(type(self), foreign, LSKNET | own)
        check_counts(in_channels=in_channels)
        check_rates(drop_rate=drop_rate, drop_path_rate=drop_path_rate)
        check_flags(with_cp=with_cp)
        check_frozen_stages(frozen_stages, len(embed_dims))
        norm_cfg = BATCH_NORM if norm_cfg is None else norm_cfg
        att_inv, freq_scale = parse_fdam(fdam)
        self.out_indices = stage_indices(out_indices, len(embed_dims))
        self.frozen_stages, self.with_cp = frozen_stages, with_cp
        self.stages = nn.ModuleList()
        drop_paths = linear_ramp(drop_path_rate, depths)
        for dim, mlp_ratio, rates in zip(embed_dims, mlp_ratios, drop_paths, strict=True):
            blocks = [
                Block(dim, mlp_ratio, drop_rate, rate, norm_cfg, att_inv, freq_scale)
                for rate in rates
            ]
            patch_size, stride = (3, 2) if self.stages else (7, 4)
            self.stages.append(Stage(in_channels, dim, patch_size, stride, norm_cfg, blocks))
            in_channels = dim
        reset_convolutions(self)
        self._freeze()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        outs, x = [], fast_layout(x)
        for stage in self.stages:
            x = stage(x, self.with_cp)
            outs.append(x)
        return tuple(outs[i].contiguous() for i in self.out_indices)  # mmcv's operations need it

    def train(self, mode: bool = True) -> "LSKNet":
        super().train(mode)
        self._freeze()
        return self

    def _freeze(self) -> None:
        for stage in self.stages[: max(self.frozen_stages, 0)]:
            stage.eval().requires_grad_(False)


def _check_stages(
    embed_dims: Sequence[int], depths: Sequence[int], mlp_ratios: Sequence[float]
) -> None:
    check_per_stage(embed_dims=embed_dims, depths=depths)
    check_sequence("mlp_ratios", mlp_ratios)
    for stage, ratio in enumerate(mlp_ratios):
        check_positive(**{f"mlp_ratios[{stage}]": ratio})
    lengths = [len(setting) for setting in (embed_dims, depths, mlp_ratios)]
    if len(set(lengths)) != 1:
        raise ConfigError(
            f"embed_dims, depths and mlp_ratios need one value per stage, got {lengths}"
        )
    if any(dim % 2 for dim in embed_dims):
        raise ConfigError(f"embed_dims {tuple(embed_dims)} must be even: each kernel takes half")
