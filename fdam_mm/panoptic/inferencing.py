"""mmdet's `DetInferencer` on panoptic models where `panopticapi` is not installed."""

import numpy as np

from fdam_mm.toolkits.quiet import quiet

from .quality import VOID

with quiet():
    from mmdet.apis import det_inferencer


def id_colors(ids: np.ndarray) -> np.ndarray:
    """Segment ids (H, W) as the colours (H, W, 3) of COCO's panoptic PNGs, least byte first."""
    return np.stack([ids & 255, ids >> 8 & 255, ids >> 16 & 255], axis=-1)


if det_inferencer.VOID is None:  # mmdet sets both to None, and asks for panopticapi at the result
    det_inferencer.VOID, det_inferencer.id2rgb = VOID, id_colors
