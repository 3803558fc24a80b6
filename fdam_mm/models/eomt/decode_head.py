"""EoMT's head for mmseg."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.registry import MODELS
from mmseg.models.decode_heads.mask2former_head import Mask2FormerHead as SegMask2FormerHead
from torch import Tensor
from torch.nn import functional as F

from .head import EoMTHead
from .predictor import Prediction


@MODELS.register_module()
class EoMTDecodeHead(EoMTHead, SegMask2FormerHead):
    """The ``decode_head`` of mmseg's ``EncoderDecoder`` behind :class:`EoMT`.

    Args:
        num_classes: Classes K.
        ignore_index: The label that is left out.
        align_corners: Of mmseg's resizing of the class maps.
        **settings: As :class:`EoMTHead` has them.
    """

    def __init__(
        self,
        num_classes: int,
        ignore_index: int = 255,
        align_corners: bool = False,
        num_queries: int = 100,
        **settings: Any,
    ) -> None:
        super().__init__(0, num_classes, num_queries, **settings)
        self.ignore_index, self.align_corners = ignore_index, align_corners
        self.out_channels = num_classes

    def predict(self, x: Sequence[Prediction], batch_img_metas: Any, test_cfg: Any) -> Tensor:
        """(B, K, H, W): the sum over queries of a class's probability times the mask's."""
        (logits,), (masks,) = self(x[-1:])
        masks = F.interpolate(masks, x[-1].size, mode="bilinear", align_corners=False)
        return torch.einsum("bqk,bqhw->bkhw", logits.softmax(-1)[..., :-1], masks.sigmoid())
