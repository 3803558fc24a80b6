"""YOLO: ``images/SPLIT``, ``labels/SPLIT`` and ``data.yaml``, as ultralytics reads it."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from fdam_mm.data.own.labelled import LabelledObject, Labels

from .base import Placed, Writer, objects_of, write_once


class YoloWriter(Writer):
    """Upright boxes, rotated boxes, or polygons of one part."""

    TASKS = ("detection", "instance", "oriented")
    NAME = "yolo"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._splits: set[str | None] = set()

    def add(self, placed: Placed, labels: Labels) -> None:
        objects = objects_of(labels)
        self._note_attributes(objects, ())
        self._splits.add(placed.split)
        rows = []
        for found in objects:
            numbers = " ".join(map(repr, self._numbers(found, placed)))
            rows.append(f"{found.label} {numbers}\n")
            if found.difficult:
                self.notes["objects whose difficulty is left out"] += 1
        write_once(self._label_file(placed), "".join(rows))

    def finish(self) -> None:
        data: dict[str, Any] = dict(path=".")
        for split in sorted(self._splits, key=str):
            data[split or "train"] = f"images/{split}" if split else "images"
        data.setdefault("val", data.get("train", data.get("test")))
        data["names"] = {label: info.name for label, info in enumerate(self.classes)}
        text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
        write_once(self.folder / "data.yaml", text)

    def _label_file(self, placed: Placed) -> Path:
        split = (placed.split,) if placed.split else ()
        return self.folder.joinpath("labels", *split, f"{placed.name}.txt")

    def _numbers(self, found: LabelledObject, placed: Placed) -> list[float]:
        height, width = placed.size
        if found.crowd or found.rle is not None or len(found.polygons) > 1:
            what = "a crowd" if found.crowd else "a mask of several parts, or with holes"
            raise self._refuse(placed, what, "convert to coco, or leave it out")
        if found.corners is not None or found.polygons:
            points = found.corners if found.corners is not None else found.polygons[0]
            return (np.asarray(points) / [width, height]).ravel().tolist()
        if self.task != "detection":
            remedy = "give it one; ultralytics takes no mixture"
            raise self._refuse(placed, "a box without a mask or angle among others", remedy)
        left, top, right, bottom = found.box
        return [
            (left + right) / 2 / width, (top + bottom) / 2 / height,
            (right - left) / width, (bottom - top) / height,
        ]  # fmt: skip
