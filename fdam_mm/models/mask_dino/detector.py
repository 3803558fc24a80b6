"""The Mask DINO detector."""

from collections.abc import Mapping
from typing import Any

from mmdet.models.detectors import SingleStageDetector
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures import OptSampleList, SampleList
from mmengine.registry import MODELS
from torch import Tensor

from .fusion_head import MaskDINOFusionHead
from .structures import Outputs


@MODELS.register_module()
class MaskDINO(SingleStageDetector):
    """Mask DINO (arXiv 2206.02777): instance, panoptic and semantic segmentation with boxes.

    Args:
        backbone: Config of the backbone; its maps go to the head, finest first.
        panoptic_head: Config of :class:`MaskDINOHead`.
        neck: Config of a neck between the two, or None.
        test_cfg: Settings of :class:`MaskDINOFusionHead`.
        train_cfg: Unused; mmdet's configs have it.
        data_preprocessor, init_cfg: As for every detector of mmdet.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        panoptic_head: Mapping[str, Any],
        neck: Mapping[str, Any] | None = None,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        data_preprocessor: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        # past SingleStageDetector, which would build a bounding-box head
        super(SingleStageDetector, self).__init__(data_preprocessor, init_cfg)
        self.backbone = MMDET_MODELS.build(backbone)
        if neck is not None:
            self.neck = MMDET_MODELS.build(neck)
        self.panoptic_head = MMDET_MODELS.build(panoptic_head)
        head = self.panoptic_head
        self.panoptic_fusion_head = MaskDINOFusionHead(
            head.num_things_classes, head.num_stuff_classes, test_cfg, head.softmax
        )

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """The weighted terms of the loss, 105 with 9 decoder layers."""
        return self.panoptic_head.loss(self.extract_feat(batch_inputs), batch_data_samples)

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """Results in ``pred_instances``, ``pred_panoptic_seg`` and ``pred_sem_seg``."""
        feats = self.extract_feat(batch_inputs)
        prediction = self.panoptic_head.predict(feats)
        results = self.panoptic_fusion_head.predict(prediction, batch_data_samples, rescale)
        names = dict(
            ins_results="pred_instances",
            pan_results="pred_panoptic_seg",
            sem_results="pred_sem_seg",
        )
        for sample, result in zip(batch_data_samples, results, strict=True):
            for name, value in result.items():
                setattr(sample, names[name], value)
        return batch_data_samples

    def _forward(self, batch_inputs: Tensor, batch_data_samples: OptSampleList = None) -> Outputs:
        """The predictions before post-processing."""
        return self.panoptic_head(self.extract_feat(batch_inputs))
