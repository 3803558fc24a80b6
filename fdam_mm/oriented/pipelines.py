"""What a config's test pipeline says, and how it reads other things than labelled files."""

from collections.abc import Sequence
from typing import Any

from mmengine.dataset import Compose

_ANNOTATIONS = ("LoadAnnotations", "ConvertBoxType")

Pipeline = Sequence[dict[str, Any]]


def unlabelled(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Return the steps without those that need labels."""
    return [step for step in pipeline if step["type"].rpartition(".")[2] not in _ANNOTATIONS]


def window_side(pipeline: Pipeline) -> int | None:
    """Return the side in pixels of the squares that a pipeline resizes to, None without such."""
    for step in pipeline:
        scale = step.get("scale")
        if step["type"].endswith("Resize") and isinstance(scale, tuple) and scale[0] == scale[1]:
            return scale[0]
    return None


def for_arrays(pipeline: Pipeline) -> Compose:
    """Build a pipeline for unlabelled arrays, (H, W, 3) uint8 BGR under `img`, in place of files.

    Raises:
        ValueError: the first step does not read a file.
    """
    load, *others = unlabelled(pipeline)
    if not load["type"].endswith("LoadImageFromFile"):
        raise ValueError(f"the test pipeline starts with {load['type']}, not LoadImageFromFile")
    return Compose([dict(type="mmdet.LoadImageFromNDArray"), *others])
