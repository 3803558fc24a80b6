"""The module that is exported of a segmentor, with what stands before and after it inside."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm.runtime.description import Description, Size

from .core import Core
from .preparing import Preparation


class RawSegmentor(Core):
    """Normalised (B, 3, H, W) -> logits (B, C, H, W), as mmseg's ``encode_decode``."""

    task = "segmentation"
    compared = ("logits",)

    def _results(self, x: Tensor) -> tuple[Tensor, ...]:
        meta = dict(img_shape=x.shape[2:], ori_shape=x.shape[2:], pad_shape=x.shape[2:])
        model: Any = self.model
        return (model.encode_decode(x, [meta]),)


class Segmentor(RawSegmentor):
    """Pictures (B, h, w, 3) uint8 BGR -> labels (B, h, w) and logits (B, C, h, w).

    Args:
        model: A segmentor of mmseg.
        about: Its description.
        size: As of :class:`Preparation`.
        probes: As of :class:`Core`.
    """

    def __init__(
        self, model: nn.Module, about: Description, size: Size | None, probes: Sequence[str] = ()
    ) -> None:
        super().__init__(model, probes)
        self._about, self._size = about, size
        self.prepare = Preparation(about, size)

    @property
    def outputs(self) -> list[str]:
        return ["labels", *super().outputs]

    def forward(self, image: Tensor, x: Tensor | None = None) -> tuple[Tensor, ...]:
        """``x`` is what ``prepare`` gives of the image; without it that is computed."""
        (logits,), probed = self._computed(self.prepare(image) if x is None else x)
        if self._size is not None:
            height, width = self.prepare.fitted(image.shape[1], image.shape[2])
            logits = logits[:, :, :height, :width]
        if self.prepare.resizes:
            size, align = image.shape[1:3], self._about.align_corners
            logits = F.interpolate(logits, size, mode="bilinear", align_corners=align)
        return self._decide(logits), logits, *probed

    def _decide(self, logits: Tensor) -> Tensor:
        kind = torch.uint8 if len(self._about.classes) <= 256 else torch.int32
        if self._about.threshold is None:
            return logits.argmax(1).to(kind)
        return (logits[:, 0].sigmoid() > self._about.threshold).to(kind)
