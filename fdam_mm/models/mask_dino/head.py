"""Head of Mask DINO: pixel decoder, query selection, decoder, and the predictions of each layer.

Legend of the shape comments: B batch, Q queries, C channels, K classes, h x w the grid of the
mask features.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet.models.layers import inverse_sigmoid
from mmdet.models.layers.transformer.utils import MLP
from mmdet.structures import SampleList
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from fdam_mm.layers.autocast import float32_island

from .denoising import DenoisingQueries, NoisyQueries
from .losses import MaskDINOLoss
from .selection import TokenSelection, boxes_of_masks
from .structures import GroundTruth, Outputs, Prediction, ground_truths
from .transformer import Levels, MaskDINODecoder, flatten_maps

_EPS = 1e-5  # the decoder's boxes stay this far from 0 and 1, where logits are infinite


@MODELS.register_module()
class MaskDINOHead(BaseModule):
    """Mask DINO (arXiv 2206.02777) on the maps of a backbone.

    Tokens of the encoder with the largest class logits become the queries, unless these are
    learned. The class, box and mask heads and the last norm are shared by the selected tokens, the
    initial prediction and all decoder layers.

    Args:
        num_things_classes: Classes with instances, the first labels.
        num_stuff_classes: Classes without, the labels after them.
        num_queries: Queries Q.
        pixel_decoder: Config of :class:`MaskDINOPixelDecoder`.
        decoder: Arguments of :class:`MaskDINODecoder` but for ``embed_dims`` and ``num_levels``.
        two_stage: Select the queries; False learns them and their boxes (the official ADE20K
            model).
        init_box: Where the decoder's first boxes come from: ``bitmask`` or ``mask2box``, see
            :func:`boxes_of_masks`, from the masks of the selected tokens; None, their boxes.
        softmax: Classes exclude each other and there is a logit for no object; the default is a
            sigmoid for each class.
        denoising: Arguments of :class:`DenoisingQueries` but for the sizes.
        loss: Arguments of :class:`MaskDINOLoss` but for the classes.
        init_cfg: As for every ``BaseModule``.

    Raises:
        ValueError: ``init_box`` does not exist, or there are no selected tokens for it.
    """

    def __init__(
        self,
        pixel_decoder: Mapping[str, Any],
        num_things_classes: int = 80,
        num_stuff_classes: int = 0,
        num_queries: int = 300,
        decoder: Mapping[str, Any] | None = None,
        two_stage: bool = True,
        init_box: str | None = "mask2box",
        softmax: bool = False,
        denoising: Mapping[str, Any] | None = None,
        loss: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if init_box not in (None, "bitmask", "mask2box"):
            raise ValueError(f"init_box {init_box!r} is none of 'bitmask', 'mask2box', None")
        if init_box is not None and not two_stage:
            raise ValueError(f"init_box {init_box!r} needs two_stage=True; set it to None")
        self.num_things_classes, self.num_stuff_classes = num_things_classes, num_stuff_classes
        self.num_classes = num_things_classes + num_stuff_classes
        self.num_queries, self.init_box, self.softmax = num_queries, init_box, softmax
        self.pixel_decoder = MODELS.build(pixel_decoder)
        channels = self.pixel_decoder.feat_channels
        self.selection = TokenSelection(channels) if two_stage else None
        self.query_feat = None if two_stage else nn.Embedding(num_queries, channels)
        self.query_box = None if two_stage else nn.Embedding(num_queries, 4)  # logits
        self.decoder = MaskDINODecoder(
            embed_dims=channels, num_levels=self.pixel_decoder.num_levels, **(decoder or {})
        )
        self.cls_embed = nn.Linear(channels, self.num_classes + int(softmax))
        self.mask_embed = MLP(channels, channels, self.pixel_decoder.out_channels, 3)
        self.bbox_embed = MLP(channels, channels, 4, 3)
        nn.init.zeros_(self.bbox_embed.layers[-1].weight)
        nn.init.zeros_(self.bbox_embed.layers[-1].bias)
        self.denoising = DenoisingQueries(self.num_classes, channels, **(denoising or {}))
        self.criterion = MaskDINOLoss(self.num_classes, softmax, **(loss or {}))

    def forward(
        self, feats: Sequence[Tensor], truths: Sequence[GroundTruth] | None = None
    ) -> Outputs:
        """Predict.

        Args:
            feats: The backbone's maps, finest first.
            truths: Of every image, for training: it adds the denoising queries, and predictions
                of all layers. Without, only the last layer predicts.
        """
        mask_features, maps = self.pixel_decoder(feats)
        return self.decode(mask_features, maps, truths)

    def decode(
        self,
        mask_features: Tensor,
        maps: Sequence[Tensor],
        truths: Sequence[GroundTruth] | None = None,
    ) -> Outputs:
        """:meth:`forward` from what the pixel decoder returns."""
        memory, levels = flatten_maps(maps[::-1])  # the decoder reverses the encoder's order
        query, boxes, selected = self._first_queries(memory, levels, mask_features)
        noisy = None if truths is None else self.denoising(truths, self.num_queries)
        if noisy is not None:
            query = torch.cat([noisy.content, query], dim=1)
            boxes = torch.cat([noisy.boxes.clamp(_EPS, 1 - _EPS), boxes], dim=1)
        mask = None if noisy is None else noisy.mask
        with float32_island(memory):
            hidden, starts = self.decoder(query, boxes, memory, levels, self.bbox_embed, mask)
            refined = [
                (self.bbox_embed(h) + inverse_sigmoid(start, eps=_EPS)).sigmoid()
                for h, start in zip(hidden, starts, strict=True)
            ]
        if truths is None:
            last = self._predict(hidden[-1], refined[-1], mask_features)
            return Outputs([last], selected, None, 0)
        steps = zip([query, *hidden], [boxes, *refined], strict=True)
        layers = [self._predict(*step, mask_features) for step in steps]
        return _split(layers, selected, noisy)

    def _first_queries(
        self, memory: Tensor, levels: Levels, mask_features: Tensor
    ) -> tuple[Tensor, Tensor, Prediction | None]:
        """Content (B, Q, C) and boxes (B, Q, 4) of the queries; what selected tokens predict."""
        if self.selection is None:
            content, boxes = self.query_feat.weight, self.query_box.weight.sigmoid()
            batch = memory.shape[0]
            return content.expand(batch, -1, -1), boxes.expand(batch, -1, -1), None
        with float32_island(memory):
            tokens, logits = self.selection(
                memory, levels, self.cls_embed, self.bbox_embed, self.num_queries
            )
        selected = self._predict(tokens, logits.sigmoid(), mask_features)
        boxes = selected.boxes.detach()
        if self.init_box is not None:
            boxes = boxes_of_masks(selected.masks.detach() > 0, self.init_box)
            boxes = boxes.clamp(_EPS, 1 - _EPS)
        return tokens.detach(), boxes, selected

    def _predict(self, hidden: Tensor, boxes: Tensor, mask_features: Tensor) -> Prediction:
        """Hidden states (B, Q, C) and the boxes found for them -> the whole prediction."""
        hidden = self.decoder.norm(hidden)
        masks = torch.einsum("bqc,bchw->bqhw", self.mask_embed(hidden), mask_features)
        return Prediction(self.cls_embed(hidden), boxes, masks)

    def loss(self, feats: Sequence[Tensor], samples: SampleList) -> dict[str, Tensor]:
        """The weighted terms of :class:`MaskDINOLoss`."""
        truths = ground_truths(samples, self.num_things_classes, self.num_classes, feats[0].device)
        outputs = self(feats, truths)
        losses = self.criterion(outputs, truths)
        if outputs.denoising is None:  # every parameter has a gradient on every process
            losses["loss_ce_dn"] = (
                losses["loss_ce_dn"] + 0 * self.denoising.label_embed.weight.sum()
            )
        return losses

    def predict(self, feats: Sequence[Tensor]) -> Prediction:
        """The last layer's prediction."""
        return self(feats).layers[-1]


def _split(layers: list[Prediction], selected: Prediction, noisy: NoisyQueries | None) -> Outputs:
    """Separate the matching queries from the denoising queries before them."""
    if noisy is None:
        return Outputs(layers, selected, None, 0)
    split = noisy.content.shape[1]
    matching = [layer.of(slice(split, None)) for layer in layers]
    return Outputs(
        matching, selected, [layer.of(slice(split)) for layer in layers], noisy.num_groups
    )
