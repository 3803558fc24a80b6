"""What a step computes and moves, counted: the same on every machine."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from .memory import MIB

_ATEN = torch.ops.aten
_ATTENTIONS = {  # on a CPU, counted as their twins on a GPU
    _ATEN._scaled_dot_product_flash_attention_for_cpu: _ATEN._scaled_dot_product_flash_attention,
    _ATEN._scaled_dot_product_flash_attention_for_cpu_backward: (
        _ATEN._scaled_dot_product_flash_attention_backward
    ),
}
_FFTS = (_ATEN._fft_r2c, _ATEN._fft_c2r)


class _Counts(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.flop = self.moved = 0.0
        self.calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if not func.is_view:
            self.calls += 1
            self.moved += sum(map(_bytes, tree_leaves((args, kwargs, out))))
        packet = func._overloadpacket
        packet = _ATTENTIONS.get(packet, packet)
        if packet is _ATEN.convolution_backward:  # which torch counts as if nothing were grouped
            grad, _, weight, *_, (of_input, of_weight, _) = args
            self.flop += 2 * grad.numel() * weight[0].numel() * (of_input + of_weight)
        elif packet in flop_registry:
            self.flop += flop_registry[packet](*args, **kwargs, out_val=out)
        elif packet in _FFTS:
            real = args[0] if packet is _ATEN._fft_r2c else out
            points = math.prod(real.shape[axis] for axis in args[1])
            self.flop += 2.5 * real.numel() * math.log2(max(points, 2))
        return out


def _bytes(leaf: Any) -> int:
    """Of a tensor, of an expanded one what is stored."""
    if not isinstance(leaf, Tensor):
        return 0
    return min(leaf.numel() * leaf.element_size(), leaf.untyped_storage().nbytes())


def count(step: Callable[[], Any]) -> dict[str, float]:
    """GFLOP of products, convolutions, attentions and FFTs, MiB that all operations read and
    write, if nothing stays in a cache between two of them, and the number of these."""
    with _Counts() as found:
        step()
    gflop, moved = round(found.flop / 1e9, 4), round(found.moved / MIB, 2)
    return dict(gflop=gflop, moved_mib=moved, calls=found.calls)
