"""AttNet, convolutions whose kernels each picture makes for itself, plain or with FDAM.

Written from the paper (arXiv 2510.20092) and the facts of the authors' classifier.
Legend of the shape comments: B batch, H x W grid of a stage, C channels, k side of a kernel.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm.errors import ConfigError
from fdam_mm.layers import AttInv
from fdam_mm.layers.fused import is_exporting
from fdam_mm.models.fdam_cfg import parse_fdam

from .arguments import check_flags, check_number_or_none, check_ratios
from .foreign_words import ATTNET
from .pre_norm import BranchesBlock
from .staged import (
    MapSequential,
    StagedBackbone,
    channels_first,
    channels_last,
)
from .stages import gate_heads, reset_linears

EPS = 1e-6  # of the norms within blocks


def strided(in_channels: int, dim: int) -> list[nn.Module]:
    """3x3 convolution of stride 2, batch norm."""
    return [nn.Conv2d(in_channels, dim, 3, 2, 1, bias=False), nn.BatchNorm2d(dim)]


def dynamic_depthwise(x: Tensor, kernels: Tensor) -> Tensor:
    """Depth-wise convolution with a kernel per picture and channel; zeros around the map.

    Args:
        x: (B, C, H, W).
        kernels: (B, C, k, k), k odd.

    Returns:
        (B, C, H, W).
    """
    if is_exporting():  # groups would fix the batch
        return _by_shifts(x, kernels)
    groups = x.shape[0] * x.shape[1]
    kernels = kernels.to(x.dtype).reshape(groups, 1, *kernels.shape[2:])
    out = F.conv2d(
        x.reshape(1, groups, *x.shape[2:]), kernels, padding=kernels.shape[2] // 2, groups=groups
    )
    return out.view_as(x)


def _by_shifts(x: Tensor, kernels: Tensor) -> Tensor:
    """The definition: a sum of shifted maps."""
    side, (height, width) = kernels.shape[2], x.shape[2:]
    padded = F.pad(x, (side // 2,) * 4)
    return sum(
        padded[:, :, i : i + height, j : j + width] * kernels[:, :, i : i + 1, j : j + 1]
        for i, j in product(range(side), range(side))
    )


class AttentiveConv(nn.Module):
    """Depth-wise convolution with kernels made from the map, with an analogue of AttInv.

    ::

        pooled = k * k means over equal parts of the map's row-major positions
        kernel = linear(GELU(proj_kernel(pooled)))          per picture and channel
        kernel = kernel - sigmoid(inhibition) * mean(kernel)
        out    = proj(AttInv(x, v, kernel * v)),            v = proj_x(x)

    There is no softmax here and a kernel's sum is no constant, so AttInv is our reading, and no
    one has measured it: ``v - y`` is what the convolution takes away.

    Args:
        dim: Channels C.
        kernel_size: Side of the kernels, odd.
        att_inv: Arguments of :class:`fdam_mm.layers.AttInv`.

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(self, dim: int, kernel_size: int, **att_inv: Any) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.kernel_proj = nn.Linear(dim, dim)
        self.kernel_gen = nn.Linear(kernel_size**2, kernel_size**2)
        self.inhibition = nn.Parameter(torch.zeros(dim))
        self.x_proj = nn.Linear(dim, dim)
        self.att_inv = AttInv(dim, gate_heads(dim), **att_inv)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        v = self.x_proj(x)
        y = channels_last(dynamic_depthwise(channels_first(v), self.kernels(x)))
        return self.proj(self.att_inv(x, v, y))

    def kernels(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, C, k, k)."""
        tokens = x.flatten(1, 2).transpose(1, 2)  # (B, C, H * W)
        pooled = F.adaptive_avg_pool1d(tokens, self.kernel_size**2)  # before the linear: the same
        kernels = F.gelu(self.kernel_proj(pooled.transpose(1, 2))).transpose(1, 2)
        kernels = self.kernel_gen(kernels)  # (B, C, k * k)
        kernels = kernels - self.inhibition.sigmoid()[:, None] * kernels.mean(2, keepdim=True)
        return kernels.unflatten(2, (self.kernel_size, self.kernel_size))


class GatedMlp(nn.Module):
    """Gated linear unit with a 3x3 depth-wise convolution on its gate and an RMS norm.

    ::

        g, u = fc1(x);  out = fc2(norm(GELU(dwconv(g)) * u))

    Args:
        dim: Channels C.
        hidden: Channels of ``g`` and of ``u``.
        dwconv: False leaves the convolution out.
        norm: False leaves the norm out.

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(self, dim: int, hidden: int, dwconv: bool, norm: bool) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, 2 * hidden)
        self.dwconv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden) if dwconv else None
        self.norm = nn.RMSNorm(hidden, eps=EPS) if norm else None
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        gate, x = self.fc1(x).chunk(2, dim=-1)
        if self.dwconv is not None:
            gate = channels_last(self.dwconv(channels_first(gate)))
        x = F.gelu(gate) * x
        return self.fc2(x if self.norm is None else self.norm(x))


class Block(BranchesBlock):
    """AttNet's block; FreqScale acts on what each sub-layer adds, before LayerScale and drop-path.

    ::

        a = token_mixer(norm1(x));    x = x + drop_path(gamma_1 * (a + FreqScale_1(a)))
        m = channel_mixer(norm2(x));  x = x + drop_path(gamma_2 * (m + FreqScale_2(m)))

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(
        self,
        dim: int,
        token_mixer: AttentiveConv,
        channel_mixer: GatedMlp,
        drop_path: float,
        layer_scale_init: float | None,
        freq_scale: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        self.token_mixer = token_mixer
        self.norm2 = nn.LayerNorm(dim, eps=EPS)
        self.channel_mixer = channel_mixer
        self._make_branches(dim, drop_path, layer_scale_init, freq_scale)

    def forward(self, x: Tensor) -> Tensor:
        x = self._add_first(x, self.token_mixer(self.norm1(x)))
        return self._add_second(x, self.channel_mixer(self.norm2(x)))


@MODELS.register_module()
class AttNet(StagedBackbone):
    """AttNet, plain or with FDAM. The default is AttNet-T2.

    ====  ===================  =============  ========================================
    ..    ``embed_dims``       ``depths``     further
    ====  ===================  =============  ========================================
    XXS   32, 64, 128, 240     2, 2, 4, 2     no ``glu_norm``, ``layer_scale_init=None``
    XS    40, 80, 160, 320     2, 2, 7, 2     no ``glu_norm``
    S     40, 80, 160, 320     2, 3, 10, 3    no ``glu_norm``, ``layer_scale_init=None``
    T1    48, 96, 224, 384     2, 3, 12, 3
    T3    72, 144, 320, 576    4, 4, 26, 4
    T4    96, 192, 384, 768    5, 5, 28, 5
    ====  ===================  =============  ========================================

    FreqScale's groups must divide the channels: 8 for XXS to S and T3. The authors' files load
    too, see :mod:`fdam_mm.checkpoints.sources.attnet`; no dense model of theirs is public.

    Args:
        in_channels: Channels of the input.
        embed_dims: Channels of each stage.
        depths: Blocks of each stage.
        mlp_ratios: Of each stage: the gated MLP has 2/3 of so many times its channels, twice.
        kernel_sizes: Side of each stage's kernels, odd.
        glu_dwconv: Whether each stage's gated MLPs have a depth-wise convolution.
        glu_norm: Whether they have an RMS norm.
        layer_scale_init: Start value of LayerScale; None leaves LayerScale out.
        out_norm: A LayerNorm on each map.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0.
        out_indices: Stages whose output is returned, ascending from 0; -1 is the last.
        frozen_stages: This many first stages do not learn, FDAM's layers in them neither, and keep
            their running statistics; -1 and 0 freeze none.
        with_cp: Activation checkpointing of every block: less memory, a second forward.
        fdam: None, or ``dict(freq_scale=True)``: see
            :func:`fdam_mm.models.fdam_cfg.parse_fdam`. ``att_inv=True`` adds the analogue of
            :class:`AttentiveConv`.
        pretrained: Deprecated: give ``init_cfg``.
        init_cfg: ``dict(type="Pretrained", checkpoint=...)`` to start from a file.
        **foreign: Further arguments of the authors' class, at the values that mean what this one
            does (:mod:`.foreign_words`).

    Shape: (B, in_channels, height, width) -> a tuple of (B, C_i, H_i, W_i), one per
    ``out_indices``, with H_i = ceil(height / 4 / 2**i).

    Raises:
        ConfigError: An argument of another type, range or length than it needs, one that does not
            exist, or an even kernel.
        ValueError: A stage or a setting of ``fdam`` that does not exist, or stages that do not
            ascend.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: Sequence[int] = (64, 128, 288, 512),
        depths: Sequence[int] = (3, 3, 16, 3),
        mlp_ratios: Sequence[float] = (8, 8, 4, 4),
        kernel_sizes: Sequence[int] = (3, 3, 3, 3),
        glu_dwconv: Sequence[bool] = (True, True, True, True),
        glu_norm: Sequence[bool] = (True, True, True, True),
        layer_scale_init: float | None = 1e-6,
        out_norm: bool = False,
        drop_path_rate: float = 0.0,
        out_indices: int | Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        with_cp: bool = False,
        fdam: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
        init_cfg: Mapping[str, Any] | None = None,
        **foreign: Any,
    ) -> None:
        per_stage = dict(embed_dims=embed_dims, depths=depths, kernel_sizes=kernel_sizes)
        further = dict(mlp_ratios=mlp_ratios, glu_dwconv=glu_dwconv, glu_norm=glu_norm)
        super().__init__(
            per_stage, in_channels, drop_path_rate, out_indices, frozen_stages, with_cp,
            pretrained, init_cfg, foreign, ATTNET, further,
        )  # fmt: skip
        check_ratios(mlp_ratios=mlp_ratios)
        check_flags(out_norm=out_norm)
        for dwconv, norm in zip(glu_dwconv, glu_norm, strict=True):
            check_flags(glu_dwconv=dwconv, glu_norm=norm)
        check_number_or_none(layer_scale_init=layer_scale_init)
        if not all(size % 2 for size in kernel_sizes):
            raise ConfigError(f"kernel_sizes is {kernel_sizes!r}, expected odd numbers")
        att_inv, freq_scale = parse_fdam(fdam)

        def embed(stage: int) -> nn.Module:
            dim = embed_dims[stage]
            if stage:
                return MapSequential(*strided(embed_dims[stage - 1], dim))
            half = strided(in_channels, dim // 2)
            return MapSequential(*half, nn.GELU(), *strided(dim // 2, dim))

        def block(stage: int, _: int, drop_path: float) -> Block:
            dim = embed_dims[stage]
            hidden = int(2 * int(dim * mlp_ratios[stage]) / 3)
            return Block(
                dim,
                AttentiveConv(dim, kernel_sizes[stage], **att_inv),
                GatedMlp(dim, hidden, glu_dwconv[stage], glu_norm[stage]),
                drop_path,
                layer_scale_init,
                freq_scale,
            )

        self._add_stages(depths, drop_path_rate, embed, block)
        if out_norm:
            self._norm_outputs(embed_dims)
        _reset_convolutions(self)
        reset_linears(self)
        self._freeze()


def _reset_convolutions(module: nn.Module) -> None:
    """Truncated normal with std 0.02, zero biases, as the linears."""
    for conv in (m for m in module.modules() if isinstance(m, nn.Conv2d)):
        nn.init.trunc_normal_(conv.weight, std=0.02)
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
