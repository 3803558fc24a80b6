"""Plain vision transformer, DeiT or DeiT-III, with or without FDAM.

Legend of the shape comments: B batch, H x W grid of patches, N tokens, C channels.
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
from fdam_mm.layers import AttInvAttention, FreqScale
from fdam_mm.models.fdam_cfg import parse_fdam

from .arguments import (
    GELU,
    LAYER_NORM,
    activation,
    check_counts,
    check_flags,
    check_frozen_stages,
    check_numbers,
    check_positive,
    check_rates,
    norm_of_tokens,
    start_from,
    two_sides,
)
from .base import PretrainedBackbone
from .foreign_words import VISION_TRANSFORMER, refuse_foreign
from .position import MODES, adapt_position, resize_position, save_grid
from .residual import add_branch
from .stages import linear_ramp, stage_indices


class PatchEmbed(nn.Module):
    """Non-overlapping patches to tokens.

    Where they do not divide the input, ``pad`` adds zeros right and bottom to whole patches;
    without it what is left over there is not seen.
    """

    def __init__(self, in_channels: int, dim: int, patch_size: int, bias: bool, pad: bool) -> None:
        super().__init__()
        self.patch_size, self.pad = patch_size, pad
        self.proj = nn.Conv2d(in_channels, dim, patch_size, patch_size, bias=bias)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """(B, 3, height, width) -> tokens (B, N, C) and their grid (H, W)."""
        if self.pad:
            pad_h, pad_w = (-side % self.patch_size for side in x.shape[-2:])
            x = F.pad(x, (0, pad_w, 0, pad_h))
        x = self.proj(x)
        return x.flatten(2).transpose(1, 2), tuple(x.shape[-2:])


class Mlp(nn.Module):
    """Two linears with an activation between, and dropout after both."""

    def __init__(self, dim: int, hidden: int, act_cfg: Mapping[str, Any], drop: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = activation(act_cfg)
        self.fc2 = nn.Linear(hidden, dim)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.fc2(self.drop(self.act(self.fc1(x)))))


class Block(nn.Module):
    """Transformer block; FreqScale acts on what each sub-layer adds, before LayerScale.

    ::

        a = attn(norm1(x));  x = x + drop_path(gamma_1 * (a + FreqScale_1(a)))
        m = mlp(norm2(x));   x = x + drop_path(gamma_2 * (m + FreqScale_2(m)))
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float,
        qkv_bias: bool,
        drop: float,
        attn_drop: float,
        drop_path: float,
        layer_scale_init: float | None,
        act_cfg: Mapping[str, Any],
        norm_cfg: Mapping[str, Any],
        att_inv: Mapping[str, Any],
        freq_scale: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.norm1 = norm_of_tokens(norm_cfg, dim)
        self.attn = AttInvAttention(
            dim, num_heads, qkv_bias, attn_drop=attn_drop, proj_drop=drop, **att_inv
        )
        self.norm2 = norm_of_tokens(norm_cfg, dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), act_cfg, drop)
        self.drop_path = DropPath(drop_path)
        self.freq_scale_1 = None if freq_scale is None else FreqScale(dim, **freq_scale)
        self.freq_scale_2 = None if freq_scale is None else FreqScale(dim, **freq_scale)
        self.gamma_1 = self.gamma_2 = None
        if layer_scale_init is not None:
            self.gamma_1 = nn.Parameter(torch.full((dim,), layer_scale_init))
            self.gamma_2 = nn.Parameter(torch.full((dim,), layer_scale_init))

    def forward(self, x: Tensor, hw: tuple[int, int]) -> Tensor:
        """(B, N, C) -> (B, N, C); tokens before the last H * W are class tokens."""
        a, m = self.freq_scale_1, self.freq_scale_2
        x = add_branch(x, self.attn(self.norm1(x)), a, self.gamma_1, self.drop_path, hw)
        return add_branch(x, self.mlp(self.norm2(x)), m, self.gamma_2, self.drop_path, hw)


@MODELS.register_module()
class FDAMVisionTransformer(PretrainedBackbone):
    """DeiT (no LayerScale) or DeiT-III (``layer_scale_init=1e-4``), plain or with FDAM.

    With ``fdam=None`` it computes what mmseg's ``VisionTransformer`` does, and it takes that
    class's arguments (:mod:`.foreign_words` has those that change nothing here). Weights load from
    this class, from mmseg's, from the original DeiT and DeiT-III files, from timm and from the
    released FDAM models (:mod:`fdam_mm.checkpoints`). A position grid of another size is resized
    when weights are loaded, and to the grid of each input. One that is no square is saved beside
    the weights (``pos_grid``); a file without it is taken for square.

    Args:
        img_size: Height and width in pixels that the position grid stands for; one number is
            both.
        patch_size: Side of a patch in pixels.
        in_channels: Channels of the input.
        embed_dims: Channels C of a token.
        num_layers: Blocks.
        num_heads: Attention heads.
        mlp_ratio: Hidden channels of the MLP over C.
        qkv_bias: Bias on queries, keys and values.
        patch_bias: Bias on the patch embedding.
        out_indices: Blocks whose output is returned, ascending from 0; -1 is the last.
        drop_rate: Dropout after the position, after the attention and in the MLP.
        attn_drop_rate: Dropout on the attention matrix.
        drop_path_rate: Stochastic depth of the last block.
        drop_path_ramp: It grows linearly from 0 at the first block, as in DeiT and mmseg; False is
            the same rate for every block, as in DeiT-III.
        layer_scale_init: Start value of LayerScale; None leaves LayerScale out.
        with_cls_token: Keep a class token; it stays out of FreqScale's map and of the outputs.
        output_cls_token: Return ``[map, class token (B, C)]`` in place of each map, as mmseg's
            DPT head takes it.
        act_cfg: Activation of the MLP.
        norm_cfg: Every norm.
        final_norm: A norm on the output of the last block.
        interpolate_mode: How positions are resized, ``"bicubic"`` or ``"bilinear"``.
        with_cp: Activation checkpointing of every block: less memory, a second forward.
        frozen_stages: 0 freezes the patch and position embedding, k > 0 also the first k blocks,
            FDAM's layers in them too; -1 nothing.
        pad_patches: Pad inputs with zeros, right and bottom, to whole patches, as mmseg does;
            False leaves out what is left over there, as the released FDAM models do.
        fdam: None, or ``dict(att_inv=True, freq_scale=True)``: see
            :func:`fdam_mm.models.fdam_cfg.parse_fdam`.
        pretrained: Deprecated, as in mmseg: give ``init_cfg``.
        init_cfg: ``dict(type="Pretrained", checkpoint=...)`` to start from a file.
        **foreign: Further arguments of mmseg's class, at the values that mean what this one does.

    Shape: (B, in_channels, height, width) -> a tuple of (B, C, height / patch_size,
    width / patch_size), one per ``out_indices``; rounded up with ``pad_patches``, else down.

    Raises:
        ConfigError: An argument of another type or range than it needs, one that does not exist,
            or channels that the heads do not divide.
        ValueError: An index or a setting of ``fdam`` that does not exist, or indices that do not
            ascend.
    """

    def __init__(
        self,
        img_size: int | Sequence[int] = 224,
        patch_size: int = 16,
        in_channels: int = 3,
        embed_dims: int = 768,
        num_layers: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4,
        qkv_bias: bool = True,
        patch_bias: bool = True,
        out_indices: int | Sequence[int] = (2, 5, 8, 11),
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        drop_path_ramp: bool = True,
        layer_scale_init: float | None = None,
        with_cls_token: bool = False,
        output_cls_token: bool = False,
        act_cfg: Mapping[str, Any] = GELU,
        norm_cfg: Mapping[str, Any] = LAYER_NORM,
        final_norm: bool = False,
        interpolate_mode: str = "bicubic",
        with_cp: bool = False,
        frozen_stages: int = -1,
        pad_patches: bool = True,
        fdam: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
        init_cfg: Mapping[str, Any] | None = None,
        **foreign: Any,
    ) -> None:
        super().__init__(init_cfg=start_from(init_cfg, pretrained))
        refuse_foreign(type(self), foreign, VISION_TRANSFORMER)
        check_counts(in_channels=in_channels)
        check_flags(
            qkv_bias=qkv_bias, patch_bias=patch_bias, drop_path_ramp=drop_path_ramp,
            with_cls_token=with_cls_token, output_cls_token=output_cls_token,
            final_norm=final_norm, with_cp=with_cp, pad_patches=pad_patches,
        )  # fmt: skip
        check_rates(
            drop_rate=drop_rate, attn_drop_rate=attn_drop_rate, drop_path_rate=drop_path_rate
        )
        _check_blocks(num_layers, embed_dims, num_heads, mlp_ratio, layer_scale_init)
        check_frozen_stages(frozen_stages, num_layers)
        if output_cls_token and not with_cls_token:
            raise ConfigError("output_cls_token=True needs with_cls_token=True")
        if interpolate_mode not in MODES:
            raise ConfigError(f"interpolate_mode is {interpolate_mode!r}, expected one of {MODES}")
        att_inv, freq_scale = parse_fdam(fdam)
        self.grid = _grid(img_size, patch_size)
        self.out_indices = stage_indices(out_indices, num_layers, "blocks")
        self.interpolate_mode, self.output_cls_token = interpolate_mode, output_cls_token
        self.with_cp, self.frozen_stages = with_cp, frozen_stages

        self.patch_embed = PatchEmbed(in_channels, embed_dims, patch_size, patch_bias, pad_patches)
        self._make_tokens(embed_dims, with_cls_token)
        self.pos_drop = nn.Dropout(drop_rate)
        ramp = linear_ramp(drop_path_rate, [num_layers])[0]
        self.blocks = nn.ModuleList(
            Block(
                embed_dims, num_heads, mlp_ratio, qkv_bias, drop_rate, attn_drop_rate, drop_path,
                layer_scale_init, act_cfg, norm_cfg, att_inv, freq_scale,
            )
            for drop_path in (ramp if drop_path_ramp else [drop_path_rate] * num_layers)
        )  # fmt: skip
        self.final_norm = norm_of_tokens(norm_cfg, embed_dims) if final_norm else None
        self._reset_parameters()
        self.register_state_dict_post_hook(save_grid)
        self.register_load_state_dict_pre_hook(adapt_position)
        self.register_load_state_dict_pre_hook(_drop_zero_bias)
        self._freeze()

    def _make_tokens(self, dim: int, with_cls_token: bool) -> None:
        """The class token, where there is one, and the positions of all tokens."""
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if with_cls_token else None
        num_tokens = self.grid[0] * self.grid[1] + int(with_cls_token)
        self.pos_embed = nn.Parameter(torch.zeros(1, num_tokens, dim))

    def _reset_parameters(self) -> None:
        """Truncated normal with std 0.02 for tokens and linears, zero biases; as DeiT."""
        for token in (self.pos_embed, self.cls_token):
            if token is not None:
                nn.init.trunc_normal_(token, std=0.02)
        for block in self.blocks:
            for linear in (block.attn.qkv, block.attn.proj, block.mlp.fc1, block.mlp.fc2):
                nn.init.trunc_normal_(linear.weight, std=0.02)
                if linear.bias is not None:
                    nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x, hw = self.patch_embed(x)
        x = self._add_position(x, hw)
        outs = []
        for index, block in enumerate(self.blocks):
            if self.with_cp and torch.is_grad_enabled():
                x = checkpoint(block, x, hw, use_reentrant=False)
            else:
                x = block(x, hw)
            if self.final_norm is not None and index == len(self.blocks) - 1:
                x = self.final_norm(x)
            if index in self.out_indices:
                outs.append(self._output(x, hw))
        return tuple(outs)

    def _output(self, x: Tensor, hw: tuple[int, int]) -> Tensor | list[Tensor]:
        """Tokens (B, N, C) -> map (B, C, H, W), with the class token (B, C) where it is asked."""
        patches = x[:, x.shape[1] - hw[0] * hw[1] :]
        patches = patches.transpose(1, 2).unflatten(2, hw).contiguous()
        return [patches, x[:, 0]] if self.output_cls_token else patches

    def _add_position(self, x: Tensor, hw: tuple[int, int]) -> Tensor:
        """Prepend the class token, where there is one, and add the position resized to ``hw``."""
        if self.cls_token is not None:
            x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1)
        position = resize_position(self.pos_embed, self.grid, hw, self.interpolate_mode)
        return self.pos_drop(x + position)

    def _freeze(self) -> None:
        if self.frozen_stages < 0:
            return
        self.pos_embed.requires_grad_(False)
        if self.cls_token is not None:
            self.cls_token.requires_grad_(False)
        for module in (self.patch_embed, *self.blocks[: self.frozen_stages]):
            module.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> "FDAMVisionTransformer":
        """Set the mode; frozen stages stay in evaluation mode."""
        super().train(mode)
        self._freeze()
        return self


def _check_blocks(
    num_layers: int,
    embed_dims: int,
    num_heads: int,
    mlp_ratio: float,
    layer_scale_init: float | None,
) -> None:
    """Raise ConfigError where blocks of these settings cannot be built."""
    check_counts(num_layers=num_layers, embed_dims=embed_dims, num_heads=num_heads)
    check_positive(mlp_ratio=mlp_ratio)
    if layer_scale_init is not None:
        check_numbers(layer_scale_init=layer_scale_init)
    if embed_dims % num_heads:
        raise ConfigError(f"embed_dims {embed_dims} is not a multiple of num_heads {num_heads}")


def _grid(img_size: int | Sequence[int], patch_size: int) -> tuple[int, int]:
    """Rows and columns of patches in an image of this size.

    Raises:
        ConfigError: No whole patch fits.
    """
    check_counts(patch_size=patch_size)
    height, width = two_sides("img_size", img_size)
    if min(height, width) < patch_size:
        raise ConfigError(f"img_size {img_size!r} is smaller than patch_size {patch_size}")
    return height // patch_size, width // patch_size


def _drop_zero_bias(
    module: FDAMVisionTransformer, state: dict[str, Tensor], prefix: str, *_: Any
) -> None:
    """``load_state_dict`` pre-hook: in a patch embedding without bias, zeros are none.

    Args:
        module: Whose weights are loaded.
        state: The state dict being loaded, changed in place.
        prefix: The module's prefix in ``state``.
    """
    bias = f"{prefix}patch_embed.proj.bias"
    if module.patch_embed.proj.bias is None and bias in state and not state[bias].any():
        del state[bias]
