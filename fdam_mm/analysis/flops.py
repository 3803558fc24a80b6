"""Counting what a forward computes, with torch's own counter."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

_aten = torch.ops.aten
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Complexity:
    """Parameters and floating-point operations of a model or a part of it."""

    parameters: int
    flops: int  # a multiplication and an addition are two


def count(model: nn.Module, forward: Callable[[], Any]) -> dict[str, Complexity]:
    """Count a forward, part by part.

    Counted are matrix products, convolutions, attention (also fused) and FFTs, whoever calls them;
    element-wise operations are not. An operator of a compiled extension counts as nothing.

    Args:
        model: The parts are its children.
        forward: Runs the model once; gradients are off, also those of parameters.

    Returns:
        The complexity of each child that computes or has parameters, by its name; what was
        computed outside of them under ``"elsewhere"``, and the whole model's under ``"total"``.
    """
    counter = FlopCounterMode(display=False, custom_mapping=_HANDLERS)
    meters = {name: _Meter(child, counter) for name, child in model.named_children()}
    with ExitStack() as stack:
        for meter in meters.values():
            stack.enter_context(meter)
        stack.enter_context(torch.no_grad())
        stack.enter_context(_frozen(model))
        stack.enter_context(counter)
        forward()
    parts = {name: Complexity(_parameters(m.module), m.flops) for name, m in meters.items()}
    parts = {name: part for name, part in parts.items() if part.parameters or part.flops}
    total = Complexity(_parameters(model), counter.get_total_flops())
    elsewhere = total.flops - sum(part.flops for part in parts.values())
    if elsewhere:
        parts["elsewhere"] = Complexity(0, elsewhere)
    return parts | {"total": total}


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Torch's counter follows the gradients of inputs; under no_grad a parameter breaks it."""
    trained = [p for p in model.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


class _Meter:
    """Sums what a counter counts while ``module`` runs."""

    def __init__(self, module: nn.Module, counter: FlopCounterMode) -> None:
        self.module, self.counter, self.flops = module, counter, 0

    def __enter__(self) -> None:
        self.handles = (
            self.module.register_forward_pre_hook(self._start),
            self.module.register_forward_hook(self._stop),
        )

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    def _start(self, *_: object) -> None:
        self.flops -= self.counter.get_total_flops()

    def _stop(self, *_: object) -> None:
        self.flops += self.counter.get_total_flops()


def _parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _fused_attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


def _real_fft(x: Shape, dim: list[int], *_: Any, out_shape: Any = None, **__: Any) -> int:
    """Half of a complex FFT's 5 n log2 n, for each transform of n points."""
    real = x if math.prod(x) >= math.prod(out_shape) else out_shape
    points = math.prod(real[d] for d in dim)
    return round(2.5 * math.prod(real) * math.log2(points)) if points > 1 else 0


def _complex_fft(x: Shape, dim: list[int], *_: Any, **__: Any) -> int:
    points = math.prod(x[d] for d in dim)
    return round(5 * math.prod(x) * math.log2(points)) if points > 1 else 0


_HANDLERS = {
    _aten._scaled_dot_product_flash_attention_for_cpu: _fused_attention,
    _aten._fft_r2c: _real_fft,
    _aten._fft_c2r: _real_fft,
    _aten._fft_c2c: _complex_fft,
}
