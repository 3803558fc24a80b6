"""Check COCO instances: a JSON with boxes and masks, and the pictures that it names."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdam_mm.errors import ConfigError

from .coco_json import (
    CocoTables,
    category_faults,
    entry_problems,
    missing_keys,
    picture_problems,
    read_coco,
    repeated_ids,
)
from .objects import counting_faults, evaluation_faults, loader_faults, mask_faults
from .problems import Problem, Progress, Report, folder_problems, is_folder, show
from .reading import Reading
from .values import id_fault

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
        reading: what the config's pipelines demand.
    """

    img_dir: Path
    ann_file: Path
    classes: tuple[str, ...]
    reading: Reading = field(default=Reading(), compare=False)

    def check(self, progress: Progress = iter) -> Report:
        """Read every picture and annotation and report all problems."""
        report = Report(problems=folder_problems(self.img_dir))
        problems = report.problems
        tables = read_coco(self.ann_file, problems, self.reading.labelled)
        if tables is None or not is_folder(self.img_dir):
            return report
        faults = category_faults(tables.categories, self.classes)
        problems += [Problem(self.ann_file, *fault) for fault in faults]
        of_image = annotations_by_image(tables, self.ann_file, problems)
        min_size = self.reading.min_size
        for image in progress(list(tables.images.values())):
            problems += picture_problems(image, self.img_dir, self.ann_file, min_size)
            problems += self._annotation_problems(image, of_image[image["id"]], tables)
        report.num_pictures = len(tables.images)
        return report

    def _annotation_problems(
        self, image: Mapping[str, Any], annotations: Sequence[dict], tables: CocoTables
    ) -> Iterator[Problem]:
        categories, unused = tables.category_ids(), unused_categories(tables, self.classes)
        keys = _KEYS if self.reading.masks else _KEYS[:-1]
        for annotation in annotations:
            faults = missing_keys(annotation, keys)
            if not faults and annotation["category_id"] in unused:
                continue
            faults += loader_faults(annotation, image, categories)
            faults += mask_faults(annotation, image, self.reading.masks)
            if self.reading.measured and annotation.get("id") is not None:
                faults += counting_faults(annotation)
            yield from entry_problems(self.ann_file, annotation_name(annotation), faults)


@dataclass(frozen=True)
class EvaluatedInstances:
    """A JSON that an evaluator reads.

    Attributes:
        ann_file: the JSON.
        classes: the config's names of the categories.
        metrics: what is measured: some of bbox, segm and the proposals'.
        labelled: whether there must be annotations, as in all but a test set.
    """

    ann_file: Path
    classes: tuple[str, ...]
    metrics: tuple[str, ...]
    labelled: bool = True

    def check(self, progress: Progress = iter) -> Report:
        """Read the JSON and report all problems; it reads no picture."""
        report = Report()
        problems = report.problems
        tables = read_coco(self.ann_file, problems, self.labelled)
        if tables is None:
            return report
        faults = category_faults(tables.categories, self.classes)
        problems += [Problem(self.ann_file, *fault) for fault in faults]
        of_image = annotations_by_image(tables, self.ann_file, problems)
        categories, unused = tables.category_ids(), unused_categories(tables, self.classes)
        for image_id in progress(list(of_image)):
            image = tables.images[image_id]
            for annotation in of_image[image_id]:
                faults = evaluation_faults(annotation, image, categories, self.metrics)
                if annotation.get("category_id") not in unused:
                    name = annotation_name(annotation)
                    problems += entry_problems(self.ann_file, name, faults)
        return report


def annotations_by_image(
    tables: CocoTables, file: Path, problems: list[Problem]
) -> dict[Any, list[dict]]:
    """The annotations of each usable image.

    Adds a problem for each annotation without an image or a good id, and for ids that repeat.
    """
    of_image: dict[Any, list[dict]] = defaultdict(list)
    with_id = []
    for annotation in tables.annotations:
        faults = list(id_fault(annotation, "image_id"))
        if annotation.get("id") is not None:
            faults += id_fault(annotation, "id")
        if not faults and annotation["image_id"] not in tables.listed:
            faults.append((f"image_id {show(annotation['image_id'])}", "an image of the JSON"))
        problems += entry_problems(file, annotation_name(annotation), faults)
        if not faults and annotation["image_id"] in tables.images:
            of_image[annotation["image_id"]].append(annotation)
        if not faults and annotation.get("id") is not None:
            with_id.append(annotation)
    problems += [Problem(file, *fault) for fault in repeated_ids(with_id, "annotations")]
    return of_image


def unused_categories(tables: CocoTables, classes: Sequence[str]) -> list:
    """The ids of the categories that the config leaves out."""
    return [c["id"] for c in tables.categories if c.get("name") not in classes]


def annotation_name(annotation: Mapping[str, Any]) -> str:
    """What a problem calls it."""
    return f"annotation {show(annotation.get('id'))}:"


def instance_set(dataset: "CocoDataset", split: str, reading: Reading) -> InstanceSet:
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
        reading=reading,
    )
