"""Which objects a patch of a DOTA picture has, by the rules of mmrotate's splitter.

An object belongs to each window that shows enough of its area. It keeps its four corners, moved to
the window and not clipped; where the window cuts it, it is marked as difficult with a 2.
"""

from dataclasses import dataclass

import numpy as np
import shapely

from fdam_mm.data.formats.dota import Labels

CUT = 2  # the difficulty of an object that its window cuts
MIN_SHARE = 0.7  # of an object's area, inside the window


@dataclass(frozen=True)
class PatchLabels:
    """The objects of all windows.

    Attributes:
        windows: the labels of each window.
        outside: indices of the objects of which the picture itself does not show enough.
        unseen: indices of the others that are in no window, being larger than the overlap.
    """

    windows: list[Labels]
    outside: list[int]
    unseen: list[int]


def labels_in_windows(labels: Labels, windows: np.ndarray, width: int, height: int) -> PatchLabels:
    """Sort the objects of a picture into windows.

    Only what lies on the picture counts: not the padding of a window that sticks out.

    Args:
        labels: the picture's objects.
        windows: (N, 4) ints: left, top, right, bottom.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
    """
    picture = np.array([[0, 0, width, height]])
    boxes = np.concatenate([picture, np.minimum(windows, [width, height, width, height])])
    box_ids, objects = _pairs(labels.corners, boxes)
    patches: list[Labels] = []
    for index in range(1, len(boxes)):
        chosen = objects[box_ids == index]
        corners = labels.corners[chosen]
        left, top, right, bottom = boxes[index]
        inside = (corners >= [left, top]) & (corners <= [right, bottom])
        whole = inside.all(axis=(1, 2)).tolist()
        patches.append(
            Labels(
                corners=corners - [left, top],
                categories=[labels.categories[i] for i in chosen],
                difficult=[
                    labels.difficult[i] if uncut else CUT
                    for i, uncut in zip(chosen, whole, strict=True)
                ],
            )
        )
    shown = set(objects[box_ids == 0].tolist())
    used = set(objects[box_ids > 0].tolist())
    everything = range(len(labels.categories))
    outside = [i for i in everything if i not in shown]
    unseen = [i for i in everything if i in shown and i not in used]
    return PatchLabels(patches, outside, unseen)


def polygons(corners: np.ndarray) -> np.ndarray:
    """Return N shapely geometries from (N, 4, 2); corners in a wrong order give their hull."""
    shapes = shapely.polygons(corners)
    return np.where(shapely.is_valid(shapes), shapes, shapely.convex_hull(shapes))


def shares_shown(shapes: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the share of each geometry's area inside its box, (N,); 0 for one without area."""
    areas = shapely.area(shapes)
    shown = shapely.area(shapely.intersection(shapes, boxes))
    return np.divide(shown, areas, out=np.zeros_like(areas), where=areas > 0)


def _pairs(corners: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of boxes and objects that go together, sorted by box, then object.

    An object without area goes with no box.
    """
    shapes = polygons(corners)
    tree = shapely.STRtree(shapes)
    box_shapes = shapely.box(*boxes.T)
    box_ids, objects = tree.query(box_shapes)
    enough = shares_shown(shapes[objects], box_shapes[box_ids]) >= MIN_SHARE
    box_ids, objects = box_ids[enough], objects[enough]
    order = np.lexsort((objects, box_ids))
    return box_ids[order], objects[order]
