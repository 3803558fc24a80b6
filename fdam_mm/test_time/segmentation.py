"""Merging what a segmentor sees in the views of a picture."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseTTAModel
from mmengine.registry import MODELS
from mmengine.structures import PixelData
from torch import Tensor

from fdam_mm.toolkits.quiet import quiet

with quiet():
    from mmseg.structures import SegDataSample


@MODELS.register_module()
class MeanSegTTA(BaseTTAModel):
    """The mean of the views' probabilities.

    As mmseg's `SegTTAModel`, which takes the sigmoid of a model with one channel twice: then
    everything is foreground.
    """

    def merge_preds(
        self, data_samples_list: Sequence[Sequence[SegDataSample]]
    ) -> list[SegDataSample]:
        """Of each picture's views, already turned back, the first with the prediction of all."""
        return [self._merge(views) for views in data_samples_list]

    def _merge(self, views: Sequence[SegDataSample]) -> SegDataSample:
        single = self.module.out_channels == 1
        mean = sum(_probabilities(view.seg_logits.data, single) for view in views) / len(views)
        if single:
            labels = (mean > self.module.decode_head.threshold).to(mean)  # (1, H, W)
        else:
            labels = mean.argmax(dim=0, keepdim=True)
        merged = views[0]
        smallest = torch.finfo(mean.dtype).tiny
        logits = mean if single else mean.clamp(min=smallest).log()  # whose softmax is the mean
        merged.set_data(
            dict(pred_sem_seg=PixelData(data=labels), seg_logits=PixelData(data=logits))
        )
        return merged


def _probabilities(logits: Tensor, single: bool) -> Tensor:
    """(K, H, W); those of one channel come out of the segmentor as probabilities."""
    return logits if single else torch.softmax(logits, dim=0)
