"""The PQ of a COCO panoptic data set."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.fileio import get_local_path, join_path
from mmengine.logging import MMLogger
from mmengine.registry import METRICS

from fdam_mm.data.formats.segment_ids import png_of
from fdam_mm.toolkits.quiet import quiet

from .loading import read_segment_ids
from .quality import Segments, panoptic_quality, pq_counts

with quiet():
    from mmdet.datasets.api_wrappers import COCOPanoptic
    from mmdet.evaluation.metrics.coco_panoptic_metric import (
        parse_pq_results,
        print_panoptic_table,
    )
    from mmdet.structures import INSTANCE_OFFSET


@METRICS.register_module()
class CocoPanopticQuality(BaseMetric):
    """PQ, SQ and RQ in percent, of all classes, of things (`_th`) and of stuff (`_st`).

    The numbers of mmdet's `CocoPanopticMetric`, which needs `panopticapi` from its constructor on.

    Args:
        ann_file: The panoptic JSON.
        seg_prefix: Folder of the panoptic PNGs.
        classwise: Log a table of all classes.
        backend_args: How mmengine reads the files.
        collect_device, prefix: As for every metric of mmengine.

    Raises:
        ValueError: At evaluation, where the classes of the data set are not those of the JSON, or
            a PNG and the prediction differ in size.
    """

    default_prefix = "coco_panoptic"
    by_class: dict[str, dict[str, float]]
    """PQ, SQ and RQ in percent of each class, by its name, as last computed."""

    def __init__(
        self,
        ann_file: str,
        seg_prefix: str,
        classwise: bool = False,
        backend_args: dict[str, Any] | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        self.ann_file = ann_file
        self.seg_prefix = seg_prefix
        self.classwise = classwise
        self.backend_args = backend_args
        with get_local_path(ann_file, backend_args=backend_args) as file, quiet():
            self.coco = COCOPanoptic(file)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count the segments of a batch; one entry per image."""
        self.results += [self._count(sample) for sample in data_samples]

    def compute_metrics(self, results: list[np.ndarray]) -> dict[str, float]:
        """Sum the counts (K, 4) of all images."""
        counts = np.sum(results, axis=0)
        categories = [self.coco.cats[cat_id] for cat_id in self._labels()]
        is_thing = np.array([bool(category["isthing"]) for category in categories])
        quality = dict(
            All=panoptic_quality(counts),
            Things=panoptic_quality(counts[is_thing]),
            Stuff=panoptic_quality(counts[~is_thing]),
        )
        names = [category["name"] for category in categories]
        table = dict(zip(names, map(panoptic_quality, counts[:, None]), strict=True))
        self.by_class = {
            column: {name: 100 * quality[column.lower()] for name, quality in table.items()}
            for column in ("PQ", "SQ", "RQ")
        }
        logger = MMLogger.get_current_instance()
        print_panoptic_table(quality, table if self.classwise else None, logger)
        return parse_pq_results(quality)

    def _labels(self) -> dict[int, int]:
        """The label of each category id, as `CocoPanopticDataset` counts them."""
        classes = self.dataset_meta["classes"]
        if {category["name"] for category in self.coco.cats.values()} != set(classes):
            raise ValueError(
                f"{self.ann_file} has {len(self.coco.cats)} categories that are not the "
                f"{len(classes)} classes of the config; set metainfo=dict(classes=...) there"
            )
        return {cat_id: label for label, cat_id in enumerate(self.coco.get_cat_ids(classes))}

    def _count(self, sample: dict) -> np.ndarray:
        """(K, 4); zeros for an image without annotation, where nothing is right or wrong."""
        labels = self._labels()
        segments = self.coco.imgToAnns[sample["img_id"]]
        if not segments:
            return np.zeros((len(labels), 4))
        name = png_of(self.coco.imgs[sample["img_id"]]["file_name"])
        file = join_path(self.seg_prefix, name, backend_args=self.backend_args)
        true = Segments(
            map=read_segment_ids(file, self.backend_args),
            ids=np.array([segment["id"] for segment in segments]),
            labels=np.array([labels[segment["category_id"]] for segment in segments]),
            crowd=np.array([bool(segment.get("iscrowd")) for segment in segments]),
        )
        pred = _predicted_segments(sample["pred_panoptic_seg"], len(labels))
        if pred.map.shape != true.map.shape:
            raise ValueError(
                f"{file} is {_size(true)}, but the prediction for image {sample['img_id']} is "
                f"{_size(pred)}; tools/check_data.py CONFIG finds such pictures"
            )
        return pq_counts(true, pred, len(labels))


def _predicted_segments(prediction: dict, num_classes: int) -> Segments:
    """Read mmdet's map: label + INSTANCE_OFFSET * instance; the label K is for no segment."""
    pixels = prediction["sem_seg"][0].cpu().numpy()  # (H, W)
    none = num_classes, prediction.get("ignore_index", num_classes)
    ids = np.bincount(pixels.ravel()).nonzero()[0]
    ids = ids[~np.isin(ids % INSTANCE_OFFSET, none)]
    return Segments(pixels, ids, ids % INSTANCE_OFFSET, np.zeros(len(ids), dtype=bool))


def _size(segments: Segments) -> str:
    return "{} high and {} wide".format(*segments.map.shape)
