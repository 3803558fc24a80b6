"""SOFT, a vision transformer of Gaussian kernels in the place of softmax, plain or with FDAM.

Written from the papers (arXiv 2110.11945, 2207.03341) and the facts of the authors' classifier.
Legend of the shape comments: B batch, H x W grid of a stage, N = H * W tokens, n landmarks,
C channels, h heads, d = C / h channels of a head.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.cnn.bricks import DropPath
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm.layers import AttInv
from fdam_mm.layers.autocast import at_least_float32, float32_island
from fdam_mm.models.fdam_cfg import parse_fdam

from . import vit
from .arguments import GELU, check_counts, check_flags, check_positive
from .checkpointing import run
from .foreign_words import SOFT as WORDS
from .mlp import Mlp
from .position import resize_position
from .staged import (
    MapSequential,
    Stage,
    StagedBackbone,
    check_four,
    check_heads,
    make_freq_scale,
    scaled,
)
from .stages import linear_ramp, reset_linears

STEM_CHANNELS = 32
MLP_RATIO = 4  # of the blocks with kernels
RATIOS = (8, 4, 2)  # side of the squares that a landmark sums up, in the stages with kernels
CONV_SIZES = (9, 5, 3)  # side of the convolution on the values there
POSITION_MODE = "bilinear"
LAYER_NORM = dict(type="LN", eps=1e-6)  # of the stage with softmax


def gaussian(q: Tensor, k: Tensor) -> Tensor:
    """exp(-|q_i - k_j|² / 2): (..., N, d) and (..., n, d) -> (..., N, n)."""
    squares = q.square().sum(-1, keepdim=True) + k.square().sum(-1).unsqueeze(-2)
    return (-0.5 * (squares - 2 * q @ k.transpose(-2, -1))).exp()


def normalized_inverse(kernel: Tensor, iterations: int) -> Tensor:
    """Newton's approximate inverse of ``kernel``, between the roots of the inverse row sums.

    The iteration starts from a multiple of ``kernel``, one for the whole batch and all heads, so
    that a picture's result depends on what it is batched with. It is halved up to ten times until
    the first residual is small, and has not converged at the end: both are the authors'.

    Args:
        kernel: (B, h, n, n), symmetric, positive.
        iterations: Newton steps.
    """
    with torch.no_grad():
        halvings = _halvings(kernel)
    start = 2 * 0.5**halvings / kernel.sum(-1).max().square()
    inverse = _newton(kernel, start * kernel, iterations)
    root = kernel.sum(-1, keepdim=True).rsqrt()
    return root * inverse * root.transpose(-2, -1)


def _halvings(kernel: Tensor) -> Tensor:
    """How often the start is halved until |I - kernel * start| (largest column sum) <= 1.01."""
    square = kernel @ kernel * (2 / kernel.sum(-1).max().square())
    eye = torch.eye(kernel.shape[-1], dtype=kernel.dtype, device=kernel.device)
    norms = [(eye - 0.5**k * square).abs().sum(-2).max() for k in range(10)]
    small = torch.stack([*norms, torch.zeros_like(norms[0])]) <= 1.01  # the last try is taken
    return small.to(torch.uint8).argmax()


def regularized_inverse(kernel: Tensor, iterations: int) -> Tensor:
    """Newton's approximate inverse of ``kernel`` + 0.01 I, with the gradient of an exact inverse.

    Args:
        kernel: (B, h, n, n), symmetric, positive.
        iterations: Newton steps.
    """
    with torch.no_grad():
        start = 1.8 / kernel.sum(-1, keepdim=True).amax(-2, keepdim=True).square()
        eye = torch.eye(kernel.shape[-1], dtype=kernel.dtype, device=kernel.device)
        matrix = kernel + 0.01 * eye
        inverse = _newton(matrix, start * matrix, iterations)
    return inverse - inverse @ (kernel - kernel.detach()) @ inverse


def _newton(matrix: Tensor, inverse: Tensor, iterations: int) -> Tensor:
    for _ in range(iterations):
        inverse = 2 * inverse - inverse @ matrix @ inverse
    return inverse


class SoftmaxFreeAttention(nn.Module):
    """Attention by a Gaussian kernel of low rank, with Attention Inversion.

    With q, landmarks l = GELU(norm(conv(q))) and v, per head::

        y   = k(q, l) k(l, l)⁻¹ k(l, q) v           k: :func:`gaussian`
        out = ff(AttInv(x, v, y) + dwconv(v))       one kernel of dwconv per head

    It is computed in float32 also under autocast. The rows of the kernel are no averages, so
    AttInv is our reading, and no one has measured it.

    Args:
        dim: Channels C.
        num_heads: Heads h.
        ratio: Side of the squares that a landmark sums up; a rest at the right and at the bottom
            is left out.
        conv_size: Side of the convolution on the values.
        normalized: Which inverse: :func:`normalized_inverse` or :func:`regularized_inverse`.
        newton_iterations: Newton steps of the inverse.
        att_inv: Arguments of :class:`fdam_mm.layers.AttInv`.

    Shape: (B, H, W, C) -> the same; H and W at least ``ratio``.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        ratio: int,
        conv_size: int,
        normalized: bool,
        newton_iterations: int,
        **att_inv: Any,
    ) -> None:
        super().__init__()
        self.num_heads, self.newton_iterations = num_heads, newton_iterations
        self.inverse = normalized_inverse if normalized else regularized_inverse
        head_dim = dim // num_heads
        self.q = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.landmarks = nn.Conv2d(head_dim, head_dim, ratio, ratio, bias=False)
        self.landmark_norm = nn.LayerNorm(head_dim)
        self.conv = nn.Conv2d(
            num_heads, num_heads, conv_size, padding=conv_size // 2, groups=num_heads, bias=False
        )
        self.att_inv = AttInv(dim, num_heads, **att_inv)
        self.ff = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, v = self.q(x), self.v(x)
        y = self.att_inv(x, v, self._attend(q, v).to(v.dtype).view_as(v))
        return self.ff(y + self._convolve(v))

    def _attend(self, q: Tensor, v: Tensor) -> Tensor:
        """(B, H, W, C) twice -> (B, N, C)."""
        q = q * (q.shape[-1] // self.num_heads) ** -0.25
        landmarks = self._summarize(q)
        q, v = (t.flatten(1, 2).transpose(1, 2) for t in (self._split(q), self._split(v)))
        with float32_island(q):
            q, v, landmarks = (at_least_float32(t) for t in (q, v, landmarks))
            inverse = self.inverse(gaussian(landmarks, landmarks), self.newton_iterations)
            kernel = gaussian(q, landmarks)  # (B, h, N, n)
            y = kernel @ (inverse @ (kernel.transpose(2, 3) @ v))
        return y.transpose(1, 2).flatten(2)

    def _summarize(self, q: Tensor) -> Tensor:
        """Landmarks of (B, H, W, C): (B, h, n, d)."""
        maps = self._split(q).permute(0, 3, 4, 1, 2).flatten(0, 1)  # (B * h, d, H, W)
        landmarks = self.landmark_norm(self.landmarks(maps).flatten(2).transpose(1, 2))
        return F.gelu(landmarks).unflatten(0, (-1, self.num_heads))

    def _convolve(self, v: Tensor) -> Tensor:
        """Each head's kernel on all its channels: (B, H, W, C) -> the same."""
        maps = self._split(v).permute(0, 4, 3, 1, 2).flatten(0, 1)  # (B * d, h, H, W)
        maps = self.conv(maps).unflatten(0, (-1, v.shape[3] // self.num_heads))
        return maps.permute(0, 3, 4, 2, 1).flatten(3)

    def _split(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, h, d)."""
        return x.unflatten(3, (self.num_heads, -1))


class Block(nn.Module):
    """Attention by kernels and an MLP, each with a norm behind the residual.

    ::

        a = attn(x);  x = norm1(x + drop_path(a + FreqScale_1(a)))
        m = mlp(x);   x = norm2(x + drop_path(m + FreqScale_2(m)))

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(
        self,
        dim: int,
        attn: SoftmaxFreeAttention,
        drop_path: float,
        freq_scale: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.attn = attn
        self.norm1 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, MLP_RATIO * dim, nn.GELU("tanh"))
        self.norm2 = nn.LayerNorm(dim)
        self.drop_path = DropPath(drop_path)
        self.freq_scale_1 = make_freq_scale(dim, freq_scale)
        self.freq_scale_2 = make_freq_scale(dim, freq_scale)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.drop_path(scaled(self.attn(x), self.freq_scale_1)))
        return self.norm2(x + self.drop_path(scaled(self.mlp(x), self.freq_scale_2)))


def convolutions(in_channels: int, *layers: tuple[int, int]) -> MapSequential:
    """3x3 convolutions (channels, stride), each with batch norm and ReLU."""
    modules: list[nn.Module] = []
    for dim, stride in layers:
        modules += [nn.Conv2d(in_channels, dim, 3, stride, 1), nn.BatchNorm2d(dim), nn.ReLU()]
        in_channels = dim
    return MapSequential(*modules)


class PatchEmbed(nn.Module):
    """Convolutions, and a position that is resized to the grid at hand.

    Shape: (B, H_in, W_in, C_in) -> (B, H, W, C).
    """

    def __init__(self, proj: MapSequential, dim: int, side: int) -> None:
        super().__init__()
        self.proj, self.side = proj, side
        self.pos_embed = nn.Parameter(torch.empty(1, side * side, dim))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        x = self.proj(x)
        hw = (x.shape[1], x.shape[2])
        position = resize_position(self.pos_embed, (self.side, self.side), hw, POSITION_MODE)
        return x + position.unflatten(1, hw)


class SoftmaxStage(nn.Module):
    """The last stage: pre-norm blocks with softmax over all tokens and a class token, and a norm.

    The class token is the classifier's; a dense model keeps it as a token to attend to, so that
    the pretrained weights see what they were trained on. It stays out of the map.

    Shape: (B, H_in, W_in, C_in) -> (B, H, W, C).
    """

    def __init__(
        self, proj: MapSequential, dim: int, side: int, blocks: Sequence[vit.Block]
    ) -> None:
        super().__init__()
        self.proj, self.side = proj, side
        self.cls_token = nn.Parameter(torch.empty(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + side * side, dim))
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        for parameter in (self.cls_token, self.pos_embed):
            nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, x: Tensor, with_cp: bool = False) -> Tensor:
        x = self.proj(x)
        hw = (x.shape[1], x.shape[2])
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x.flatten(1, 2)], 1)
        x = x + resize_position(self.pos_embed, (self.side, self.side), hw, POSITION_MODE)
        for block in self.blocks:
            x = run(block, x, hw, with_cp=with_cp)
        return self.norm(x)[:, 1:].unflatten(1, hw)


@MODELS.register_module()
class SOFT(StagedBackbone):
    """SOFT, plain or with FDAM. The default is SOFT-T.

    SOFT-S has ``depths=(1, 3, 20, 4)``; SOFT-M ``depths=(1, 3, 29, 5)``,
    ``embed_dims=(64, 128, 288, 512)`` and ``num_heads=(2, 4, 9, 16)``. The authors' files load
    too, see :mod:`fdam_mm.checkpoints.sources.soft`; no dense model of theirs is public.

    Args:
        img_size: Side of the square pictures in pixels that the positions stand for.
        in_channels: Channels of the input.
        embed_dims: Channels of each of the four stages.
        depths: Blocks of each stage.
        num_heads: Attention heads of each stage.
        mlp_ratio: Hidden channels of the last stage's MLPs over its channels; it is 4 in the
            others.
        normalized: Which kernels, see :class:`SoftmaxFreeAttention`; the authors' dense results
            are with True.
        newton_iterations: Newton steps of the inverse.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0. (The
            authors' blocks with kernels drop single values at this rate in the place of branches.)
        out_indices: Stages whose output is returned, ascending from 0; -1 is the last.
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
        embed_dims: Sequence[int] = (64, 128, 320, 512),
        depths: Sequence[int] = (1, 2, 3, 2),
        num_heads: Sequence[int] = (2, 4, 10, 16),
        mlp_ratio: float = 4,
        normalized: bool = True,
        newton_iterations: int = 20,
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
            pretrained, init_cfg, foreign, WORDS,
        )  # fmt: skip
        check_four(depths)
        check_heads(embed_dims, num_heads)
        check_counts(least=32, img_size=img_size)
        check_counts(newton_iterations=newton_iterations)
        check_positive(mlp_ratio=mlp_ratio)
        check_flags(normalized=normalized)
        att_inv, freq_scale = parse_fdam(fdam)

        def kernel_block(stage: int, drop_path: float) -> Block:
            options = (embed_dims[stage], num_heads[stage], RATIOS[stage], CONV_SIZES[stage])
            attn = SoftmaxFreeAttention(*options, normalized, newton_iterations, **att_inv)
            return Block(embed_dims[stage], attn, drop_path, freq_scale)

        def softmax_block(drop_path: float) -> vit.Block:
            return vit.Block(
                embed_dims[-1],
                num_heads[-1],
                mlp_ratio,
                qkv_bias=True,
                drop=0.0,
                attn_drop=0.0,
                drop_path=drop_path,
                layer_scale_init=None,
                act_cfg=GELU,
                norm_cfg=LAYER_NORM,
                att_inv=att_inv,
                freq_scale=freq_scale,
            )

        *rates, last_rates = linear_ramp(drop_path_rate, depths)
        sides = [img_size // 4 // 2**stage for stage in range(4)]
        proj = convolutions(
            in_channels, (STEM_CHANNELS, 2), (STEM_CHANNELS, 1), (embed_dims[0], 2)
        )
        for stage, dim in enumerate(embed_dims[:3]):
            blocks = [kernel_block(stage, rate) for rate in rates[stage]]
            self.stages.append(Stage(PatchEmbed(proj, dim, sides[stage]), blocks))
            proj = convolutions(dim, (embed_dims[stage + 1], 2))
        blocks = [softmax_block(rate) for rate in last_rates]
        self.stages.append(SoftmaxStage(proj, embed_dims[3], sides[3], blocks))
        reset_linears(self)
        self._freeze()
