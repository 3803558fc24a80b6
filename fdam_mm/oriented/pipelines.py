"""What a config's test pipeline says, and how it reads other things than labelled files."""

from collections.abc import Sequence
from typing import Any

from mmcv.transforms import LoadAnnotations, RandomResize, Resize
from mmengine.registry import TRANSFORMS

from fdam_mm.toolkits.types import class_of, is_kind

Pipeline = Sequence[dict[str, Any]]
_MMROTATE = "ConvertBoxType"  # mmrotate's step for labels, which needs no mmrotate to be known


def unlabelled(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Return the steps of any toolkit without those that need labels, inside `TestTimeAug` too."""
    steps: list[dict[str, Any]] = []
    for step in pipeline:
        if isinstance(step.get("transforms"), list | tuple):
            step = {**step, "transforms": _unlabelled_inside(step["transforms"])}
        if not _needs_labels(step):
            steps.append(step)
    return steps


def _unlabelled_inside(parts: Sequence[Any]) -> list[Any]:
    """Of a step's own steps, or of its branches of steps; an empty branch goes."""
    if parts and isinstance(parts[0], list | tuple):
        branches = [unlabelled(part) for part in parts]
        return [branch for branch in branches if branch]
    return list(unlabelled(parts))


def _needs_labels(step: dict[str, Any]) -> bool:
    kind = step["type"]
    found = class_of(kind, TRANSFORMS)
    if isinstance(kind, str) and found is None:  # of a toolkit that is not registered
        return kind.rpartition(".")[2] in (LoadAnnotations.__name__, _MMROTATE)
    bases = found.__mro__ if isinstance(found, type) else ()
    return LoadAnnotations in bases or any(base.__name__ == _MMROTATE for base in bases)


def window_side(pipeline: Pipeline) -> int | None:
    """Return the side in pixels of the squares that a pipeline resizes to, None without such."""
    for step in pipeline:
        scale = step.get("scale")
        is_square = isinstance(scale, list | tuple) and len({*scale}) == 1
        if is_square and _is(step, (Resize, RandomResize)):
            return scale[0]
    return None


def _is(step: dict[str, Any], kinds: tuple[type, ...]) -> bool:
    return is_kind(step["type"], kinds, TRANSFORMS, "mmrotate")
