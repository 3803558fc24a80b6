"""What our autograd Functions share.

They save memory and time in an ordinary training: they keep their inputs alone and have a backward
of their own. Beside it each has a plain form, in operations that torch knows all about. It serves
whatever differentiates the backward once more (double backward, ``torch.func.grad``), forward
mode, and what records operations to run them elsewhere (``torch.jit.trace``, exports).

Those that are not transformed by ``torch.func`` themselves have a forward that takes ``ctx``: with
a ``setup_context`` torch inspects the forward's signature in every call, for 50 to 80 us.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Plain = Callable[..., Tensor]
Tensors = Sequence[Tensor | None]


def is_exporting() -> bool:
    """Whether operations are being recorded for another runtime."""
    return torch.compiler.is_exporting() or torch.jit.is_tracing()


def is_transformed() -> bool:
    """Whether a transform of ``torch.func`` is at work, whose tensors nothing is written into."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def is_in_forward_mode() -> bool:
    """Whether tensors may carry tangents (``torch.autograd.forward_ad``)."""
    return torch.autograd.forward_ad._current_level >= 0


def needs_plain() -> bool:
    """Whether only the plain form serves: what is recorded elsewhere, compiled, transformed by
    ``torch.func`` or differentiated forwards."""
    if torch.compiler.is_compiling() or is_exporting():
        return True
    return is_transformed() or is_in_forward_mode()


def is_recorded(tensors: Tensors) -> bool:
    """Whether autograd needs to know of an operation on ``tensors``."""
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


def run(
    function: type[torch.autograd.Function],
    compute: Callable[..., Tensor],
    plain: Plain,
    *inputs: Any,
) -> Tensor:
    """What ``plain`` makes of ``inputs`` where only that serves, ``function`` where autograd
    records, and else ``compute``, the forward of ``function`` alone."""
    if needs_plain():
        return plain(*inputs)
    recorded = is_recorded([t for t in inputs if isinstance(t, Tensor)])
    return (function.apply if recorded else compute)(*inputs)


def is_differentiated() -> bool:
    """In a backward: whether someone differentiates it (``create_graph``) or transforms it."""
    if torch.compiler.is_compiling():
        return False
    return torch.is_grad_enabled() or is_transformed()


def plain_backward(plain: Plain, inputs: Tensors, grad: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients of ``plain(*inputs)``, differentiable; None where an input is None."""
    function, tensors = _of_tensors(plain, inputs)
    gradients = iter(torch.func.vjp(function, *tensors)[1](grad))
    return tuple(None if t is None else next(gradients) for t in inputs)


def _of_tensors(plain: Plain, inputs: Tensors) -> tuple[Plain, list[Tensor]]:
    """``plain`` as a function of those inputs that are not None, and these."""

    def function(*tensors: Tensor) -> Tensor:
        rest = iter(tensors)
        return plain(*(None if x is None else next(rest) for x in inputs))

    return function, [x for x in inputs if x is not None]
