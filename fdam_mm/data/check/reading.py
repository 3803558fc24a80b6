"""How a config reads a COCO set: what its pipeline loads of it and what it leaves out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmengine.registry import TRANSFORMS, Registry

from fdam_mm.toolkits.types import class_of

from .objects import Masks

if TYPE_CHECKING:
    from mmdet.datasets import CocoDataset


@dataclass(frozen=True)
class Reading:
    """What the readers of a set demand of it.

    Attributes:
        masks: which are loaded.
        labelled: whether annotations are needed, as in all but a test set.
        measured: whether COCOeval may read it too, of which a config without evaluator says
            nothing.
        min_size: side in pixels under which pictures are left out.
        any_suffix: whether the PNGs of panoptic pictures are found by their stem, which
            `LoadCocoPanoptic` does, or by mmdet's rule for `.jpg` alone.
        all_classes: whether the metric refuses categories that the config does not name, as
            panoptic ones do.
    """

    masks: Masks = Masks.ANY
    labelled: bool = True
    measured: bool = True
    min_size: float = 0
    any_suffix: bool = True
    all_classes: bool = False

    def __or__(self, other: "Reading") -> "Reading":
        """The demands of both."""
        return Reading(
            max(self.masks, other.masks),
            self.labelled or other.labelled,
            self.measured or other.measured,
            max(self.min_size, other.min_size),
            self.any_suffix and other.any_suffix,
            self.all_classes or other.all_classes,
        )


def reading_of(
    dataset: "CocoDataset", pipeline: Sequence[Mapping], split: str, measured: bool
) -> Reading:
    """How a data set of mmdet reads its files.

    Args:
        dataset: the data set, which has not looked at them yet.
        pipeline: its steps as in the config; without any, all is demanded.
        split: train, val or test.
        measured: as in `Reading`.
    """
    filters = dict(dataset.filter_cfg or {}) if not dataset.test_mode else {}
    names = [name for step in pipeline for name in class_names(step.get("type"), TRANSFORMS)]
    return Reading(
        masks=_masks(pipeline) if pipeline else Masks.ANY,
        labelled=split != "test",
        measured=measured,
        min_size=filters.get("min_size", 0),
        any_suffix="LoadCocoPanoptic" in names or "LoadPanopticAnnotations" not in names,
    )


def _masks(pipeline: Sequence[Mapping]) -> Masks:
    masks = Masks.NONE
    for step in pipeline:
        names = class_names(step.get("type"), TRANSFORMS)
        if "LoadInstances" in names and step.get("with_mask", True):
            masks = max(masks, Masks.ANY)
        elif "LoadAnnotations" in names and step.get("with_mask", False):
            drawn = step.get("poly2mask", True)
            masks = max(masks, Masks.ANY if drawn else Masks.POLYGONS)
    return masks


def class_names(kind: Any, registry: Registry) -> list[str]:
    """The names of a class of the toolkits and of its bases; none of an unknown one."""
    found = class_of(kind, registry)
    return [base.__name__ for base in found.__mro__] if isinstance(found, type) else []
