"""How much of each class a data set's label files have, before augmentation."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fdam_mm.data.check.problems import Progress
from fdam_mm.data.pictures.labels import read_label_map

_MOST = 2000  # pictures that are counted; of more, as many evenly spread


@dataclass
class Statistics:
    """Of the pictures that were counted.

    Attributes:
        of_class: Indices of the pictures that have a class, by label.
        amounts: Objects or segments of each label; for label maps, pixels.
        sides: Square roots of the areas of the objects' boxes in pixels, of segments of those of
            things; for label maps, of each class's area in each picture.
        counted: Pictures that were looked at, of ``total``.
        unit: What ``amounts`` are.
    """

    of_class: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    amounts: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    sides: list[float] = field(default_factory=list)
    counted: int = 0
    total: int = 0
    unit: str = "objects"

    def add(self, index: int, amounts: Mapping[int, float]) -> None:
        """One picture's amounts by label."""
        for label, amount in amounts.items():
            self.of_class[label].append(index)
            self.amounts[label] += amount
        self.counted += 1

    def rarest(self) -> list[int]:
        """Labels that are there, those with the fewest objects or pixels first."""
        return sorted(self.amounts, key=lambda label: (self.amounts[label], label))


def statistics(dataset: Any, progress: Progress = iter) -> Statistics:
    """Count a data set of mmengine's, or one wrapped into ``RepeatDataset`` and the like."""
    while not hasattr(dataset, "get_data_info") or hasattr(dataset, "times"):
        dataset = dataset.dataset
    found = Statistics(total=len(dataset))
    chosen = np.unique(np.linspace(0, len(dataset) - 1, min(_MOST, len(dataset))).astype(int))
    for index in progress(chosen.tolist()):
        info = dataset.get_data_info(index)
        if "segments_info" in info and info["segments_info"]:
            found.unit = "segments"
            found.add(index, Counter(int(s["category"]) for s in info["segments_info"]))
            found.sides += [_side(i["bbox"]) for i in info.get("instances") or ()]
        elif "instances" in info:
            kept = [i for i in info["instances"] if not i.get("ignore_flag")]
            found.add(index, Counter(int(i["bbox_label"]) for i in kept))
            found.sides += [_side(instance["bbox"]) for instance in kept]
        elif info.get("seg_map_path"):
            found.unit = "pixels"
            areas = _areas(info, len(dataset.metainfo.get("classes") or ()))
            found.add(index, areas)
            found.sides += [math.sqrt(area) for area in areas.values()]
    return found


def _areas(info: Mapping[str, Any], num_classes: int) -> Counter:
    """Pixels of each class of a label map, as mmseg numbers them."""
    values, counts = np.unique(read_label_map(Path(info["seg_map_path"])), return_counts=True)
    found = Counter[int]()
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        label = (info.get("label_map") or {}).get(value, value)
        if info.get("reduce_zero_label"):
            label = label - 1 if label else 255
        if 0 <= label < num_classes:
            found[label] += count
    return found


def _side(box: Any) -> float:
    """Of left, top, right, bottom, of corners, or of centre, width, height and angle."""
    values = np.asarray(box, np.float64).ravel()
    if len(values) == 8:
        x, y = values[::2], values[1::2]
        return math.sqrt(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)
    width, height = values[2:4] if len(values) == 5 else values[2:4] - values[:2]
    return math.sqrt(max(0.0, width * height))
