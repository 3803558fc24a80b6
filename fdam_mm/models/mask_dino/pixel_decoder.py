"""Pixel decoder of Mask DINO: deformable encoder over several levels, and the mask features."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmdet.models.layers import SinePositionalEncoding
from mmengine.model import BaseModule, ModuleList, caffe2_xavier_init, xavier_init
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm.layers.autocast import at_least_float32, float32_island
from fdam_mm.models.fdam_cfg import parse_fdam

from .transformer import DeformableEncoder, flatten_maps, split_tokens


@MODELS.register_module()
class MaskDINOPixelDecoder(BaseModule):
    """Mask DINO's pixel decoder (arXiv 2206.02777), plain or with FDAM in its encoder.

    The coarsest ``num_encoder_inputs`` maps of the backbone, and as many further maps of half the
    size as ``num_levels`` asks for, are the levels of the encoder. The finest encoded map,
    upsampled, is added to the backbone's finest map for the mask features. All of it is computed
    in float32 also under autocast.

    With FDAM every encoder layer has AttInv on the sampled values and FreqScale on each level's
    map, after the attention and after the feed-forward; see
    :class:`fdam_mm.models.mask_dino.transformer.encoder.EncoderLayer`.

    Args:
        in_channels: Channels of the backbone's maps, finest first.
        feat_channels: Channels C of the encoder.
        out_channels: Channels of the mask features.
        num_levels: Levels of the encoder.
        num_encoder_inputs: Backbone maps that enter the encoder.
        fine_first: Order of the levels in the sequence: finest first (the official
            ``low2high``, of the 4-level models), or coarsest first (of the 3-level ones).
        encoder: ``num_layers``, ``num_heads``, ``num_points``, ``feedforward_channels`` and
            ``with_cp`` of the encoder; what is missing is as in the official 4-level models.
        num_groups: Groups of the group norms.
        fdam: None, or ``dict(att_inv=True, freq_scale=True)``: see
            :func:`fdam_mm.models.fdam_cfg.parse_fdam`.

    Raises:
        ValueError: Fewer levels than inputs, or more inputs than maps.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (256, 512, 1024, 2048),
        feat_channels: int = 256,
        out_channels: int = 256,
        num_levels: int = 4,
        num_encoder_inputs: int = 3,
        fine_first: bool = True,
        encoder: Mapping[str, Any] | None = None,
        num_groups: int = 32,
        fdam: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if not 1 <= num_encoder_inputs <= min(num_levels, len(in_channels)):
            raise ValueError(
                f"num_encoder_inputs {num_encoder_inputs} must be in 1 .. {len(in_channels)} maps "
                f"and at most num_levels {num_levels}"
            )
        att_inv, freq_scale = parse_fdam(fdam)
        self.num_levels, self.num_encoder_inputs = num_levels, num_encoder_inputs
        self.feat_channels, self.out_channels = feat_channels, out_channels
        self.fine_first = fine_first
        group_norm = dict(type="GN", num_groups=num_groups)
        norm = dict(norm_cfg=group_norm, act_cfg=None)
        inputs = in_channels[-num_encoder_inputs:]
        self.input_convs = ModuleList(  # of the backbone's maps, in the order of the sequence
            ConvModule(channels, feat_channels, 1, bias=True, **norm)
            for channels in (inputs if fine_first else inputs[::-1])
        )
        extra = [inputs[-1]] + [feat_channels] * (num_levels - num_encoder_inputs)
        self.extra_convs = ModuleList(  # each from the map before, the first from the backbone's
            ConvModule(channels, feat_channels, 3, stride=2, padding=1, bias=True, **norm)
            for channels in extra[: num_levels - num_encoder_inputs]
        )
        self.position = SinePositionalEncoding(num_feats=feat_channels // 2, normalize=True)
        self.level_embed = nn.Parameter(torch.empty(num_levels, feat_channels))
        settings = dict(num_layers=6, num_heads=8, num_points=4, feedforward_channels=2048)
        self.encoder = DeformableEncoder(
            embed_dims=feat_channels,
            num_levels=num_levels,
            att_inv=att_inv,
            freq_scale=freq_scale,
            **{**settings, **(encoder or {})},
        )
        self.lateral_conv = ConvModule(in_channels[0], feat_channels, 1, bias=False, **norm)
        self.output_conv = ConvModule(
            feat_channels, feat_channels, 3, padding=1, bias=False, norm_cfg=group_norm
        )
        self.mask_feature = nn.Conv2d(feat_channels, out_channels, 1)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        nn.init.normal_(self.level_embed)
        for module in (*self.input_convs, *self.extra_convs):
            xavier_init(module.conv, gain=1, bias=0, distribution="uniform")
        for conv in (self.lateral_conv.conv, self.output_conv.conv, self.mask_feature):
            caffe2_xavier_init(conv, bias=0)

    def init_weights(self) -> None:
        """Nothing: every part is initialised when built, and ConvModules would do it otherwise."""

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Encode.

        Args:
            feats: The backbone's maps, finest first.

        Returns:
            The mask features (B, out_channels, H, W) on the finest map's grid, and the encoded
            maps (B, C, H, W) in the order of the sequence.
        """
        if len(feats) < self.num_encoder_inputs:
            raise ValueError(f"got {len(feats)} maps, needs at least {self.num_encoder_inputs}")
        with float32_island(feats[0]):
            feats = [at_least_float32(feat) for feat in feats]
            x, levels = flatten_maps(self._project(feats[-self.num_encoder_inputs :]))
            x = self.encoder(x, self._positions(levels.sizes, x.device), levels)
            maps = split_tokens(x, levels)
            lateral = self.lateral_conv(feats[0])
            finest = F.interpolate(
                maps[0 if self.fine_first else -1],
                size=lateral.shape[-2:],
                mode="bilinear",
                align_corners=False,
            )
            return self.mask_feature(self.output_conv(lateral + finest)), maps

    def _project(self, feats: Sequence[Tensor]) -> list[Tensor]:
        """Maps of all levels with C channels, in the order of the sequence."""
        extra = [feats[-1]]
        for conv in self.extra_convs:
            extra.append(conv(extra[-1]))
        ordered = feats if self.fine_first else feats[::-1]
        maps = [conv(feat) for conv, feat in zip(self.input_convs, ordered, strict=True)]
        return [*maps, *extra[1:]] if self.fine_first else [*extra[:0:-1], *maps]

    def _positions(self, sizes: Sequence[tuple[int, int]], device: torch.device) -> Tensor:
        """(1, N, C): sine position plus the level's embedding."""
        parts = []
        for size, embed in zip(sizes, self.level_embed, strict=True):
            mask = torch.zeros((1, *size), dtype=torch.bool, device=device)
            parts.append(self.position(mask).flatten(2).transpose(1, 2) + embed)
        return torch.cat(parts, dim=1)
