"""MambaVision, convolutions, then scans and attention within windows, plain or with FDAM.

Written from the paper (arXiv 2407.08083) and facts about the authors' dense model; their weights
are for non-commercial use alone. Legend of the shape comments: B batch, H x W grid of a stage
(filled up to whole windows), L tokens of a window, C channels, D = C / 2 channels of the scan,
N states of each, R rank of the step sizes.
"""

from collections.abc import Mapping, Sequence
from math import ceil, log
from typing import Any

import torch
from mmcv.cnn.bricks import DropPath
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm.errors import ConfigError
from fdam_mm.layers.children import bias_of
from fdam_mm.layers.selective_scan import selective_scan
from fdam_mm.models.fdam_cfg import parse_fdam

from .arguments import check_counts, check_number_or_none, check_per_stage, check_positive
from .checkpointing import run
from .foreign_words import MAMBAVISION
from .pre_norm import PreNormBlock
from .staged import (
    MapSequential,
    Stage,
    StagedBackbone,
    check_heads,
    pad_to_multiple,
)
from .stages import linear_ramp, reset_linears
from .windows import WindowAttention, from_windows, to_windows

STATES = 8  # of each channel of the scan
STEP_RANGE = (1e-3, 1e-1)  # where the step sizes start


class ConvBlock(nn.Module):
    """Two 3x3 convolutions with batch norms, a GELU between, and the residual.

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(self, dim: int, drop_path: float) -> None:
        super().__init__()
        self.layers = MapSequential(
            nn.Conv2d(dim, dim, 3, padding=1),
            nn.BatchNorm2d(dim),
            nn.GELU("tanh"),
            nn.Conv2d(dim, dim, 3, padding=1),
            nn.BatchNorm2d(dim),
        )
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop_path(self.layers(x))


class Mixer(nn.Module):
    """A selective scan of a window's tokens, row by row, beside a convolution of them.

    ::

        u, z = SiLU(conv_x(s)), SiLU(conv_z(t)),    s, t = proj_in(x)
        out  = proj_out([scan(u) + skip * u, z])

    The bias of the step sizes is added twice, as in the authors' code.

    Args:
        dim: Channels C.
        window_size: Side of a window.

    Shape: (B, H, W, C), of whole windows, -> the same.
    """

    def __init__(self, dim: int, window_size: int) -> None:
        super().__init__()
        self.window_size, inner, rank = window_size, dim // 2, ceil(dim / 16)
        self.sections = [rank, STATES, STATES]  # step sizes, input and output of the states
        self.in_proj = nn.Linear(dim, dim, bias=False)
        self.conv_x = nn.Conv1d(inner, inner, 3, padding=1, groups=inner, bias=False)
        self.conv_z = nn.Conv1d(inner, inner, 3, padding=1, groups=inner, bias=False)
        self.scan_proj = nn.Linear(inner, sum(self.sections), bias=False)
        self.step_proj = nn.Linear(rank, inner)
        self.log_rates = nn.Parameter(torch.empty(inner, STATES))
        self.skip = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(dim, dim, bias=False)
        self.reset_scan()

    def reset_scan(self) -> None:
        """Rates 1 .. N, and step sizes whose logarithms are uniform in STEP_RANGE, as Mamba."""
        bound = self.step_proj.in_features**-0.5
        nn.init.uniform_(self.step_proj.weight, -bound, bound)
        with torch.no_grad():
            low, high = STEP_RANGE
            step = torch.empty_like(self.step_proj.bias).uniform_(log(low), log(high)).exp()
            self.step_proj.bias.copy_(step + torch.log(-torch.expm1(-step)))  # softplus undone
            states = torch.arange(1, STATES + 1, device=step.device)
            self.log_rates.copy_(states.log().expand_as(self.log_rates))

    def forward(self, x: Tensor) -> Tensor:
        windows = to_windows(self.in_proj(x), self.window_size)  # (B * windows, L, C)
        u, z = windows.transpose(1, 2).chunk(2, 1)  # (B * windows, D, L)
        u, z = (
            F.silu(conv(t)).transpose(1, 2) for conv, t in ((self.conv_x, u), (self.conv_z, z))
        )
        step, b, c = self.scan_proj(u).split(self.sections, dim=2)
        step = F.softplus(bias_of(self.step_proj, step) + self.step_proj(step))
        y = selective_scan(u, step, -self.log_rates.exp(), b, c) + self.skip * u
        out = self.out_proj(torch.cat([y.to(z.dtype), z], 2))
        return from_windows(out, self.window_size, (x.shape[1], x.shape[2]))


class WindowStage(nn.Module):
    """A stage that fills its map up to whole windows once, and keeps that through its blocks.

    Shape: (B, H_in, W_in, C_in) -> (B, H, W, C), what was filled up cut off again.
    """

    def __init__(self, embed: nn.Module, blocks: Sequence[PreNormBlock], window_size: int) -> None:
        super().__init__()
        self.embed, self.window_size = embed, window_size
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, with_cp: bool = False) -> Tensor:
        x = self.embed(x)
        height, width = x.shape[1:3]
        x = pad_to_multiple(x, self.window_size)
        for block in self.blocks:
            x = run(block, x, with_cp=with_cp)
        return x[:, :height, :width]


def stem(in_channels: int, middle: int, dim: int) -> MapSequential:
    """Two 3x3 convolutions of stride 2 with batch norms and ReLUs."""
    layers: list[nn.Module] = []
    for before, after in ((in_channels, middle), (middle, dim)):
        conv = nn.Conv2d(before, after, 3, 2, 1, bias=False)
        layers += [conv, nn.BatchNorm2d(after, eps=1e-4), nn.ReLU()]
    return MapSequential(*layers)


@MODELS.register_module()
class MambaVision(StagedBackbone):
    """MambaVision, plain or with FDAM. The default is MambaVision-T.

    MambaVision-S has ``embed_dims=(96, 192, 384, 768)``, ``depths=(3, 3, 7, 5)``,
    ``stem_channels=64`` and, for ADE20K, ``window_sizes=(160, 56)``; MambaVision-B
    ``embed_dims=(128, 256, 512, 1024)``, ``depths=(3, 3, 10, 5)``, ``stem_channels=64`` and
    ``layer_scale_init=1e-5``. The authors' files load too, see
    :mod:`fdam_mm.checkpoints.sources.mambavision`.

    AttInv acts in the attention within windows; the scans are no averages and have none. FreqScale
    acts in the stages with windows, on the map with what was filled up.

    Args:
        in_channels: Channels of the input.
        stem_channels: Channels between the stem's convolutions.
        embed_dims: Channels of each of the four stages.
        depths: Blocks of each stage: convolutions in the first two; in the others scans, and
            attention in the latter half (rounded down).
        num_heads: Attention heads of each stage; the first two are not used.
        window_sizes: Side of the windows of the last two stages.
        mlp_ratio: Hidden channels of the MLP over a stage's channels.
        layer_scale_init: Start value of LayerScale in the last two stages; None leaves it out.
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
        stem_channels: int = 32,
        embed_dims: Sequence[int] = (80, 160, 320, 640),
        depths: Sequence[int] = (1, 3, 8, 4),
        num_heads: Sequence[int] = (2, 4, 8, 16),
        window_sizes: Sequence[int] = (64, 32),
        mlp_ratio: float = 4.0,
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
        super().__init__(
            per_stage, in_channels, drop_path_rate, out_indices, frozen_stages, with_cp,
            pretrained, init_cfg, foreign, MAMBAVISION,
        )  # fmt: skip
        check_per_stage(window_sizes=window_sizes)
        if len(depths) != 4 or len(window_sizes) != 2:
            raise ConfigError(
                f"depths is {depths!r} and window_sizes {window_sizes!r}, expected one value for "
                "each of four stages, and for each of the last two"
            )
        check_heads(embed_dims[2:], num_heads[2:])
        check_counts(stem_channels=stem_channels)
        check_positive(mlp_ratio=mlp_ratio)
        check_number_or_none(layer_scale_init=layer_scale_init)
        att_inv, freq_scale = parse_fdam(fdam)

        def block(stage: int, index: int, drop_path: float) -> nn.Module:
            dim = embed_dims[stage]
            if stage < 2:
                return ConvBlock(dim, drop_path)
            mixer: nn.Module = Mixer(dim, window_sizes[stage - 2])
            if index >= ceil(depths[stage] / 2):
                mixer = WindowAttention(dim, num_heads[stage], window_sizes[stage - 2], **att_inv)
            return PreNormBlock(dim, mixer, mlp_ratio, drop_path, layer_scale_init, freq_scale)

        embed = stem(in_channels, stem_channels, embed_dims[0])
        for stage, rates in enumerate(linear_ramp(drop_path_rate, depths)):
            if stage:
                embed = MapSequential(
                    nn.Conv2d(embed_dims[stage - 1], embed_dims[stage], 3, 2, 1, bias=False)
                )
            blocks = [block(stage, index, rate) for index, rate in enumerate(rates)]
            self.stages.append(
                Stage(embed, blocks)
                if stage < 2
                else WindowStage(embed, blocks, window_sizes[stage - 2])
            )
        self._norm_outputs(embed_dims)
        reset_linears(self)
        for module in self.modules():
            if isinstance(module, Mixer):
                module.reset_scan()
        self._freeze()
