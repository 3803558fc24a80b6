"""VMamba, a backbone of selective scans in four directions (arXiv 2401.10166), plain or with FDAM.

Written from the paper and the facts of the authors' dense model (forward type ``v05_noz``).
Legend of the shape comments: B batch, H x W grid of a stage, L = H * W tokens, C channels, D
channels of the scan, N states of each, R rank of the step sizes.
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
from fdam_mm.layers import AttInv
from fdam_mm.layers.autocast import at_least_float32, float32_island
from fdam_mm.layers.selective_scan import selective_scan
from fdam_mm.models.fdam_cfg import parse_fdam

from .arguments import check_counts, check_flags, check_positive
from .foreign_words import VMAMBA
from .mlp import Mlp
from .staged import (
    StagedBackbone,
    channels_first,
    channels_last,
    check_even_start,
    make_freq_scale,
    scaled,
)
from .stages import gate_heads, reset_linears

DIRECTIONS = 4  # along rows, along columns, and both from the end
STEP_RANGE = (1e-3, 1e-1)  # where the step sizes start


class PatchEmbed(nn.Module):
    """Two 3x3 convolutions of stride 2, each with a LayerNorm, a GELU between.

    Shape: (B, height, width, in_channels) -> (B, H, W, C), H = ceil(height / 4).
    """

    def __init__(self, in_channels: int, dim: int) -> None:
        super().__init__()
        self.proj1 = nn.Conv2d(in_channels, dim // 2, 3, 2, 1)
        self.norm1 = nn.LayerNorm(dim // 2)
        self.act = nn.GELU()
        self.proj2 = nn.Conv2d(dim // 2, dim, 3, 2, 1)
        self.norm2 = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm1(channels_last(self.proj1(channels_first(x)))))
        return self.norm2(channels_last(self.proj2(channels_first(x))))


class Downsample(nn.Module):
    """A 3x3 convolution of stride 2 and a LayerNorm: (B, H_in, W_in, C_in) -> (B, H, W, C)."""

    def __init__(self, in_channels: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, dim, 3, 2, 1)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(channels_last(self.proj(channels_first(x))))


class SelectiveScan2d(nn.Module):
    """Four selective scans of a map, added up, with an analogue of Attention Inversion.

    ::

        s = proj_in(x);  u = SiLU(conv(s));  y = sum of the scans of u + skip * u
        out = proj_out(norm(4 AttInv(s, u, y / 4)))

    A scan is no average: its weights over the tokens do not sum to 1, so ``u - y / 4`` is not
    exactly a high-pass filter. AttInv is our reading here, and no one has measured it.

    Args:
        dim: Channels C.
        ssm_ratio: Channels D of the scan over C.
        d_state: States N of each channel.
        dt_rank: Rank R of the step sizes; ``"auto"`` is C / 16, rounded up.
        conv_size: Side of the depth-wise convolution before the scan.
        conv_bias: Its bias.
        att_inv: Arguments of :class:`fdam_mm.layers.AttInv`; a "head" is 32 channels, or as many
            as divide both 32 and D.

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(
        self,
        dim: int,
        ssm_ratio: float,
        d_state: int,
        dt_rank: int | str,
        conv_size: int,
        conv_bias: bool,
        **att_inv: Any,
    ) -> None:
        super().__init__()
        inner = int(dim * ssm_ratio)
        rank = ceil(dim / 16) if dt_rank == "auto" else int(dt_rank)
        self.sections = [rank, d_state, d_state]  # step sizes, input and output of the states
        self.in_proj = nn.Linear(dim, inner, bias=False)
        self.conv = nn.Conv2d(
            inner, inner, conv_size, padding=conv_size // 2, groups=inner, bias=conv_bias
        )
        self.scan_proj = nn.Parameter(torch.empty(DIRECTIONS, sum(self.sections), inner))
        self.step_proj = nn.Parameter(torch.empty(DIRECTIONS, inner, rank))
        self.step_bias = nn.Parameter(torch.empty(DIRECTIONS, inner))
        self.log_rates = nn.Parameter(torch.empty(DIRECTIONS * inner, d_state))
        self.skip = nn.Parameter(torch.ones(DIRECTIONS * inner))
        self.att_inv = AttInv(inner, gate_heads(inner), **att_inv)
        self.norm = nn.LayerNorm(inner)
        self.out_proj = nn.Linear(inner, dim, bias=False)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Rates 1 .. N, and step sizes whose logarithms are uniform in STEP_RANGE, as Mamba."""
        bound = self.scan_proj.shape[-1] ** -0.5
        nn.init.uniform_(self.scan_proj, -bound, bound)
        bound = self.step_proj.shape[-1] ** -0.5
        nn.init.uniform_(self.step_proj, -bound, bound)
        with torch.no_grad():
            low, high = STEP_RANGE
            step = torch.empty_like(self.step_bias).uniform_(log(low), log(high)).exp()
            self.step_bias.copy_(step + torch.log(-torch.expm1(-step)))  # softplus undone
            states = torch.arange(1, self.log_rates.shape[1] + 1, device=step.device)
            self.log_rates.copy_(states.log().expand_as(self.log_rates))

    def forward(self, x: Tensor) -> Tensor:
        s = self.in_proj(x)
        u = F.silu(channels_last(self.conv(channels_first(s))))  # (B, H, W, D)
        y = self._scan(u)
        if self.att_inv.low or self.att_inv.high:
            y = DIRECTIONS * self.att_inv(s, u, y / DIRECTIONS)
        return self.out_proj(self.norm(y).to(x.dtype))

    def _scan(self, u: Tensor) -> Tensor:
        """The sum of the four scans: (B, H, W, D) -> the same, in float32 as the authors' code."""
        with float32_island(u):
            u = at_least_float32(u)
            orders = torch.stack([u.flatten(1, 2), u.transpose(1, 2).flatten(1, 2)], 1)
            forth, back = (self._scan_pair(orders, reverse) for reverse in (False, True))
            rows, columns = (forth + back).unbind(1)  # (B, L, D)
            skip = self.skip.view(DIRECTIONS, -1).sum(0)
            columns = columns.unflatten(1, (u.shape[2], u.shape[1])).transpose(1, 2)
            return rows.view_as(u) + columns + skip * u

    def _scan_pair(self, u: Tensor, reverse: bool) -> Tensor:
        """Rows and columns, (B, 2, L, D) -> the same; directions 0 and 1, or 2 and 3 reversed."""
        which = slice(2, 4) if reverse else slice(0, 2)
        projected = u @ self.scan_proj[which].transpose(1, 2)  # (B, 2, L, R + 2N)
        step, b, c = projected.split(self.sections, dim=-1)
        step = step @ self.step_proj[which].transpose(1, 2)  # (B, 2, L, D)
        step = F.softplus(step + self.step_bias[which].unsqueeze(1))
        rates = -self.log_rates.unflatten(0, (DIRECTIONS, -1))[which].exp()  # (2, D, N)
        return selective_scan(u, step, rates, b, c, reverse)


class Block(nn.Module):
    """VMamba's block; FreqScale acts on what each sub-layer adds, before drop-path.

    ::

        a = op(norm(x));    x = x + drop_path(a + FreqScale_1(a))
        m = mlp(norm2(x));  x = x + drop_path(m + FreqScale_2(m))

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(
        self,
        dim: int,
        mlp_ratio: float,
        drop_path: float,
        scan: Mapping[str, Any],
        freq_scale: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.op = SelectiveScan2d(dim, **scan)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.drop_path = DropPath(drop_path)
        self.freq_scale_1 = make_freq_scale(dim, freq_scale)
        self.freq_scale_2 = make_freq_scale(dim, freq_scale)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(scaled(self.op(self.norm(x)), self.freq_scale_1))
        return x + self.drop_path(scaled(self.mlp(self.norm2(x)), self.freq_scale_2))


@MODELS.register_module()
class VMamba(StagedBackbone):
    """VMamba, plain or with FDAM. The default is VMamba-T of the released ``s1l8`` kind.

    -S and -B of the released ``s2l15`` kind have ``ssm_ratio=2``, ``depths=(2, 2, 15, 2)`` and 96
    or 128 first channels. The authors' files load too, see
    :mod:`fdam_mm.checkpoints.sources.vmamba`.

    Args:
        in_channels: Channels of the input.
        embed_dims: Channels of each stage.
        depths: Blocks of each stage.
        ssm_ratio: Channels of the scan over a stage's channels.
        d_state: States of each channel of the scan.
        dt_rank: Rank of the scan's step sizes; ``"auto"`` is a sixteenth of the channels.
        conv_size: Side of the depth-wise convolution before the scan, odd.
        conv_bias: Its bias.
        mlp_ratio: Hidden channels of the MLP over a stage's channels.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0.
        out_indices: Stages whose normed output is returned, ascending from 0; -1 is the last.
        frozen_stages: This many first stages do not learn, FDAM's layers in them neither; -1 and 0
            freeze none.
        with_cp: Activation checkpointing of every block: less memory, a second forward.
        fdam: None, or ``dict(freq_scale=True)``: see
            :func:`fdam_mm.models.fdam_cfg.parse_fdam`. ``att_inv=True`` adds the analogue of
            :class:`SelectiveScan2d`.
        pretrained: Deprecated: give ``init_cfg``.
        init_cfg: ``dict(type="Pretrained", checkpoint=...)`` to start from a file.
        **foreign: Further arguments of the authors' class, at the values that mean what this one
            does (:mod:`.foreign_words`).

    Shape: (B, in_channels, height, width) -> a tuple of (B, C_i, H_i, W_i), one per
    ``out_indices``, with H_i = ceil(height / 4 / 2**i).

    Raises:
        ConfigError: An argument of another type, range or length than it needs, or one that does
            not exist.
        ValueError: A stage or a setting of ``fdam`` that does not exist, or stages that do not
            ascend.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: Sequence[int] = (96, 192, 384, 768),
        depths: Sequence[int] = (2, 2, 8, 2),
        ssm_ratio: float = 1.0,
        d_state: int = 1,
        dt_rank: int | str = "auto",
        conv_size: int = 3,
        conv_bias: bool = False,
        mlp_ratio: float = 4.0,
        drop_path_rate: float = 0.0,
        out_indices: int | Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        with_cp: bool = False,
        fdam: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
        init_cfg: Mapping[str, Any] | None = None,
        **foreign: Any,
    ) -> None:
        per_stage = dict(embed_dims=embed_dims, depths=depths)
        super().__init__(
            per_stage, in_channels, drop_path_rate, out_indices, frozen_stages, with_cp,
            pretrained, init_cfg, foreign, VMAMBA,
        )  # fmt: skip
        check_positive(ssm_ratio=ssm_ratio, mlp_ratio=mlp_ratio)
        check_counts(d_state=d_state, conv_size=conv_size)
        check_flags(conv_bias=conv_bias)
        if dt_rank != "auto":
            check_counts(dt_rank=dt_rank)
        if conv_size % 2 == 0:
            raise ConfigError(f"conv_size is {conv_size}, expected an odd number")
        check_even_start(embed_dims)
        att_inv, freq_scale = parse_fdam(fdam)
        scan = dict(
            ssm_ratio=ssm_ratio,
            d_state=d_state,
            dt_rank=dt_rank,
            conv_size=conv_size,
            conv_bias=conv_bias,
            **att_inv,
        )

        def embed(stage: int) -> nn.Module:
            if stage:
                return Downsample(embed_dims[stage - 1], embed_dims[stage])
            return PatchEmbed(in_channels, embed_dims[0])

        def block(stage: int, _: int, drop_path: float) -> Block:
            return Block(embed_dims[stage], mlp_ratio, drop_path, scan, freq_scale)

        self._add_stages(depths, drop_path_rate, embed, block)
        self._norm_outputs(embed_dims)
        reset_linears(self)
        self._freeze()
