"""Loading panoptic annotations: a PNG with the id of each pixel's segment."""

from typing import Any

import mmcv
import numpy as np
from mmengine.fileio import get
from mmengine.registry import TRANSFORMS

from fdam_mm.data.formats.segment_ids import segment_ids, with_png
from fdam_mm.toolkits.quiet import quiet

with quiet():
    from mmdet.datasets.transforms import LoadAnnotations, LoadPanopticAnnotations


@TRANSFORMS.register_module()
class LoadCocoPanoptic(LoadPanopticAnnotations):
    """mmdet's `LoadPanopticAnnotations` where `panopticapi` is not installed.

    It finds the PNGs of pictures that are not called `.jpg` too.

    Args:
        settings: Those of mmdet's class.
    """

    def __init__(self, **settings: Any) -> None:
        # past LoadPanopticAnnotations, which takes rgb2id from panopticapi
        settings = dict(with_mask=True, with_seg=True) | settings
        LoadAnnotations.__init__(self, **settings)
        self.rgb2id = segment_ids

    def _load_masks_and_semantic_segs(self, results: dict) -> None:
        if results.get("seg_map_path") is not None:
            results["seg_map_path"] = with_png(results["seg_map_path"])
        super()._load_masks_and_semantic_segs(results)


def read_segment_ids(file: str, backend_args: dict[str, Any] | None = None) -> np.ndarray:
    """Segment ids (H, W) of a panoptic PNG."""
    data = get(file, backend_args=backend_args)
    return segment_ids(mmcv.imfrombytes(data, flag="color", channel_order="rgb"))
