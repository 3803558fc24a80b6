"""Check COCO instances: a JSON with boxes and masks, and the pictures that it names."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdam_mm.errors import ConfigError

from .coco_json import (
    Fault,
    are_numbers,
    object_faults,
    picture_problems,
    read_coco,
    repeated_ids,
)
from .problems import Problem, Progress, Report

if TYPE_CHECKING:
    from mmdet.datasets import CocoDataset

_KEYS = ("id", "image_id", "category_id", "bbox", "area", "segmentation")


@dataclass(frozen=True)
class InstanceSet:
    """Pictures with instances.

    Attributes:
        img_dir: folder of the pictures.
        ann_file: the JSON.
        classes: the config's names of the categories.
    """

    img_dir: Path
    ann_file: Path
    classes: tuple[str, ...]

    def check(self, progress: Progress = iter) -> Report:
        """Read every picture and annotation and report all problems."""
        report = Report()
        problems = report.problems
        tables = read_coco(self.ann_file, [self.img_dir], self.classes, problems)
        if tables is None:
            return report
        repeated = repeated_ids(tables.annotations, "annotations")
        problems += [Problem(self.ann_file, *fault) for fault in repeated]
        of_image = defaultdict(list)
        for annotation in tables.annotations:
            of_image[annotation.get("image_id")].append(annotation)
        for image_id in of_image.keys() - tables.images.keys():
            fault = f"image_id {image_id}", "an image of the JSON"
            problems += [self._problem(annotation, *fault) for annotation in of_image[image_id]]
        for image in progress(list(tables.images.values())):
            problems += picture_problems(image, self.img_dir, self.ann_file)
            problems += [
                self._problem(annotation, *fault)
                for annotation in of_image[image["id"]]
                for fault in annotation_faults(annotation, image, tables.categories)
            ]
        report.num_pictures = len(tables.images)
        return report

    def _problem(self, annotation: Mapping[str, Any], found: str, expected: str) -> Problem:
        return Problem(self.ann_file, f"annotation {annotation.get('id')}: {found}", expected)


def annotation_faults(
    annotation: Mapping[str, Any], image: Mapping[str, Any], categories: set
) -> Iterator[Fault]:
    """What is wrong with one annotation of an image."""
    yield from object_faults(annotation, _KEYS, image, categories)
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        yield from _rle_faults(segmentation, image)
    elif segmentation is not None:
        yield from _polygon_faults(segmentation)


def instance_set(dataset: "CocoDataset", split: str) -> InstanceSet:
    """Read the settings of one of mmdet's COCO data sets.

    Raises:
        ConfigError: it names no classes, no JSON or no folder.
    """
    if not dataset.ann_file or not dataset.metainfo.get("classes"):
        raise ConfigError(
            f"{split}: ann_file is {dataset.ann_file!r} and the classes are "
            f"{dataset.metainfo.get('classes')}, expected a JSON and metainfo=dict(classes=(...))"
        )
    return InstanceSet(
        img_dir=Path(dataset.data_prefix.get("img") or "."),
        ann_file=Path(dataset.ann_file),
        classes=tuple(dataset.metainfo["classes"]),
    )


def _polygon_faults(polygons: Any) -> Iterator[Fault]:
    if not isinstance(polygons, list) or not polygons:
        yield f"segmentation {polygons}", "polygons or an RLE"
        return
    for polygon in polygons:
        if not are_numbers(polygon):
            yield "a polygon that is no list of numbers", "x1, y1, x2, y2, ..."
        elif len(polygon) < 6 or len(polygon) % 2:
            yield f"a polygon of {len(polygon)} numbers", "an even count, at least 6"


def _rle_faults(rle: Mapping[str, Any], image: Mapping[str, Any]) -> Iterator[Fault]:
    size = [image["height"], image["width"]]
    if rle.get("size") != size:
        yield f"RLE of size {rle.get('size')}", f"{size}, the height and width of the picture"
        return
    counts = rle.get("counts")
    if isinstance(counts, str):
        counts = _runs(counts)
    pixels = size[0] * size[1]
    if not are_numbers(counts) or min(counts, default=0) < 0 or sum(counts) != pixels:
        yield "a broken RLE", f"counts of {pixels} pixels in all, none below 0"


def _runs(text: str) -> list[int]:
    """The runs in COCO's compressed RLE. pycocotools decodes too few of them without an error.

    A number takes 5 bits of each character, lowest first, with a bit for "more to come" above
    them, and its sign in its last bit. From the fourth on it is the difference to the last but
    one.
    """
    runs: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
        number |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                number -= 1 << shift
            runs.append(number + runs[-2] if len(runs) > 2 else number)
            number = shift = 0
    return runs
