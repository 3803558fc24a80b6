"""Check COCO panoptic data: a JSON of segments, their PNGs, and the pictures that it names."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from fdam_mm.data.formats.segment_ids import png_of, segment_ids
from fdam_mm.data.pictures.rows import read_pixels
from fdam_mm.errors import ConfigError

from .coco_json import (
    CocoTables,
    Fault,
    category_faults,
    entry_problems,
    missing_keys,
    picture_problems,
    read_coco,
    repeated_ids,
)
from .instances import instance_set
from .objects import object_faults
from .problems import (
    Problem,
    Progress,
    Report,
    folder_problems,
    is_file,
    no_such,
    shorten,
    show,
    size_text,
    try_reading,
)
from .reading import Reading
from .values import id_fault, is_number

if TYPE_CHECKING:
    from mmdet.datasets import CocoPanopticDataset

_KEYS = ("id", "category_id", "bbox", "area")


@dataclass(frozen=True)
class PanopticSet:
    """Pictures with panoptic segments.

    Attributes:
        img_dir: folder of the pictures; None for an evaluator, which reads none.
        seg_dir: folder of the PNGs, named as the pictures are; None for a test set without any.
        ann_file: the JSON.
        classes: the config's names of the categories.
        reading: what the config's pipelines demand.
        things: the classes of objects, which instances may be of.
    """

    img_dir: Path | None
    seg_dir: Path | None
    ann_file: Path
    classes: tuple[str, ...]
    reading: Reading = field(default=Reading(), compare=False)
    things: tuple[str, ...] = field(default=(), compare=False)

    def check(self, progress: Progress = iter) -> Report:
        """Read every picture and PNG and report all problems."""
        report = Report(problems=folder_problems(self.img_dir))
        problems = report.problems
        is_whole = not problems
        tables = read_coco(self.ann_file, problems, self.reading.labelled)
        if tables is None or not is_whole:
            return report
        faults = [*category_faults(tables.categories, self.classes), *self._kind_faults(tables)]
        problems += [Problem(self.ann_file, *fault) for fault in faults]
        of_image = self._annotations(tables, problems)
        with_segments = self.seg_dir is not None and (self.reading.labelled or bool(of_image))
        if with_segments and (missing := folder_problems(self.seg_dir)):
            problems += missing
            return report
        for image in progress(list(tables.images.values())):
            if self.img_dir is not None:
                min_size = self.reading.min_size
                problems += picture_problems(image, self.img_dir, self.ann_file, min_size)
            if with_segments:
                problems += self._segment_problems(image, of_image[image["id"]], tables)
        report.num_pictures = len(tables.images) if self.img_dir is not None else 0
        return report

    def _kind_faults(self, tables: CocoTables) -> Iterator[Fault]:
        """Categories at which mmdet's loader or our metric stops."""
        lacking = [c["id"] for c in tables.categories if c.get("isthing") is None]
        if lacking:
            yield f"no isthing of the categories {shorten(lacking)}", "1 or 0"
        stuff = [
            c["name"]
            for c in tables.categories
            if c.get("isthing") is not None and not c["isthing"] and c.get("name") in self.things
        ]
        if stuff:  # neither an object nor one of the labels that are taken for stuff
            found = f"isthing 0 of the categories {shorten(stuff)}, whose segments are not learned"
            yield found, "1, as they are in thing_classes"
        unnamed = {c["id"]: c.get("name") for c in tables.categories}
        unnamed = {i: name for i, name in unnamed.items() if name not in self.classes}
        if unnamed and self.reading.all_classes:
            found = f"categories {shorten(unnamed.values())} that the config does not name"
            yield found, "its classes alone, for the metric stops at others"
            return
        segments = [s for a in tables.annotations for s in _listed(a.get("segments_info"))]
        used = {
            segment["category_id"]: None
            for segment in segments
            if isinstance(segment.get("category_id"), int) and segment["category_id"] in unnamed
        }
        if used:
            found = f"segments of the categories {shorten(unnamed[i] for i in used)}"
            yield f"{found}, at which the loader stops", "the classes of the config alone"

    def _annotations(self, tables: CocoTables, problems: list[Problem]) -> dict[Any, list[dict]]:
        """The annotations of each image; adds a problem for those without one."""
        of_image: dict[Any, list[dict]] = defaultdict(list)
        for annotation in tables.annotations:
            faults = list(id_fault(annotation, "image_id"))
            name = "annotation with"
            if not faults and annotation["image_id"] not in tables.listed:
                name = f"annotation of image {show(annotation['image_id'])}"
                problems.append(Problem(self.ann_file, name, "an image of the JSON"))
            elif not faults:
                of_image[annotation["image_id"]].append(annotation)
            problems += entry_problems(self.ann_file, name, faults)
        placed = [annotation for group in of_image.values() for annotation in group]
        repeated = repeated_ids(placed, "annotations", "image_id")
        problems += [Problem(self.ann_file, *fault) for fault in repeated]
        return of_image

    def _segment_problems(
        self, image: Mapping[str, Any], annotations: Sequence[dict], tables: CocoTables
    ) -> list[Problem]:
        """Compare an image's PNG and its annotation."""
        name = f"annotation of image {show(image['id'])}"
        png = image["file_name"].replace(".jpg", ".png")
        file = self.seg_dir / (png_of(image["file_name"]) if self.reading.any_suffix else png)
        if not annotations:
            return [Problem(self.ann_file, f"no {name}", f"one, also where {file.name} is void")]
        annotation = annotations[-1]
        problems: list[Problem] = []
        listed = annotation.get("file_name")
        if isinstance(listed, str) and listed.rpartition("/")[2] != file.name:
            found = f"{name} has file_name {show(listed)[1:-1]}"
            problems.append(Problem(self.ann_file, found, f"{file.name}, which is read"))
        segments = annotation.get("segments_info")
        if not isinstance(segments, list):
            problems.append(Problem(self.ann_file, f"{name} has no segments_info", "a list"))
            return problems
        good, categories = [], tables.category_ids()
        for place, segment in enumerate(segments):
            faults = list(segment_faults(segment, image, categories))
            known = isinstance(segment, dict) and is_number(segment.get("id"))
            called = f"segment {segment['id']}:" if known else f"segments_info[{place}]:"
            problems += entry_problems(self.ann_file, f"{name}, {called}", faults)
            good += [segment] if known else []
        repeated = repeated_ids(good, "segments")
        problems += [Problem(self.ann_file, f"{name}, {f}", e) for f, e in repeated]
        return problems + self._png_problems(file, image, good)

    def _png_problems(
        self, file: Path, image: Mapping[str, Any], segments: list[dict]
    ) -> list[Problem]:
        if not is_file(file):
            return [Problem(file, no_such("file", file), f"a PNG, for {self.ann_file} lists it")]
        problems: list[Problem] = []
        ids = try_reading(_ids, file, problems)
        if isinstance(ids, str):
            problems.append(Problem(file, ids, "8-bit RGB, of which segment ids are made"))
        elif ids is not None:
            size = image["height"], image["width"]
            if ids.shape != size:
                expected = f"{size_text(size)} as in the JSON"
                problems.append(Problem(file, f"PNG is {size_text(ids.shape)}", expected))
            problems += [Problem(file, *fault) for fault in pixel_faults(ids, segments)]
        return problems


def segment_faults(
    segment: Any, image: Mapping[str, Any], categories: Collection
) -> Iterator[Fault]:
    """What is wrong with a segment of an image, by the rules of mmdet's loader."""
    if not isinstance(segment, dict):
        yield show(segment), "an entry with keys"
        return
    yield from missing_keys(segment, _KEYS)
    number, category = segment.get("id"), segment.get("category_id")
    if number is not None and not is_number(number):
        yield f"id {show(number)}", "a number, that of its pixels"
    if category is not None and not (isinstance(category, int) and category in categories):
        yield f"category_id {show(category)}", "a category of the JSON"
    yield from object_faults(segment, image)


def pixel_faults(ids: np.ndarray, segments: Collection[Mapping[str, Any]]) -> Iterator[Fault]:
    """Segments of the pixels (H, W) and of the JSON must be the same, with the same areas."""
    values, counts = np.unique(ids, return_counts=True)
    pixels = dict(zip(values.tolist(), counts.tolist(), strict=True))
    pixels.pop(0, None)  # void
    listed = {segment["id"]: segment for segment in segments}
    if unknown := sorted(pixels.keys() - listed.keys()):
        yield f"segment ids {shorten(unknown)} in the pixels", "ids of the JSON, or 0 for void"
    if lost := [i for i in listed if i not in pixels]:
        yield f"no pixels of the segments {shorten(lost)}", "all segments of the JSON"
    for value in pixels.keys() & listed.keys():
        area = listed[value].get("area")
        if is_number(area) and area != pixels[value]:
            yield f"segment {value} has {pixels[value]} pixels", f"{area}, its area in the JSON"


def panoptic_set(dataset: "CocoPanopticDataset", split: str, reading: Reading) -> PanopticSet:
    """Read the settings of mmdet's panoptic data set.

    Raises:
        ConfigError: it names no classes, no JSON or no folder of PNGs.
    """
    plain = instance_set(dataset, split, reading)
    folder = dataset.data_prefix.get("seg")
    if not folder and reading.labelled:
        raise ConfigError(
            f"{split}: data_prefix is {dataset.data_prefix}, expected a folder of PNGs in seg"
        )
    seg_dir = Path(folder) if folder else None
    objects = dataset.metainfo.get("thing_classes") or ()
    things = tuple(name for name in plain.classes if name in objects)
    return PanopticSet(plain.img_dir, seg_dir, plain.ann_file, plain.classes, reading, things)


def _listed(segments: Any) -> list[dict]:
    return [s for s in segments if isinstance(s, dict)] if isinstance(segments, list) else []


def _ids(file: Path) -> np.ndarray | str:
    """Segment ids (H, W), or what the pixels are where they hold none.

    The colours of a palette and those beside an alpha are read as they are.
    """
    rgb = read_pixels(file)[..., ::-1]
    with Image.open(file) as picture:
        has_ids = picture.mode in ("RGB", "RGBA", "P")
        return segment_ids(rgb) if has_ids else f"mode {picture.mode}"
