"""Which text a task has."""

from collections.abc import Callable, Mapping

from fdam_mm.data.own import Task

from .boxes import boxes_text
from .mask_dino import instance_text, panoptic_text
from .oriented import oriented_text
from .pieces import Start
from .semantic import semantic_text

_TEXTS: Mapping[Task, Callable[[Start], list[str]]] = {
    "semantic": semantic_text,
    "instance": instance_text,
    "panoptic": panoptic_text,
    "detection": boxes_text,
    "oriented": oriented_text,
}


def config_text(start: Start) -> str:
    """``config.py``."""
    return "\n".join(_TEXTS[start.task](start)) + "\n"
