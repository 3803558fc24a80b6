"""Feature pyramid of a plain ViT."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class ViTPyramid(BaseModule):
    """One branch per map of a plain ViT, all of stride s: strides s/4, s/2, s and 2s.

    x4: transposed convolution, norm, GELU, transposed convolution; x2: transposed convolution;
    x1: identity; x0.5: max-pool; every kernel 2 with stride 2. This is the pyramid of the released
    FDAM models, and of BEiT before them.

    Args:
        embed_dims: Channels C of every map.
        norm_cfg: Norm of the x4 branch.
        init_cfg: As for every ``BaseModule``.

    Shape: four maps (B, C, H, W) -> (B, C, 4H, 4W), (B, C, 2H, 2W), (B, C, H, W),
    (B, C, H // 2, W // 2).
    """

    def __init__(
        self,
        embed_dims: int,
        norm_cfg: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        norm_cfg = dict(norm_cfg or dict(type="SyncBN"))

        def up() -> nn.ConvTranspose2d:
            return nn.ConvTranspose2d(embed_dims, embed_dims, kernel_size=2, stride=2)

        norm = build_norm_layer(norm_cfg, embed_dims)[1]
        self.fpn1 = nn.Sequential(up(), norm, nn.GELU(), up())
        self.fpn2 = nn.Sequential(up())
        self.fpn3 = nn.Identity()
        self.fpn4 = nn.MaxPool2d(kernel_size=2, stride=2)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        branches = (self.fpn1, self.fpn2, self.fpn3, self.fpn4)
        if len(inputs) != len(branches):
            raise ValueError(f"ViTPyramid takes 4 maps, got {len(inputs)}; set 4 out_indices")
        return tuple(branch(x) for branch, x in zip(branches, inputs, strict=True))
