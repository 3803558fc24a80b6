"""Loading COCO instances whose masks are polygons, RLEs, or some of each."""

from typing import Any

import numpy as np
from mmengine.registry import TRANSFORMS

from fdam_mm.data.formats.polygons import FEWEST, is_usable, read_polygon
from fdam_mm.data.formats.rle import decode_rle
from fdam_mm.errors import LabelError
from fdam_mm.toolkits.quiet import quiet

with quiet():
    from mmdet.datasets.transforms import LoadAnnotations
    from mmdet.structures.mask import BitmapMasks, PolygonMasks
    from mmdet.structures.mask.structures import polygon_to_bitmap

_NOTHING = np.zeros(FEWEST)  # the polygon of an object to ignore


@TRANSFORMS.register_module()
class LoadInstances(LoadAnnotations):
    """mmdet's `LoadAnnotations` with boxes and masks, which loads RLEs too.

    Polygons stay polygons, which later steps resize without loss. A picture with an RLE among its
    objects has bitmaps for all of them: mmdet's class ignores such objects (`poly2mask=False`). A
    crowd is ignored in training, and its RLE not decoded.

    Args:
        settings: Those of mmdet's class. `poly2mask=True` makes bitmaps of all masks.

    Raises:
        LabelError: When loading, where an object has no mask, or a broken one.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**(dict(with_mask=True, poly2mask=False) | settings))

    def _load_masks(self, results: dict) -> None:
        instances = results.get("instances", [])
        height, width = results["ori_shape"]
        try:
            masks = [_read_mask(instance, height, width) for instance in instances]
        except LabelError as error:
            raise LabelError(
                f"{results.get('img_path')} has an object with {error}; "
                "tools/check_data.py CONFIG finds all such"
            ) from error
        if self.poly2mask or any(isinstance(mask, np.ndarray) for mask in masks):
            bitmaps = [
                mask if isinstance(mask, np.ndarray) else polygon_to_bitmap(mask, height, width)
                for mask in masks
            ]
            results["gt_masks"] = BitmapMasks(bitmaps, height, width)
        else:
            results["gt_masks"] = PolygonMasks(masks, height, width)
        flags = [instance["ignore_flag"] for instance in instances]
        results["gt_ignore_flags"] = np.array(flags, dtype=bool)


def _read_mask(instance: dict, height: int, width: int) -> np.ndarray | list[np.ndarray]:
    """A bitmap (height, width) of an RLE, else polygons.

    An object without a usable polygon is marked as one to ignore, as mmdet does.

    Raises:
        LabelError: there is no mask, or a broken one.
    """
    mask = instance.get("mask")
    if isinstance(mask, dict):
        return [_NOTHING] if instance["ignore_flag"] else decode_rle(mask, height, width)
    if not isinstance(mask, list):
        raise LabelError("no segmentation, expected polygons or an RLE")
    polygons = [polygon for polygon in map(read_polygon, mask) if is_usable(polygon)]
    if not polygons:
        instance["ignore_flag"] = 1
    return polygons or [_NOTHING]
