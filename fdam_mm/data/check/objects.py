"""What is wrong with the objects of a COCO JSON, by the rules of mmdet's loader and of COCOeval.

The loader passes over some objects without a word: these are dropped.
"""

from collections.abc import Collection, Iterator, Mapping
from enum import IntEnum
from typing import Any

from fdam_mm.data.formats.polygons import is_usable, read_polygon
from fdam_mm.data.formats.rle import rle_runs
from fdam_mm.errors import LabelError

from .coco_json import Fault
from .problems import show, size_text
from .values import are_numbers, is_number

_TOLERANCE = 1.0  # pixels that a box may stick out, as rounded numbers do
_LEAST = 1  # pixels of a box's sides
_DROPPED = ", or it is dropped"


class Masks(IntEnum):
    """Which masks a pipeline loads; the greater demands more of them."""

    NONE = 0
    ANY = 1
    POLYGONS = 2


def loader_faults(
    entry: Mapping[str, Any], image: Mapping[str, Any], categories: Collection
) -> Iterator[Fault]:
    """What mmdet's loader drops of an image's instances, or stops at."""
    if entry.get("ignore"):
        yield f"ignore {show(entry['ignore'])}", f"0 or no such key{_DROPPED}"
    if entry.get("category_id") is not None and not _is_in(entry["category_id"], categories):
        yield f"category_id {show(entry['category_id'])}", f"a category of the JSON{_DROPPED}"
    yield from object_faults(entry, image)
    if is_box(entry.get("bbox")):
        x, y, width, height = entry["bbox"]
        beside = x + width <= 0 or y + height <= 0 or x >= image["width"] or y >= image["height"]
        if beside and min(width, height) > 0:
            yield "nothing of it in the picture", f"{_inside(image)}{_DROPPED}"


def object_faults(entry: Mapping[str, Any], image: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with the box, area and crowd flag of an instance or a segment."""
    if entry.get("bbox") is not None:
        yield from box_faults(entry["bbox"], image)
    area = entry.get("area")
    if area is not None and not is_number(area):
        yield f"area {show(area)}", "a number above 0"
    elif area is not None and area <= 0:
        yield f"area {show(area)}", f"a number above 0{_DROPPED}"
    if not _is_in(entry.get("iscrowd", 0), (0, 1)):
        yield f"iscrowd {show(entry['iscrowd'])}", "0 or 1"


def box_faults(box: Any, image: Mapping[str, Any]) -> Iterator[Fault]:
    """A box x, y, width, height must be of some extent and inside its image."""
    if not is_box(box):
        yield f"bbox {show(box)}", "4 numbers"
        return
    x, y, width, height = box
    if width <= 0 or height <= 0:
        yield f"bbox {show(box)}", f"a width and height above 0{_DROPPED}"
        return
    if width < _LEAST or height < _LEAST:
        yield f"bbox {show(box)}", f"a width and height of {_LEAST} or more{_DROPPED}"
    right, bottom = image["width"] + _TOLERANCE, image["height"] + _TOLERANCE
    if min(x, y) < -_TOLERANCE or x + width > right or y + height > bottom:
        yield f"bbox {show(box)} sticks out", _inside(image)


def is_box(box: Any) -> bool:
    """Whether it is a list of four finite numbers."""
    return are_numbers(box) and len(box) == 4


def _inside(image: Mapping[str, Any]) -> str:
    return f"a box inside the picture, {size_text((image['height'], image['width']))}"


def mask_faults(
    entry: Mapping[str, Any], image: Mapping[str, Any], masks: Masks
) -> Iterator[Fault]:
    """What is wrong with the polygons or the RLE of an object."""
    mask = entry.get("segmentation")
    if masks is Masks.NONE or mask is None:
        return
    if not isinstance(mask, list | dict) or not mask:
        yield f"segmentation {show(mask)}", "polygons or an RLE"
    elif isinstance(mask, list):
        yield from _polygon_faults(mask, image)
    else:
        if masks is Masks.POLYGONS and not entry.get("iscrowd"):  # a crowd is ignored anyway
            found = "an RLE, which LoadAnnotations with poly2mask=False does not read"
            yield found, f"LoadInstances in its place, or polygons{_DROPPED}"
        yield from _fault(rle_runs, mask, image["height"], image["width"])


def counting_faults(entry: Mapping[str, Any]) -> Iterator[Fault]:
    """What keeps COCOeval from counting an object."""
    number = entry.get("id")
    if not is_number(number):
        yield f"id {show(number)}", "a number above 0"
    elif number == 0:
        yield "id 0, which COCOeval takes for never found", "a number above 0"
    if "iscrowd" not in entry:
        yield "no iscrowd, at which COCOeval stops", "0 or 1"
    elif not _is_in(entry["iscrowd"], (0, 1)):
        yield f"iscrowd {show(entry['iscrowd'])}", "0 or 1"


def evaluation_faults(
    entry: Mapping[str, Any],
    image: Mapping[str, Any],
    categories: Collection,
    metrics: Collection[str],
) -> Iterator[Fault]:
    """What COCOeval ignores of an image's objects, or stops at.

    Args:
        entry: the object.
        image: its picture.
        categories: the ids of the categories.
        metrics: some of bbox and segm.
    """
    yield from counting_faults(entry)
    if not _is_in(entry.get("category_id"), categories):
        yield f"category_id {show(entry.get('category_id'))}", f"a category of the JSON{_DROPPED}"
    area = entry.get("area")
    if not is_number(area) or area < 0:
        yield "no area" if area is None else f"area {show(area)}", "a number, 0 or more"
    if "bbox" in metrics:
        box = entry.get("bbox")
        if not is_box(box) or min(box[2:]) <= 0:
            yield f"bbox {show(box)}", "4 numbers, the last two above 0"
    if "segm" in metrics:
        if entry.get("segmentation") is None:
            yield "no segmentation", "polygons or an RLE"
        yield from mask_faults(entry, image, Masks.ANY)


def _polygon_faults(polygons: list, image: Mapping[str, Any]) -> Iterator[Fault]:
    if all(map(is_number, polygons)):
        yield "a segmentation that is one list of numbers", "a list of such lists"
        return
    for polygon in polygons:
        faults = list(_fault(read_polygon, polygon))
        if faults:
            yield from faults
        elif not is_usable(read_polygon(polygon)):
            yield f"a polygon of {len(polygon)} numbers", f"an even count, at least 6{_DROPPED}"
        elif _is_outside(polygon, image):
            yield "a polygon outside the picture", size_text((image["height"], image["width"]))


def _is_outside(polygon: list, image: Mapping[str, Any]) -> bool:
    xs, ys = polygon[0::2], polygon[1::2]
    return max(xs) < 0 or max(ys) < 0 or min(xs) > image["width"] or min(ys) > image["height"]


def _fault(read: Any, *arguments: Any) -> Iterator[Fault]:
    """What a reader of labels finds wrong."""
    try:
        read(*arguments)
    except LabelError as error:
        found, expected = str(error).rsplit(", expected ", 1)
        yield found, expected


def _is_in(value: Any, values: Collection) -> bool:
    return (isinstance(value, str) or is_number(value)) and value in values
