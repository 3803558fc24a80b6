"""A labelled set in one form, whatever the format on the disk.

A reader (:mod:`fdam_mm.data.own.readers`) gives a :class:`LabelledSet`: classes, pictures, and for
each picture its labels when asked, so that a set of any size is open at once.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fdam_mm.data.check.problems import Problem

Task = Literal["semantic", "instance", "detection", "oriented", "panoptic", "unlabelled"]
"""What the labels are for: a class per pixel, objects with masks, with upright boxes, with rotated
boxes, segments of all pixels; "unlabelled" are pictures alone."""

Rle = dict[str, Any]
"""COCO's run lengths: ``size`` (height, width) and ``counts``, a list or compressed to a text."""


@dataclass(frozen=True)
class ClassInfo:
    """One class.

    Attributes:
        name: As the files have it, or "class_7" where they have numbers alone.
        value: What it is called in the files: a pixel's value, a colour, COCO's or YOLO's number;
            None where the files have its name.
        colour: RGB, where the files have one.
        is_thing: Whether it has single objects; False for the stuff of a panoptic set.
        group: What it is a kind of (COCO's ``supercategory``), where the files say so.
    """

    name: str
    value: int | tuple[int, int, int] | None = None
    colour: tuple[int, int, int] | None = None
    is_thing: bool = True
    group: str | None = None


@dataclass(frozen=True, eq=False)
class LabelledObject:
    """One object; coordinates are pixels of the picture as it is seen, x before y.

    Attributes:
        label: Index into the classes.
        box: Left, top, right, bottom, upright; of the whole object.
        polygons: Its parts, (n, 2) float64 each; none where it has a box alone, or an RLE.
        rle: Its mask, where the files have one that polygons cannot hold (holes, pixels).
        corners: (4, 2) float64 of a rotated box.
        crowd: Stands for several objects, not to be learnt one by one.
        difficult: 0 for an ordinary object; else as the format counts.
        attributes: What else the files say of it.
    """

    label: int
    box: tuple[float, float, float, float]
    polygons: tuple[np.ndarray, ...] = ()
    rle: Rle | None = None
    corners: np.ndarray | None = None
    crowd: bool = False
    difficult: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SemanticLabels:
    """``labels`` (H, W) int32, indices into the classes; -1 has no label."""

    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class ObjectLabels:
    """The objects of a picture: with masks, upright or rotated boxes."""

    objects: tuple[LabelledObject, ...]


@dataclass(frozen=True)
class PanopticSegment:
    """One segment: its number in the map, its class, and whether it stands for several objects."""

    id: int
    label: int
    crowd: bool = False


@dataclass(frozen=True, eq=False)
class PanopticLabels:
    """``ids`` (H, W) int32, numbers of segments, 0 for none; and what each number is."""

    ids: np.ndarray
    segments: tuple[PanopticSegment, ...]


Labels = SemanticLabels | ObjectLabels | PanopticLabels


@dataclass(frozen=True, eq=False)
class LabelledPicture:
    """One picture of a set.

    Attributes:
        name: Its path below the folder of the pictures, less the suffix; of its own in its split.
        image: The file.
        split: "train", "val" or "test"; None where the set names none.
        label_file: The file that has its labels; None for a picture without.
        pixels: Pixels of each label (-1: none), where a reader has counted them already.
        attributes: What else the files say of it: a license, a date.
    """

    name: str
    image: Path
    split: str | None
    label_file: Path | None
    pixels: Counter | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """One split as the toolkits' own data sets read it.

    Attributes:
        split: "train", "val" or "test"; None where the set names none.
        images: Folder of the pictures.
        labels: COCO's JSON; else the folder of the label maps or text files.
        image_suffix: Such as ".jpg"; empty for COCO, where the JSON has whole names.
        label_suffix: As for pictures.
        segments: Folder of the PNGs of a panoptic set.
        list_file: Names of the pictures, one a line; None takes all of ``images``.
    """

    split: str | None
    images: Path
    labels: Path
    image_suffix: str = ""
    label_suffix: str = ""
    segments: Path | None = None
    list_file: Path | None = None


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """A folder that one reader understands.

    Attributes:
        folder: Its root.
        format: The reader's name, such as "coco".
        details: What kind of it was found, for people: "palette PNGs", "boxes".
        task: What the labels are for.
        classes: By label.
        pictures: By split and name.
        read: The labels of one of the pictures. Raises LabelError or PictureError.
        problems: What is wrong with the layout: files without a partner, classes without a name.
        parts: Where mmseg, mmdet or mmrotate read the set as it is; else empty, and
            ``fdam data convert`` makes a set of which this can be said.
        zero_unlabelled: Label maps in which 0 has no class and the classes count from 1 (mmseg's
            ``reduce_zero_label``); only where ``parts`` are given.
        attributes: What else the files say of the whole set: COCO's ``info`` and ``licenses``.
    """

    folder: Path
    format: str
    details: str
    task: Task
    classes: tuple[ClassInfo, ...]
    pictures: tuple[LabelledPicture, ...]
    read: Callable[[LabelledPicture], Labels]
    problems: tuple[Problem, ...] = ()
    parts: tuple[Part, ...] = ()
    zero_unlabelled: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
