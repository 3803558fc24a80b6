"""What a forward keeps for its backward."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def saved_for_backward(model: nn.Module, forward: Callable[[], Any]) -> int:
    """Bytes that ``forward`` keeps; weights and further views of what is kept do not count."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        storage = t.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        out = forward()
    del out
    return sum(kept.values())
