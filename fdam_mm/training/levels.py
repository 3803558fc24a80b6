"""See at the first batch that a segmentor's heads find the feature maps that they name."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from fdam_mm.errors import ConfigError


def check_levels_at_first_batch(model: nn.Module) -> None:
    """Compare ``in_index`` and ``in_channels`` of the heads with the maps that they are given.

    Wrong ones would end deep in a head, in "tuple index out of range" or in a convolution. The
    maps come from the neck, else from the backbone, whose first forward shows them.
    """
    heads = list(_heads(model))
    source = getattr(model, "neck", None) or getattr(model, "backbone", None)
    if not heads or not isinstance(source, nn.Module):
        return
    name = "neck" if getattr(model, "neck", None) else "backbone"

    def check(module: nn.Module, args: Any, maps: Any) -> None:
        handle.remove()
        if isinstance(maps, list | tuple) and all(isinstance(each, Tensor) for each in maps):
            for key, head in heads:
                _check(key, head, name, [each.shape[1] for each in maps])

    handle = source.register_forward_hook(check)


def _heads(model: nn.Module) -> Iterator[tuple[str, Any]]:
    for name in ("decode_head", "auxiliary_head"):
        found = getattr(model, name, None)
        several = isinstance(found, nn.ModuleList)
        for index, head in enumerate(found if several else [found]):
            if getattr(head, "in_index", None) is not None:
                yield f"model.{name}.{index}" if several else f"model.{name}", head


def _check(key: str, head: Any, source: str, channels: Sequence[int]) -> None:
    """Raises ConfigError, see above."""
    indices = [head.in_index] if isinstance(head.in_index, int) else list(head.in_index)
    if any(not -len(channels) <= index < len(channels) for index in indices):
        raise ConfigError(
            f"{key}.in_index is {head.in_index}, expected indices from 0 to {len(channels) - 1}: "
            f"the {source} gives {len(channels)} maps"
        )
    found = [channels[index] for index in indices]
    if getattr(head, "input_transform", None) == "resize_concat":
        found = [sum(found)]
    expected = head.in_channels
    if (list(expected) if isinstance(expected, list | tuple) else [expected]) != found:
        raise ConfigError(
            f"{key}.in_channels is {expected}, expected {found if len(found) > 1 else found[0]}: "
            f"that many has the {source} at in_index {head.in_index}"
        )
