"""See before training that a model's heads have as many classes as its data."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from fdam_mm.errors import UsageError

_BINARY = (
    ". One class and its background are two: num_classes=2, and for one sigmoid output "
    "out_channels=1 and loss_decode.use_sigmoid=True"
)
_HEADS = ("decode_head", "auxiliary_head", "bbox_head", "mask_head", "panoptic_head")


def require_class_counts(model: nn.Module, metainfo: Mapping[str, Any]) -> None:
    """Compare the heads' numbers of classes with a data set's.

    Too few would end in an index error deep in the loss (on CUDA in a device assert), too many
    would train silently. Region proposals and ``class_agnostic`` masks have no classes.

    Args:
        model: A segmentor or detector; its heads may stand in lists and in a ``roi_head``.
        metainfo: Of the data set; without ``classes`` there is nothing to compare.

    Raises:
        UsageError: They differ; names both numbers and the keys to set.
    """
    wrong = [
        f"model.{name}.{key} is {found}, the data has {len(metainfo[kind])} {kind}"
        for name, head in _heads(model)
        for key, kind, found in _counts(head, metainfo)
        if found != len(metainfo[kind])
    ]
    if wrong:
        raise UsageError(
            f"the model's classes are not the data set's: {'; '.join(wrong)}. Set these keys, or "
            f"the data set's metainfo.classes{_BINARY if '_classes is 1,' in str(wrong) else ''}"
        )
    for name, head in _heads(model):
        losses = getattr(head, "loss_decode", None)
        losses = losses if isinstance(losses, nn.ModuleList) else [losses]
        softmax = any(getattr(loss, "use_sigmoid", True) is False for loss in losses)
        if getattr(head, "out_channels", None) == 1 and softmax:
            raise UsageError(
                f"model.{name} has one output channel; a softmax over it learns nothing{_BINARY}"
            )


def ignored_labels(model: nn.Module) -> set[int]:
    """The labels that a model's heads and losses leave out, such as 255."""
    found = (getattr(module, "ignore_index", None) for module in model.modules())
    return {index for index in found if isinstance(index, int)}


def _heads(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in model.named_modules():
        last = [part for part in name.split(".") if not part.isdigit()][-1:]
        has_classes = isinstance(getattr(module, "num_classes", None), int)
        if last and last[0].startswith(_HEADS) and has_classes:
            yield name, module


def _counts(head: nn.Module, metainfo: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Key of the head, key of the data set's metainfo, the head's number."""
    if getattr(head, "class_agnostic", False):
        return
    things = getattr(head, "num_things_classes", None)
    if things is not None and metainfo.get("thing_classes") and metainfo.get("stuff_classes"):
        yield "num_things_classes", "thing_classes", things
        yield "num_stuff_classes", "stuff_classes", head.num_stuff_classes
    elif metainfo.get("classes"):
        key = "num_classes" if things is None else "num_things_classes + num_stuff_classes"
        yield key, "classes", head.num_classes
