"""Own data: a folder of pictures and labels of any usual format, looked at, read and converted.

from fdam_mm.data.own import inspect

found = inspect("photos/")
found.task, found.format, [c.name for c in found.classes]
labels = found.labelled.read(found.labelled.pictures[0])
"""

from .converting import TARGETS, Conversion, convert
from .inspecting import inspect
from .inspection import ClassFacts, Inspection, PictureFacts
from .labelled import (
    ClassInfo,
    LabelledObject,
    LabelledPicture,
    LabelledSet,
    Labels,
    ObjectLabels,
    PanopticLabels,
    PanopticSegment,
    Part,
    SemanticLabels,
    Task,
)
from .registry import READERS, open_labelled

__all__ = [
    "READERS",
    "TARGETS",
    "ClassFacts",
    "ClassInfo",
    "Conversion",
    "Inspection",
    "LabelledObject",
    "LabelledPicture",
    "LabelledSet",
    "Labels",
    "ObjectLabels",
    "PanopticLabels",
    "PanopticSegment",
    "Part",
    "PictureFacts",
    "SemanticLabels",
    "Task",
    "convert",
    "inspect",
    "open_labelled",
]
