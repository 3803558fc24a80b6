"""Check COCO panoptic data: a JSON of segments, their PNGs, and the pictures that it names."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from fdam_mm.data.formats.segment_ids import segment_ids
from fdam_mm.data.pictures.rows import read_pixels
from fdam_mm.errors import ConfigError

from .coco_json import Fault, object_faults, picture_problems, read_coco, repeated_ids
from .instances import instance_set
from .problems import Problem, Progress, Report, no_such, shorten, size_text, try_reading

if TYPE_CHECKING:
    from mmdet.datasets import CocoPanopticDataset

_KEYS = ("id", "category_id", "bbox", "area")


@dataclass(frozen=True)
class PanopticSet:
    """Pictures with panoptic segments.

    Attributes:
        img_dir: folder of the pictures.
        seg_dir: folder of the PNGs, named as the pictures are.
        ann_file: the JSON.
        classes: the config's names of the categories.
    """

    img_dir: Path
    seg_dir: Path
    ann_file: Path
    classes: tuple[str, ...]

    def check(self, progress: Progress = iter) -> Report:
        """Read every picture and PNG and report all problems."""
        report = Report()
        problems = report.problems
        folders = [self.img_dir, self.seg_dir]
        tables = read_coco(self.ann_file, folders, self.classes, problems)
        if tables is None:
            return report
        of_image = {annotation.get("image_id"): annotation for annotation in tables.annotations}
        faults = repeated_ids(tables.annotations, "annotations", "image_id")
        faults += [
            (f"annotation of image {image_id}", "an image of the JSON")
            for image_id in of_image.keys() - tables.images.keys()
        ]
        problems += [Problem(self.ann_file, *fault) for fault in faults]
        for image in progress(list(tables.images.values())):
            problems += picture_problems(image, self.img_dir, self.ann_file)
            annotation = of_image.get(image["id"])
            problems += self._segment_problems(image, annotation, tables.categories)
        report.num_pictures = len(tables.images)
        return report

    def _segment_problems(
        self, image: Mapping[str, Any], annotation: Mapping[str, Any] | None, categories: set
    ) -> list[Problem]:
        """Compare an image's PNG and its annotation."""
        name = f"annotation of image {image['id']}"
        file = self.seg_dir / Path(image["file_name"]).with_suffix(".png")
        if annotation is None:
            return [Problem(self.ann_file, f"no {name}", f"one, also where {file.name} is void")]
        problems: list[Problem] = []
        if annotation.get("file_name") != file.name:
            found = f"{name} has file_name {annotation.get('file_name')}"
            problems.append(Problem(self.ann_file, found, f"{file.name}, which mmdet reads"))
        segments = annotation.get("segments_info")
        if not isinstance(segments, list):
            problems.append(Problem(self.ann_file, f"{name} has no segments_info", "a list"))
            return problems
        faults = repeated_ids(segments, "segments")
        for segment in segments:
            for found, expected in object_faults(segment, _KEYS, image, categories):
                faults.append((f"segment {segment.get('id')}: {found}", expected))
        problems += [Problem(self.ann_file, f"{name}, {f}", e) for f, e in faults]
        return problems + self._png_problems(file, image, segments)

    def _png_problems(
        self, file: Path, image: Mapping[str, Any], segments: list[dict]
    ) -> list[Problem]:
        if not file.is_file():
            return [Problem(file, no_such("file", file), f"a PNG, for {self.ann_file} lists it")]
        problems: list[Problem] = []
        ids = try_reading(_ids, file, problems)
        if isinstance(ids, str):
            problems.append(Problem(file, ids, "8-bit RGB, of which segment ids are made"))
        elif ids is not None:
            size = image["height"], image["width"]
            if ids.shape != size:
                problems.append(
                    Problem(
                        file, f"PNG is {size_text(ids.shape)}", f"{size_text(size)} as in the JSON"
                    )
                )
            problems += [Problem(file, *fault) for fault in pixel_faults(ids, segments)]
        return problems


def pixel_faults(ids: np.ndarray, segments: list[dict]) -> Iterator[Fault]:
    """Segments of the pixels (H, W) and of the JSON must be the same, with the same areas."""
    values, counts = np.unique(ids, return_counts=True)
    pixels = dict(zip(values.tolist(), counts.tolist(), strict=True))
    pixels.pop(0, None)  # void
    listed = {segment.get("id"): segment for segment in segments}
    if unknown := sorted(pixels.keys() - listed.keys()):
        yield f"segment ids {shorten(unknown)} in the pixels", "ids of the JSON, or 0 for void"
    if lost := [i for i in listed if i not in pixels]:
        yield f"no pixels of the segments {shorten(lost)}", "all segments of the JSON"
    for value in pixels.keys() & listed.keys():
        if listed[value].get("area") != pixels[value]:
            found = f"segment {value} has {pixels[value]} pixels"
            yield found, f"{listed[value].get('area')}, its area in the JSON"


def panoptic_set(dataset: "CocoPanopticDataset", split: str) -> PanopticSet:
    """Read the settings of mmdet's panoptic data set.

    Raises:
        ConfigError: it names no classes, no JSON or no folder of PNGs.
    """
    plain = instance_set(dataset, split)
    if not dataset.data_prefix.get("seg"):
        raise ConfigError(
            f"{split}: data_prefix is {dataset.data_prefix}, expected a folder of PNGs in seg"
        )
    seg_dir = Path(dataset.data_prefix["seg"])
    return PanopticSet(plain.img_dir, seg_dir, plain.ann_file, plain.classes)


def _ids(file: Path) -> np.ndarray | str:
    """Segment ids (H, W), or what the pixels are where they hold none."""
    rgb = read_pixels(file)[..., ::-1]
    with Image.open(file) as picture:
        return segment_ids(rgb) if picture.mode == "RGB" else f"mode {picture.mode}"
