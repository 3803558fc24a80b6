"""labelme: a JSON beside each picture."""

import base64
import json
from typing import Any

import cv2
import numpy as np

from fdam_mm.data.own.labelled import LabelledObject, Labels
from fdam_mm.data.own.shapes import mask_of

from .base import Placed, Writer, objects_of, write_once

_VERSION = "5.5.0"  # of labelme, whose schema this is


class LabelmeWriter(Writer):
    """Rectangles, polygons (parts of one object as a group) and masks.

    Rotated boxes become polygons of their corners; what else is said of an object goes into its
    description.
    """

    TASKS = ("instance", "detection", "oriented")
    NAME = "labelme"

    def add(self, placed: Placed, labels: Labels) -> None:
        height, width = placed.size
        shapes: list[dict] = []
        for number, found in enumerate(objects_of(labels), start=1):
            if found.crowd:
                raise self._refuse(placed, "a crowd", "leave it out of the source")
            shapes += self._shapes(found, placed, number)
        file = self.image_file(placed)
        data: dict[str, Any] = dict(
            version=_VERSION, flags={}, shapes=shapes, imagePath=file.name, imageData=None,
            imageHeight=height, imageWidth=width,
        )  # fmt: skip
        write_once(file.with_suffix(".json"), json.dumps(data))

    def _shapes(self, found: LabelledObject, placed: Placed, number: int) -> list[dict]:
        said = {k: v for k, v in found.attributes.items() if k not in ("id", "area", "group_id")}
        if found.difficult:
            said["difficult"] = found.difficult
        shape: dict[str, Any] = dict(
            label=self.classes[found.label].name, group_id=None, flags={}, mask=None,
            description=json.dumps(said) if said else "",
        )  # fmt: skip
        if found.rle is not None:
            placed_mask = mask_of(found, placed.size)
            if placed_mask is None:
                raise self._refuse(placed, "a mask without pixels", "leave it out of the source")
            mask, (left, top) = placed_mask
            png = cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes()
            corners = [[left, top], [left + mask.shape[1] - 1, top + mask.shape[0] - 1]]
            text = base64.b64encode(png).decode()
            return [shape | dict(shape_type="mask", points=corners, mask=text)]
        polygons = found.polygons
        if found.corners is not None:
            polygons = (found.corners,)
            self.notes["rotated boxes as polygons of their corners"] += 1
        if not polygons:
            sides = [list(found.box[:2]), list(found.box[2:])]
            return [shape | dict(shape_type="rectangle", points=sides)]
        group = number if len(polygons) > 1 else None
        return [
            shape | dict(shape_type="polygon", points=polygon.tolist(), group_id=group)
            for polygon in polygons
        ]
